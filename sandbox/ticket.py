"""An answer on its way through the slots."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch

from sandbox.cache import CacheUse
from sandbox.errors import OutOfMemory
from sandbox.programs import Programs
from sandbox.stages.generate import Answer


@dataclass(eq=False)
class Ticket:
    """An answer on its way through the slots."""

    answer: Answer
    programs: Programs
    """What reads its prompt and steps it."""
    user: str = ""
    stopped: Callable[[], bool] = bool
    """Asked before every step; True ends the answer."""
    told: Callable[[], None] | None = None
    """Called by the model's thread after every token; must return at once."""
    repeat: bool = True
    """Whether its numbers must not depend on the company; if they may, prompts that wait together are read together."""
    done: Future[None] = field(default_factory=Future)
    submitted: float = 0.0
    """When it began to wait for a slot, by `time.perf_counter()`."""
    uses: list[CacheUse] = field(default_factory=list)
    """Whether the prefix cache had its first part."""
    slots: int = 0
    length: int = 0
    prefill: tuple[int, int] = (0, 0)
    repeatable: bool = False
    """Whether the self-test found that the slots give equal numbers in any company."""
    company: int = 0
    """Most answers that were under way in one of its steps."""


def in_words(error: BaseException) -> BaseException:
    """Return an error that says what a person can do, where it is the memory that is full."""
    full = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
    if not full:
        return error
    said = OutOfMemory(
        "There isn't enough memory for this question with its pictures. Use fewer pictures, or ask again later."
    )
    said.__cause__ = error
    return said
