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

NEGATIONS = re.compile(
    r"\b(?:not|never|no|nor|neither|none|nothing|without|cannot|false|wrong|incorrect|untrue|isn|aren|wasn|weren|don|"
    r"doesn|didn|won|wouldn|can|couldn|shouldn|hasn|haven)(?:['’]t)\b|"
    r"\b(?:not|never|no|nor|neither|none|nothing|without|cannot|false|wrong|incorrect|untrue)\b",
    re.IGNORECASE,
)
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


def is_negated(text: str) -> bool:
    """Tell whether a text holds a word of negation. A word list: it knows nothing of scope."""
    return NEGATIONS.search(text) is not None


def is_word_list(text: str, short: bool = False) -> bool:
    """Tell whether a text strings words together without stating anything.

    Words state something through function words, numbers and marks of structure; a list of keywords has neither. Texts
    of fewer than 8 words are never called lists.

    Args:
        text: A sentence, or several.
        short: Whether it is a run of short sentences, which need fewer function words to state something.
    """
    letters = [word.lower() for word in LETTERS.findall(text)]
    if len(letters) < 8:
        return False
    if len(STRUCTURE.findall(text)) >= max(3, len(letters) / 10):
        return False
    glue = [word for word in letters if word in FUNCTION_WORDS]
    if len(glue) / len(letters) < (0.06 if short else 0.1):
        return True
    # the same few glue words over and over don't make sentences of a list
    return not short and len(set(glue)) < min(3, len(letters) / 10)


def runs(spans: Sequence[Span], text: str, shorter_than: int = 8) -> Iterator[list[Span]]:
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
