"""What the judge says of a candidate's code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: A word or two, unique in its exercise.
        about: What is looked at, as a sentence.
        passed: Whether it held.
        detail: What was expected and what came, on which input; what was seen where it passed.
        picture: A PNG of expected, got and their difference side by side, where pictures were compared.
    """

    name: str
    about: str
    passed: bool
    detail: str
    picture: bytes | None = None


@dataclass(frozen=True)
class Verdict:
    """What came of one run of the judge.

    Attributes:
        passed: Whether every check held.
        score: Share of checks that held, 0 to 1.
        checks: All of them, in the exercise's order.
        error: The traceback of the candidate's first unexpected error, trimmed to their file; '' without one.
        seconds: Wall time of the whole.
        seed: What the inputs were drawn from; the same seed draws the same inputs.
        exercise: Such as 'q05'.
        prints: What the code printed, cut where `print_truncated` says so.
        print_truncated: Whether some of it was dropped.
        peak_bytes: Most memory that a call took over what was there before it; None where the system doesn't tell.
        notes: What a reader should know of how it was judged, as sentences.
    """

    passed: bool
    score: float
    checks: tuple[Check, ...]
    error: str
    seconds: float
    seed: int
    exercise: str
    prints: str = ""
    print_truncated: bool = False
    peak_bytes: int | None = None
    notes: tuple[str, ...] = ()
