"""Prompting: the same pictures under several prompts, scored against expected answers.

Three scores, each 0 to 1: `exact` (the answer is the expected one, case, articles and full stop aside, as in VQA),
`words` (F1 of the words, for captions) and `characters` (1 - edit distance / longer length, for reading text).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from sandbox.errors import BadInput
from sandbox.images import ImageSource
from sandbox.request import Reply
from sandbox.tiny import draw, sample_scene
from sandbox.tiny.questions import SENTENCE_SUFFIX, SHORT_SUFFIX, ask_color

Score = Literal["exact", "words", "characters"]
QUESTION = "{question}"
MOST_CELLS = 400
ARTICLES = frozenset(("a", "an", "the"))


class BadTable(BadInput):
    """The table of cases and prompts can't be run; its text says why."""


@dataclass(frozen=True)
class Case:
    """A picture with a question about it and the answer that is expected."""

    picture: ImageSource
    question: str
    expected: str


@dataclass(frozen=True)
class Cell:
    """What one prompt made of one case."""

    case: int
    prompt: int
    asked: str
    reply: Reply
    score: float


@dataclass(frozen=True)
class Summary:
    """How one prompt did: the mean score, 0 to 1, mean tokens of the answer, and mean seconds."""

    prompt: int
    score: float
    tokens: float
    seconds: float


def example(seed: int = 0, count: int = 6) -> tuple[list[Case], list[str]]:
    """Return cases and prompts to begin with: scenes, questions about a color, and prompts that do better and worse."""
    chance, cases = Random(f"prompting {seed}"), list[Case]()
    while len(cases) < count:
        scene = sample_scene(chance, count=2, text=False)
        question = ask_color(chance, scene)
        if question and question.answer != "none":
            cases.append(Case(draw(scene), question.prompt, question.answer))
    prompts = [QUESTION, QUESTION + SHORT_SUFFIX, QUESTION + SENTENCE_SUFFIX, "Describe the image."]
    return cases, prompts


def check(cases: Sequence[Case], prompts: Sequence[str]) -> None:
    """Check a table before it is run; BadTable says what to change."""
    if not cases:
        raise BadTable("The table has no pictures. Add one, with its question and the answer that you expect.")
    if not prompts:
        raise BadTable(f"There is no prompt. Write one to a line; {QUESTION} stands for a case's question.")
    if len(cases) * len(prompts) > MOST_CELLS:
        raise BadTable(
            f"{len(cases)} pictures times {len(prompts)} prompts are {len(cases) * len(prompts)} answers; at most "
            f"{MOST_CELLS} are run at once."
        )
    for number, case in enumerate(cases, 1):
        if not case.expected.strip():
            raise BadTable(f"Case {number} has no expected answer, so nothing can be scored. Write it.")


def answers(
    answer: Callable[[str, Sequence[ImageSource]], Reply],
    cases: Sequence[Case],
    prompts: Sequence[str],
    *,
    score: Score = "exact",
) -> Iterator[Cell]:
    """Ask every prompt about every case, prompt by prompt, and yield each cell as it comes.

    Args:
        answer: Answers a prompt about pictures, such as `Engine.answer`.
        cases: The cases.
        prompts: Each may hold `{question}` where the case's question stands.
        score: How an answer is compared with the expected one.

    Raises:
        BadTable: There is nothing to run, or too much.
    """
    check(cases, prompts)
    for prompt_number, prompt in enumerate(prompts):
        for case_number, case in enumerate(cases):
            asked = prompt.replace(QUESTION, case.question)
            reply = answer(asked, [case.picture])
            yield Cell(case_number, prompt_number, asked, reply, SCORES[score](reply.text, case.expected))


def summarize(cells: Sequence[Cell]) -> list[Summary]:
    """Return how each prompt did, in the prompts' order."""
    found = []
    for prompt in sorted({cell.prompt for cell in cells}):
        own = [cell for cell in cells if cell.prompt == prompt]
        found.append(
            Summary(
                prompt,
                sum(cell.score for cell in own) / len(own),
                sum(len(cell.reply.tokens) for cell in own) / len(own),
                sum(cell.reply.trace.seconds for cell in own) / len(own),
            )
        )
    return found


def to_csv(cells: Sequence[Cell], cases: Sequence[Case], prompts: Sequence[str]) -> str:
    """Return the table as CSV; a cell that a spreadsheet would run as a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["case", "prompt", "question", "expected", "answer", "score", "tokens", "seconds"])
    for cell in cells:
        case = cases[cell.case]
        row = [prompts[cell.prompt], case.question, case.expected, cell.reply.text]
        writer.writerow(
            [
                cell.case + 1,
                *(f"'{text}" if text[:1] in "=+-@\t\r" and text else text for text in row),
                f"{cell.score:.3f}",
                len(cell.reply.tokens),
                f"{cell.reply.trace.seconds:.4f}",
            ]
        )
    return out.getvalue()


def plain(text: str) -> str:
    """Return an answer for comparison: lower case, without articles, marks around it and double spaces."""
    return " ".join(word for word in re.findall(r"\w+", text.lower()) if word not in ARTICLES)


def exact(given: str, expected: str) -> float:
    """Return 1 where the answers are the same but for case, articles and marks."""
    return float(plain(given) == plain(expected))


def word_overlap(given: str, expected: str) -> float:
    """Return the F1 of the words, repetitions counted."""
    first, second = Counter(plain(given).split()), Counter(plain(expected).split())
    shared = sum((first & second).values())
    return 2 * shared / (first.total() + second.total()) if shared else float(not first and not second)


def character_accuracy(given: str, expected: str) -> float:
    """Return 1 - edit distance / the longer length."""
    longest = max(len(given), len(expected))
    return 1 - edit_distance(given, expected) / longest if longest else 1.0


def edit_distance(first: str, second: str) -> int:
    """Return the Levenshtein distance, in characters."""
    row = list(range(len(second) + 1))
    for number, left in enumerate(first, 1):
        before, row[0] = row[0], number
        for column, right in enumerate(second, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (left != right))
    return row[-1]


SCORES: dict[Score, Callable[[str, str], float]] = {
    "exact": exact,
    "words": word_overlap,
    "characters": character_accuracy,
}
