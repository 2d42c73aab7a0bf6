"""How figures and times read on the pages."""

from datetime import datetime
from itertools import pairwise
from typing import Any


def clock(seconds: float) -> str:
    """Return a duration as 14:05, or 1:03:20 from an hour on."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes = f"{rest // 60:02d}:{rest % 60:02d}"
    return f"{hours}:{minutes}" if hours else minutes


def moment(when: datetime | None) -> str:
    """Return a time as 23 Nov 2026, 19:05 UTC; the browser puts it into local time."""
    return when.strftime("%-d %b %Y, %H:%M UTC") if when else ""


def milliseconds(when: datetime) -> int:
    """Return a time as milliseconds since 1970, as browsers count."""
    return round(when.timestamp() * 1000)


def count(number: int, thing: str, things: str = "") -> str:
    """Return a number with its noun: 1 hint, 2 hints; `things` is the plural where it isn't made with an s."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def shape(dimensions: tuple[int, ...] | list[int]) -> str:
    """Return an array's shape as 3×112×112."""
    return "×".join(str(size) for size in dimensions)


def highlighted(text: str, spans: list[tuple[int, int, str]]) -> list[dict[str, Any]]:
    """Cut a text into segments at its quotes.

    Args:
        text: the answer.
        spans: start, end (characters) and what the quote shows, for each quote; they may overlap.

    Returns:
        Segments in order, each with `text` and `marked`: what the quotes over it show, empty outside any.
    """
    edges = sorted({0, len(text), *(edge for start, end, _ in spans for edge in (start, end))})
    segments = []
    for left, right in pairwise(edges):
        marks = [what for start, end, what in spans if start <= left and right <= end]
        segments.append({"text": text[left:right], "marked": "; ".join(dict.fromkeys(marks))})
    return segments
