"""An answer in numbered passages, all of it: what a model points at when it names its evidence."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from webapp.feedback.text import BULLET, sentences

LONGEST = 600  # characters; a longer sentence is several passages
MOST_QUOTED = 3


class Passage(NamedTuple):
    """A stretch of the answer, end exclusive; `number` counts from 1."""

    number: int
    start: int
    end: int


def passages(answer: str) -> list[Passage]:
    """Cut an answer at sentence ends and line breaks; together the passages hold all of it but white space."""
    bullets = {bullet.end(): bullet.start() for bullet in BULLET.finditer(answer)}
    unmarked = BULLET.sub(lambda bullet: "\n" * len(bullet[0]), answer)  # '2.' is no sentence
    starts = [bullets.get(span.start, span.start) for span in sentences(unmarked)]
    if not starts:
        return []
    edges = [0, *starts[1:], len(answer)]
    cuts: list[int] = []
    for start, end in pairwise(edges):
        cuts += cut(answer, start, end)
    found: list[Passage] = []
    for start, end in zip(cuts, [*cuts[1:], len(answer)], strict=True):
        piece = answer[start:end]
        if piece.strip():
            begin = start + len(piece) - len(piece.lstrip())
            found.append(Passage(len(found) + 1, begin, start + len(piece.rstrip())))
    return found


def cut(text: str, start: int, end: int) -> list[int]:
    """Return where the pieces of a stretch begin, none longer than LONGEST, at white space where there is some."""
    begins = [start]
    while end - begins[-1] > LONGEST:
        limit = begins[-1] + LONGEST
        space = max(
            text.rfind(" ", begins[-1] + LONGEST // 2, limit), text.rfind("\n", begins[-1] + LONGEST // 2, limit)
        )
        begins.append(space + 1 if space >= 0 else limit)
    return begins


def halves(answer: str, part: Sequence[Passage]) -> tuple[Sequence[Passage], Sequence[Passage]]:
    """Return two parts of a part of two passages or more, at the blank line or heading nearest its middle if one is."""
    middle = (part[0].start + part[-1].end) / 2

    def distance(place: int) -> tuple[bool, float]:
        before = answer[part[place - 1].end : part[place].start]
        section = before.count("\n") > 1 or answer[part[place].start] == "#"
        near = abs(part[place].start - middle)
        return not (section and near < (part[-1].end - part[0].start) / 4), near

    place = min(range(1, len(part)), key=distance)
    return part[:place], part[place:]


def span_of(numbers: Sequence[int], part: Sequence[Passage]) -> tuple[int, int] | None:
    """Return the stretch that a model named: the first passage and those of the named ones that adjoin it."""
    known = {passage.number: passage for passage in part}
    named = [number for number in dict.fromkeys(numbers) if number in known][:MOST_QUOTED]
    if not named:
        return None
    low = high = named[0]
    while low - 1 in named:
        low -= 1
    while high + 1 in named:
        high += 1
    return known[low].start, known[high].end
