"""How verdicts read, on the report and in the review alike."""

from collections.abc import Iterable
from typing import Any, Protocol

from content import Criterion
from webapp import feedback
from webapp.pages.wording import highlighted
from webapp.store import Grade

NAMES = {
    feedback.Verdict.MET: ("Found", "good"),
    feedback.Verdict.UNMET: ("Not found", "bad"),
    feedback.Verdict.CANNOT_ASSESS: ("Unclear", "unsure"),
}


class Line(Protocol):
    """A criterion with its verdict, as the report and the review have it."""

    @property
    def criterion(self) -> Criterion:
        """The criterion."""

    @property
    def verdict(self) -> str | None:
        """The verdict, None until graded."""

    @property
    def quote(self) -> str:
        """The words found."""

    @property
    def start(self) -> int | None:
        """Where they begin in the answer, in characters."""

    @property
    def end(self) -> int | None:
        """Where they end."""

    @property
    def reason(self) -> str:
        """Why."""

    @property
    def advice(self) -> str:
        """What to add or correct."""

    @property
    def uncertain(self) -> bool:
        """Whether two readings differ."""


def verdict_lines(lines: Iterable[Line], *, probe_when_missed: bool = False) -> list[dict[str, Any]]:
    """Return the lines of a table of verdicts; with `probe_when_missed`, met criteria show no probe."""
    shown = []
    for line in lines:
        name, tone = NAMES[feedback.Verdict(line.verdict)] if line.verdict else ("Not graded", "dim")
        if line.uncertain:
            name = "Uncertain"
        is_met = line.verdict == feedback.Verdict.MET
        shown.append(
            {
                "verdict": name,
                "tone": tone,
                "text": line.criterion.text,
                "tier": line.criterion.tier.value,
                "weight": line.criterion.weight,
                "quote": line.quote,
                "reason": "" if is_met else line.reason,
                "advice": line.advice,
                "probe": "" if probe_when_missed and is_met else line.criterion.probe,
            }
        )
    return shown


def segments(answer: str, lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Return an answer cut at the quotes of its met criteria."""
    spans = [
        (line.start, line.end, line.criterion.text)
        for line in lines
        if line.verdict == feedback.Verdict.MET and line.start is not None and line.end is not None
    ]
    return highlighted(answer, spans) if answer else []


def gate_sentence(grade: Grade | None) -> str | None:
    """Return why no grader read an answer, None if one did."""
    return str(grade.gate["sentence"]) if grade and grade.gate else None


def flag_sentences(grade: Grade | None) -> list[str]:
    """Return what a reader should know of a graded answer."""
    return [feedback.Flag(flag).sentence for flag in grade.flags] if grade else []


def grader_card(kind: str) -> dict[str, Any]:
    """Return a grader's name and what people must know of it."""
    card = feedback.describe(kind)
    return {
        "name": card.name,
        "sentences": [card.is_what, card.cannot_tell],
        "figures": card.figures,
    }
