"""An answer as text: what of it is prose, its sentences, words and stems, and which sentences carry no statement.

Everything here keeps character offsets, so that whatever is found can be quoted from the answer itself.
Covered: English prose with Markdown, code fences and diagrams around it. Not covered: what code or a diagram says.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

import snowballstemmer

from webapp.feedback.folding import fold
from webapp.feedback.lexicon import (
    AFTER_ARTICLE,
    AFTER_PREPOSITION,
    ARTICLES,
    FUNCTION_WORDS,
    GLUE,
    NUMBERS,
    PREPOSITIONS,
    RELATIONS,
    VAGUE,
)

FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+\S.*$", re.MULTILINE)
COMMENT = re.compile(r"(?:(?<=\s)|^)(?:#|//)[ \t]+([^\n]*[^\W\d_]{3}[^\n]*)", re.MULTILINE)
DIAGRAM = re.compile(r"mermaid|plantuml|puml|dot|graphviz|text", re.IGNORECASE)
BULLET = re.compile(r"^[ \t]*(?:#{1,6}|[-*+•]|\d{1,2}[.)])[ \t]+", re.MULTILINE)
MARKUP = re.compile(r"^[ \t]*>+|[*`]{1,3}|(?<!\w)_{1,3}|_{1,3}(?!\w)|\|", re.MULTILINE)
# a full stop ends a sentence only before white space, so '0.48' and 'model.py' stay whole
BREAK = re.compile(r"(?<=[.!?;])\s+|\s*\n\s*|(?<=[。！？])")
WRAPPED_LINE = 60  # a line of at least this many characters that ends within a sentence goes on in the next
ABBREVIATED = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|Fig|No)\.)$")
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:\.\d+)?")
LETTERS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")

ORDERED = re.compile(r"\w+|[.,;:!?)]")
ITEM = re.compile(r"[,;|\n]|[.:!?](?=\s|$)")
RELATION = re.compile(r"[=→<>~≤≥×+@%&]|->")
STRUCTURE = re.compile(r"[{}()\[\];:=<>×→%]|->|0x[0-9a-fA-F]+|\d+(?:\.\d+)?")

_stemmer = snowballstemmer.stemmer("english")
_stemming = threading.Lock()  # snowball keeps the word that it works on in the stemmer itself


class Span(NamedTuple):
    """A stretch of text, end exclusive."""

    start: int
    end: int


class Prose(NamedTuple):
    """An answer's prose: folded text with spaces where code, diagrams and markup stood.

    Attributes:
        text: What is compared.
        origin: For each character of `text`, its place in the answer.
        headings: Where Markdown headings stand in `text`.
        has_code: Whether something was left out that is code or a diagram.
    """

    text: str
    origin: Sequence[int]
    headings: tuple[Span, ...]
    has_code: bool

    def place(self, span: Span) -> Span:
        """Return where a stretch of `text` stands in the answer; it must not be empty."""
        return Span(self.origin[span.start], self.origin[span.end - 1] + 1)


def prose(answer: str) -> Prose:
    """Fold an answer and blank out code and Markdown marks; what code says in its comments is prose too."""
    folded, origin = fold(answer)
    unfenced, fences = FENCE.subn(lambda match: _comments(match[0]), folded)
    headings = tuple(Span(*match.span()) for match in HEADING.finditer(unfenced))
    # a bullet begins a new line even where the text is wrapped
    unmarked = BULLET.sub(lambda match: "\n" * len(match[0]), unfenced)
    return Prose(MARKUP.sub(lambda match: " " * len(match[0]), unmarked), origin, headings, bool(fences))


def _comments(block: str) -> str:
    """Blank out a fenced block but for its comments."""
    language, _, _ = block.partition("\n")
    kept = [] if DIAGRAM.search(language) else [match.span(1) for match in COMMENT.finditer(block)]
    inside = set(chain.from_iterable(range(*span) for span in kept))
    return "".join(c if c == "\n" or place in inside else " " for place, c in enumerate(block))


def sentences(text: str) -> list[Span]:
    """Split text at sentence ends, semicolons and line breaks; each span is stripped and holds a letter or digit."""
    spans = []
    start = 0
    for end, following in [*(match.span() for match in BREAK.finditer(text)), (len(text), len(text))]:
        if ABBREVIATED.search(text, max(start, end - 8), end) or is_wrap(text, end, following):
            continue
        piece = text[start:end]
        if any(character.isalnum() for character in piece):
            spans.append(Span(end - len(piece.lstrip()), start + len(piece.rstrip())))
        start = following
    return spans


def is_wrap(text: str, end: int, following: int) -> bool:
    """Tell whether a break is the single line break of wrapped text."""
    if text.count("\n", end, following) != 1 or text[end - 1 : end] in set(".!?;:"):
        return False
    line = text[text.rfind("\n", 0, end) + 1 : end]
    return len(line) >= WRAPPED_LINE or text[following : following + 1].islower()


@lru_cache(maxsize=10_000)
def words(text: str) -> tuple[str, ...]:
    """Return the words and numbers of a text in lower case, number words up to ten as digits."""
    return tuple(NUMBERS.get(word, word) for word in WORD.findall(text.lower()))


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """Return a lower-case word's English Snowball stem."""
    with _stemming:
        stemmed: str = _stemmer.stemWord(word)
    return stemmed


def stems(text: str) -> list[str]:
    """Return the stems of a text's content words, in order."""
    return [stem(word) for word in words(text) if word not in FUNCTION_WORDS and (len(word) > 1 or word.isdigit())]


def asks(sentence: str) -> bool:
    """Tell whether a sentence is a question."""
    return sentence.rstrip("\"') ").endswith("?")


def phrases(text: str) -> set[str]:
    """Return a text's stems and the ordered pairs of stems at most three words apart, function words not counted.

    Words of relation ("into", "before", "not", "every") stand in pairs as they are: "A into B" isn't "B into A".
    """
    listed = []
    for word in words(text):
        if word in RELATIONS:
            listed.append(f"_{word}")
        elif word not in FUNCTION_WORDS and (len(word) > 1 or word.isdigit()):
            listed.append(stem(word))
    pairs = {f"{first}>{second}" for place, first in enumerate(listed) for second in listed[place + 1 : place + 4]}
    return pairs.union(single for single in listed if not single.startswith("_"))


VAGUE_STEMS = frozenset(map(stem, VAGUE))


def is_word_list(text: str, least_words: int, least_glue: float) -> bool:
    """Tell whether a text strings words together without stating anything.

    Words state something through function words, numbers and marks of structure; a list of keywords has neither.

    Args:
        text: A sentence, or several.
        least_words: The number of words below which nothing is called a list.
        least_glue: The share of function words, 0 to 1, below which it is one.
    """
    letters = [word.lower() for word in LETTERS.findall(text)]
    if len(letters) < least_words or len(STRUCTURE.findall(text)) >= max(3, len(letters) / 10):
        return False
    glue = [word for word in letters if word in FUNCTION_WORDS]
    # the same few glue words over and over don't make sentences of a list
    return len(glue) / len(letters) < least_glue or (len(glue) >= 5 and len(set(glue)) <= min(3, len(glue) / 5))


def rows_of_terms(text: str, least: int) -> Iterator[Span]:
    """Yield where so many bare terms stand in a row: up to three words each, between commas, stops or line breaks.

    A term with a function word or a mark of relation (=, ->, %) isn't bare. Answers in the tersest note style have up
    to 12 in a row, lists of keywords 20 and more.
    """
    row: list[Span] = []
    ends = [match.span() for match in ITEM.finditer(text)] + [(len(text), len(text))]
    start = 0
    for end, following in ends:
        item = text[start:end]
        glued = any(word.lower() in FUNCTION_WORDS for word in LETTERS.findall(item))
        if item.strip() and (len(item.split()) > 3 or glued or RELATION.search(item)):
            if len(row) >= least:
                yield Span(row[0].start, row[-1].end)
            row = []
        elif item.strip():
            row.append(Span(start, end))
        start = following
    if len(row) >= least:
        yield Span(row[0].start, row[-1].end)


def glue_share(text: str) -> tuple[float, int]:
    """Return the share of prepositions and articles among a text's words, and how many words there are.

    No answer of 40 words or more in the SAF corpus has more than 0.41; keywords strung on such words have about 0.5.
    """
    listed = [word.lower() for word in LETTERS.findall(text)]
    return sum(word in GLUE for word in listed) / max(1, len(listed)), len(listed)


def function_share(text: str) -> float:
    """Return the share of function words among a text's words: over 0.2 in sentences, under it in notes."""
    listed = [word.lower() for word in LETTERS.findall(text)]
    return sum(word in FUNCTION_WORDS for word in listed) / max(1, len(listed))


def vague_words(text: str) -> tuple[int, int]:
    """Return how many of a text's different content words are vague ones, and how many there are."""
    listed = set(stems(text))
    return sum(word in VAGUE_STEMS for word in listed), len(listed)


def is_unordered(text: str) -> bool:
    """Tell whether a text's words seem to be shuffled, by what follows its articles and prepositions.

    Of the English answers of the SAF corpus, many of them not by native speakers, 0.1 % look shuffled by this line; of
    those over 60 words with their words shuffled, 61 % do.
    """
    pairs = list(pairwise(word if word == "A" else word.lower() for word in [*ORDERED.findall(text), "."]))
    followed = [after for before, after in pairs if before in ARTICLES or before in PREPOSITIONS]
    odd = [
        after
        for before, after in pairs
        if (before in ARTICLES and (after in AFTER_ARTICLE or not after.isalnum()))
        or (before in PREPOSITIONS and (after in AFTER_PREPOSITION or not after.isalnum()))
    ]
    return len(followed) >= 8 and len(odd) / len(followed) >= 0.25


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
