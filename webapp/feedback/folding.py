"""Folding: text that looks the same is compared as the same, and keeps its place in the answer.

Full-width and mathematical letters, ligatures and look-alikes from other alphabets become plain letters; characters
that nobody sees are left out. Only what is compared is folded: quotes are cut from the answer itself.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

# Cyrillic and Greek letters that look like Latin ones (a part of Unicode TR 39's confusables)
ALIKE = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХаеѕіјорсухԁһΑΒΕΖΗΙΚΜΝΟΡΤΥΧονι",
        "ABESIJKMHOPCTYXaesijopcyxdhABEZHIKMNOPTYXovi",
        strict=True,
    )
)
GREEK = frozenset("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονι")
LETTERS = re.compile(r"[^\W\d_]+")
# decompositions that change how a letter is drawn and not what it is; superscripts (24²) are another thing
REDRAWN = ("<wide>", "<narrow>", "<font>", "<compat>", "<noBreak>")
UNSEEN = {"Cf", "Mn"}  # format characters, and marks that stand on the letter before


class Folded(NamedTuple):
    """Folded text with, for each of its characters, the place of the answer's character that it came from."""

    text: str
    origin: Sequence[int]


def fold(answer: str) -> Folded:
    """Return the answer as plain letters."""
    if answer.isascii():
        return Folded(answer, range(len(answer)))
    drawn = [_redrawn(character) for character in answer]
    text = "".join(drawn)
    origin = [place for place, characters in enumerate(drawn) for _ in characters]
    letters = [character for character in text if character.isalpha()]
    mostly_latin = 2 * sum(_is_latin(character) for character in letters) > len(letters)

    def latin(match: re.Match[str]) -> str:
        word = match[0]
        if len(word) == 1 and word in GREEK:  # a sign, as in formulas
            return word
        if not (mostly_latin or any(map(_is_latin, word))) or not any(map(ALIKE.__contains__, word)):
            return word
        alike = "".join(ALIKE.get(character, character) for character in word)
        return alike if all(map(_is_latin, alike)) else word

    return Folded(LETTERS.sub(latin, text), origin)


@lru_cache(maxsize=10_000)
def _redrawn(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.category(character) in UNSEEN:
        return ""
    if unicodedata.decomposition(character).startswith(REDRAWN):
        return unicodedata.normalize("NFKC", character)
    return character


def _is_latin(character: str) -> bool:
    return ord(character) < 0x250
