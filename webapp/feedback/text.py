"""An answer as text: what of it is prose, its sentences, words and stems, and which sentences carry no statement.

Everything here keeps character offsets, so that whatever is found can be quoted from the answer itself.
Covered: English prose with Markdown, code fences and diagrams around it. Not covered: what code or a diagram says.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import snowballstemmer

from webapp.feedback.lexicon import FUNCTION_WORDS, NUMBERS

FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
MARKUP = re.compile(r"^[ \t]*(?:#{1,6}|>+|[-*+•]|\d{1,2}[.)])[ \t]+|[*_`]{1,3}|\|", re.MULTILINE)
# A full stop ends a sentence only before white space, so '0.48' and 'model.py' stay whole. A single line break ends one
# unless the next line goes on in lower case, as in wrapped text.
BREAK = re.compile(r"(?<=[.!?;])\s+|\n\s*\n\s*|(?<=:)[ \t]*\n\s*|[ \t]*\n(?![ \t]*[a-z(])\s*|(?<=[。！？])")
ABBREVIATED = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|Fig|No)\.)$")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:\.\d+)?")
LETTERS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")

STRUCTURE = re.compile(r"[{}()\[\];:=<>×→%]|->|0x[0-9a-fA-F]+|\d+(?:\.\d+)?")

_stemmer = snowballstemmer.stemmer("english")
_stemming = threading.Lock()  # snowball keeps the word that it works on in the stemmer itself


class Span(NamedTuple):
    """A stretch of text, end exclusive."""

    start: int
    end: int


class Prose(NamedTuple):
    """An answer's prose: text of the answer's length with spaces where code, diagrams and markup stood."""

    text: str
    has_code: bool


def prose(answer: str) -> Prose:
    """Blank out code fences and Markdown marks; offsets stay those of the answer."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    unfenced, fences = FENCE.subn(blank, answer)
    return Prose(MARKUP.sub(blank, unfenced), bool(fences))


def sentences(text: str) -> list[Span]:
    """Split text at sentence ends, semicolons and line breaks; each span is stripped and holds a letter or digit."""
    spans = []
    start = 0
    for end, following in [(match.start(), match.end()) for match in BREAK.finditer(text)] + [(len(text), len(text))]:
        if ABBREVIATED.search(text, max(start, end - 8), end):
            continue
        piece = text[start:end]
        left, right = start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
        if any(character.isalnum() for character in piece):
            spans.append(Span(left, right))
        start = following
    return spans


def words(text: str) -> list[str]:
    """Return the words and numbers of a text in lower case, number words up to ten as digits."""
    return [NUMBERS.get(word, word) for word in WORD.findall(text.lower())]


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Return a lower-case word's English Snowball stem."""
    with _stemming:
        stemmed: str = _stemmer.stemWord(word)
    return stemmed


def stems(text: str) -> list[str]:
    """Return the stems of a text's content words, in order."""
    return [stem(word) for word in words(text) if word not in FUNCTION_WORDS and (len(word) > 1 or word.isdigit())]


def is_word_list(text: str, least_glue: float) -> bool:
    """Tell whether a text strings words together without stating anything.

    Words state something through function words, numbers and marks of structure; a list of keywords has neither. Texts
    of fewer than 8 words are never called lists.

    Args:
        text: A sentence, or several.
        least_glue: The share of function words, 0 to 1, below which it is a list.
    """
    letters = [word.lower() for word in LETTERS.findall(text)]
    if len(letters) < 8 or len(STRUCTURE.findall(text)) >= max(3, len(letters) / 10):
        return False
    glue = [word for word in letters if word in FUNCTION_WORDS]
    # the same few glue words over and over don't make sentences of a list
    return len(glue) / len(letters) < least_glue or len(set(glue)) < min(3, len(letters) / 10)


def runs(spans: Sequence[Span], text: str, shorter_than: int) -> Iterator[list[Span]]:
    """Yield each maximal run of neighbouring sentences that have fewer words than `shorter_than`."""
    run: list[Span] = []
    for span in spans:
        if len(LETTERS.findall(text[slice(*span)])) < shorter_than:
            run.append(span)
            continue
        if run:
            yield run
        run = []
    if run:
        yield run
