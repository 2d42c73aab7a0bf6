"""q04: `build_prompt`, judged by what the live model answers to its prompts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sandbox.judge import live
from sandbox.judge.bench import ARGUMENTS, Bad, Bench, Exercise, Probe, Wrong, show
from sandbox.labs.prompting import character_accuracy
from sandbox.request import Request
from sandbox.tiny import TASKS, draw, sample_scene

PLACEHOLDER = "<image>"
WORKS = ("vqa", "caption", "ocr")
PHRASES: dict[str, tuple[str, ...]] = {
    "vqa": (
        "<image>\n{question}",
        "<image>\n{question}\nAnswer the question using a single word or phrase.",
        "{question}\n<image>",
    ),
    "caption": ("Describe the image.", "What is in the image?", "Write a caption for this image.", "What do you see?"),
    "ocr": ("What does the text say?", "Read the text.", "What is written in the image?", "What is the text?"),
}
"""Phrases that the shipped model was trained on, for the exercise's page."""
REFERENCE: dict[str, str] = {
    "vqa": "<image>\n{question}\nAnswer the question using a single word or phrase.",
    "caption": "<image>\nDescribe the image.",
    "ocr": "<image>\nWhat does the text say?",
}
AS_GOOD = 0.95
"""Share of the reference prompts' score."""
FIRST, MOST = {"vqa": 40, "caption": 14, "ocr": 24}, {"vqa": 200, "caption": 56, "ocr": 120}
"""Scenes for a first look, and at most: more are drawn where the first look is close."""
CLEAR = 0.04
"""So far from the threshold, a first look decides."""
LONGEST = {"vqa": 24, "caption": 80, "ocr": 24}
_ROLES = re.compile(r"(?im)^\s*(user|assistant|system|human)\s*:|\b(USER|ASSISTANT|SYSTEM)\s*:|</?s>|\[/?INST\]|<\|")


def prompt_of(bench: Bench, task: str, question: str | None = None) -> str:
    """Return the candidate's prompt; `Wrong` if it is no text."""
    args = (task,) if question is None else (task, question)
    value = bench.call("build_prompt", *args).value
    if not isinstance(value, str):
        raise Wrong(f"build_prompt({task!r}) should return a str; it returned {show(value)}.")
    return value


def questions(bench: Bench, what: str, count: int) -> list[str]:
    """Return fresh questions."""
    return [item.prompt for item in live.items(bench.random(what), count)]


def prompts(bench: Bench, what: str) -> list[tuple[str, str]]:
    """Return (call, prompt) of every task, for fresh questions."""
    found = [(f"build_prompt({task!r})", prompt_of(bench, task)) for task in ("caption", "ocr")]
    return found + [
        (f"build_prompt('vqa', {question!r})", prompt_of(bench, "vqa", question))
        for question in questions(bench, what, 4)
    ]


def placeholder(bench: Bench) -> str:
    """One `<image>`."""
    for call, prompt in prompts(bench, "placeholder"):
        if (count := prompt.count(PLACEHOLDER)) != 1:
            raise Wrong(f"{call} should have exactly one <image>; it has {count}: {prompt!r}.")
    return "Exactly one <image> in every prompt."


def roles(bench: Bench) -> str:
    """No template."""
    for call, prompt in prompts(bench, "roles"):
        if found := _ROLES.search(prompt):
            raise Wrong(f"{call} has {found.group().strip()!r} in it; the engine writes role tags itself: {prompt!r}.")
    return "No role tags; the engine applies the template."


def ignored(bench: Bench) -> str:
    """A question with another task."""
    word = "zq" + "".join(bench.random("ignored").choices("bcdfghjk", k=8))
    for task in ("caption", "ocr"):
        got = prompt_of(bench, task, f"What color is the {word}?")
        if word in got.casefold():
            raise Wrong(
                f"build_prompt({task!r}, question) should ignore the question; it stands in the prompt: {got!r}."
            )
    return "Captions and OCR ignore a question."


def unknown_tasks(bench: Bench) -> str:
    """Tasks that there are none of."""
    return bench.refuses(
        Bad(f"task={task!r}", "build_prompt", (task, question))
        for task, question in (("detect", None), ("", None), ("translate", "What color is the circle?"))
    )


def no_question(bench: Bench) -> str:
    """VQA without one."""
    return bench.refuses(
        [
            Bad("'vqa' without a question", "build_prompt", ("vqa",)),
            Bad("'vqa' with None", "build_prompt", ("vqa", None)),
            Bad("'vqa' with ''", "build_prompt", ("vqa", "")),
            Bad("'vqa' with blanks", "build_prompt", ("vqa", " \n\t ")),
        ]
    )


def injection(bench: Bench) -> str:
    """A placeholder in the question."""
    first, second = questions(bench, "injection", 2)
    return bench.refuses(
        [
            Bad("'vqa' with <image> before the question", "build_prompt", ("vqa", f"<image>{first}")),
            Bad("'vqa' with <image> inside it", "build_prompt", ("vqa", second.replace(" ", " <image> ", 1))),
            Bad("'caption' with <image> in the question", "build_prompt", ("caption", f"{first} <image>")),
            Bad("'ocr' with <image> in the question", "build_prompt", ("ocr", "<image>")),
        ]
    )


@dataclass(frozen=True)
class Asked:
    """A fresh picture, what is asked about it, and what is true."""

    item: live.Item
    question: str | None


def scenes(bench: Bench, task: str, count: int) -> list[Asked]:
    """Return the first `count` scenes of a task."""
    chance = bench.random(f"live {task}")
    if task == "vqa":
        return [Asked(item, item.prompt) for item in live.items(chance, count)]
    found: list[Asked] = []
    while len(found) < count:
        scene = sample_scene(chance, text=True if task == "ocr" else None)
        question = TASKS["text" if task == "ocr" else "caption"](chance, scene)
        if question is not None and (task == "caption" or scene.text is not None):
            found.append(Asked(live.Item(draw(scene), question.prompt, question.answer), None))
    return found


def exact(text: str, truth: str) -> float:
    """1 for the same answer but for case and a full stop, else 0."""
    return float(live.same(text, truth))


def recall(text: str, truth: str) -> float:
    """Share of a caption's parts (each object with its place, the ground, the text) that are said."""
    from sandbox.tiny.evaluation import phrases

    said, wanted = phrases(text), phrases(truth)
    return (said & wanted).total() / max(1, wanted.total())


SCORES: dict[str, tuple[str, Callable[[str, str], float]]] = {
    "vqa": ("exact match", exact),
    "caption": ("recall of what is in the picture", recall),
    "ocr": ("character accuracy", character_accuracy),
}


def answered(task: str, bench: Bench) -> str:
    """The live model's answers to the candidate's prompts, against those to the reference's."""
    name, score = SCORES[task]
    mine: list[float] = []
    theirs: list[float] = []
    example = ""
    for count in (FIRST[task], MOST[task]):
        fresh = scenes(bench, task, count)[len(mine) :]
        written = [prompt_of(bench, task, each.question) for each in fresh]
        for each, prompt in zip(fresh, written, strict=True):
            if prompt.count(PLACEHOLDER) != 1:
                raise Wrong(
                    f"Not run: a prompt has {prompt.count(PLACEHOLDER)} <image>: {prompt!r} ({each.question!r})."
                )
        replies = _replies(bench, task, fresh, written)
        known = _replies(bench, task, fresh, [REFERENCE[task].format(question=each.question) for each in fresh])
        for each, reply, other in zip(fresh, replies, known, strict=True):
            mine.append(score(reply, each.item.answer))
            theirs.append(score(other, each.item.answer))
            if mine[-1] < theirs[-1] and not example:
                asked = prompt_of(bench, task, each.question)
                example = f" To {asked!r} the model said {reply!r}; {each.item.answer!r} is true."
        least = AS_GOOD * sum(theirs)
        if abs(sum(mine) - least) > CLEAR * len(mine):
            break
    said = (
        f"{name.capitalize()} on {len(mine)} fresh scenes: {sum(mine) / len(mine):.3f}; with the reference prompts "
        f"{sum(theirs) / len(mine):.3f}, of which {AS_GOOD:.0%} is asked for."
    )
    if sum(mine) < least:
        raise Wrong(said + example)
    return said


def _replies(bench: Bench, task: str, fresh: Sequence[Asked], written: Sequence[str]) -> list[str]:
    options: dict[str, Any] = {"max_new_tokens": LONGEST[task]}
    requests = [Request(text, [each.item.picture], **options) for text, each in zip(written, fresh, strict=True)]
    return [reply.text for reply in live.replies(bench.engine, requests)]


EXERCISE = Exercise(
    "q04",
    ("build_prompt",),
    (
        Probe("one placeholder", "Every prompt has exactly one <image>.", placeholder, public=True),
        Probe("no role tags", "The prompt is the user's turn, without a template.", roles, public=True),
        Probe("question ignored", "For captions and OCR a question is ignored.", ignored),
        Probe("unknown task", "Any other task raises ValueError.", unknown_tasks, public=True),
        Probe(
            "no question", "'vqa' without a question raises ValueError; blank counts as none.", no_question, public=True
        ),
        Probe("injection", "A question that contains <image> raises ValueError, whatever the task.", injection),
        Probe(
            "live vqa",
            "The live model answers questions as well as with the reference prompts.",
            partial(answered, "vqa"),
        ),
        Probe("live caption", "Its captions say as much of the picture.", partial(answered, "caption")),
        Probe("live ocr", "It reads text as well.", partial(answered, "ocr")),
        ARGUMENTS,
    ),
)
