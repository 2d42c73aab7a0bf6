"""Questions about fresh scenes for the live model, and how well it answers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from sandbox.judge.bench import Wrong
from sandbox.request import Reply, Request
from sandbox.tiny import TASKS, draw, sample_scene

if TYPE_CHECKING:
    from sandbox.engine import Engine

SHORT_TASKS = ("color", "shape", "count", "position", "presence")
"""Tasks with an answer in a word or two that the picture alone decides."""
BATCH = 48
"""Most requests that are read together."""
AT_ONCE = 2
"""Batches of all judging in this process that may be under way."""
LARGEST, TEXT_TOKENS = (1200, 1200), 256
"""What a request takes at most: the size of its picture, and tokens of its text and answer."""
_turns = threading.BoundedSemaphore(AT_ONCE)
AS_WELL = 0.95
"""Share of the reference's accuracy that counts as answering as well."""


@dataclass(frozen=True)
class Item:
    """A picture, a question about it, and its answer."""

    picture: Image.Image
    prompt: str
    answer: str


def items(chance: random.Random, count: int, tasks: Sequence[str] = SHORT_TASKS) -> list[Item]:
    """Draw scenes, each with one question."""
    found: list[Item] = []
    while len(found) < count:
        scene = sample_scene(chance)
        question = TASKS[chance.choice(list(tasks))](chance, scene)
        if question is not None:
            found.append(Item(draw(scene), question.prompt, question.answer))
    return found


def answers(
    engine: Engine,
    asked: Sequence[Item],
    replace: Mapping[str, Callable[..., Any]] | None = None,
    *,
    images: Sequence[Any] | None = None,
) -> list[str]:
    """Return the model's answers.

    Args:
        engine: The live model.
        asked: What to ask.
        replace: Functions in the place of stages.
        images: Other sources for the pictures.
    """
    sources = images if images is not None else [item.picture for item in asked]
    requests = [
        Request(f"<image>\n{item.prompt}", [source], replace=replace or {}, max_new_tokens=16)
        for item, source in zip(asked, sources, strict=True)
    ]
    return [reply.text for reply in replies(engine, requests)]


def replies(engine: Engine, requests: Sequence[Request]) -> list[Reply]:
    """Return the model's replies, read in batches: many times faster than answers that are stepped in slots.

    A batch holds room at the engine's door for all of its requests while it waits for the rest of it, so that all
    batches of the judge together never ask for more than half of what there is.

    Raises:
        BadInput: As the engine's `answer_many`.
    """
    settings, checkpoint = engine.settings, engine.checkpoint
    each = checkpoint.count_image_tokens(LARGEST) + TEXT_TOKENS
    tiles = checkpoint.count_tiles(LARGEST)
    size = min(BATCH, settings.sandbox_tokens // (2 * AT_ONCE * each), settings.sandbox_tiles // (2 * AT_ONCE * tiles))
    if size < 2:
        return engine.answer_many(requests)
    found: list[Reply] = []
    for start in range(0, len(requests), size):
        with _turns:
            found += engine.run_static(requests[start : start + size], "padded", size=size).replies
    return found


def right(given: Sequence[str], asked: Sequence[Item]) -> list[bool]:
    """Return which answers are right."""
    return [same(text, item.answer) for text, item in zip(given, asked, strict=True)]


def same(text: str, answer: str) -> bool:
    """Whether two answers agree but for case, space and a final full stop."""
    return text.strip().rstrip(".").casefold() == answer.strip().rstrip(".").casefold()


def expect_as_well(mine: Sequence[bool], reference: Sequence[bool], what: str) -> str:
    """`Wrong` unless as good a share is right as `AS_WELL` of the reference's; one question more or less is chance."""
    ours, theirs = sum(mine), sum(reference)
    sentence = f"With {what}, {ours} of {len(mine)} answers were right; with the engine's own stage, {theirs}."
    if ours < AS_WELL * theirs - 1:
        raise Wrong(f"{sentence} At least {AS_WELL:.0%} of that is asked for.")
    return sentence
