"""A question's rubric, made ready to be compared with answers, and how rare words are in the bank."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from content import Question
from webapp.feedback.claims import Claims
from webapp.feedback.embedding import Embedder, Vectors, unit
from webapp.feedback.polarity import Polarity, polarity_of
from webapp.feedback.text import asks, phrases, stems, words
from webapp.feedback.wording import asked, question_stems, triples

Scores = NDArray[np.float32]

PAIR = 0.5

# 'Names the projector ...' asks for what follows the verb
VERB = re.compile(
    r"^(?:Says|Names|Mentions|States|Explains|Gives|Compares|Contrasts|Describes|Notes|Knows|Checks|Handles|Covers|Uses)"
    r"\b(?:\s+that\b|\s+the\b)?\s*"
)


@dataclass(frozen=True)
class Rarity:
    """Inverse document frequencies over a bank's rubrics.

    Attributes:
        stems: Of each stem that occurs.
        unseen: Of a stem that doesn't.
        pieces: Of each piece of the embedder's vocabulary, shape (pieces,).
        claims: How the bank's false statements are worded.
    """

    stems: dict[str, float]
    unseen: float
    pieces: Vectors
    claims: Claims


@dataclass(frozen=True)
class Material:
    """What a rubric says about its criteria, ready to be compared with windows.

    Attributes:
        owner: For each text of the rubric the position of its criterion, shape (texts,).
        affirms: For each text whether it states the criterion or a misconception of it, shape (texts,).
        vectors: Unit vectors without the question's direction, shape (texts, dimensions).
        question: The question's unit vector, shape (dimensions,).
        vocabulary: Column of each stem in `recall`.
        recall: Share of a text's rarity that each stem holds, shape (texts, stems); rows sum to 1, or to 0 for a text
            that has only the question's words.
        phrases: The texts' phrases, for comparison.
        asks: For each text whether it is a question, shape (texts,).
        accept: For each criterion the patterns of which one must occur.
        wording: For each criterion the word triples of its text.
        polarity: For each criterion what its texts state and deny.
    """

    owner: NDArray[np.intp]
    affirms: NDArray[np.bool_]
    vectors: Vectors
    question: Vectors
    vocabulary: dict[str, int]
    recall: Scores
    phrases: "PhraseIndex"
    asks: NDArray[np.bool_]
    accept: tuple[tuple[re.Pattern[str], ...], ...]
    wording: tuple[frozenset[tuple[str, str, str]], ...]
    polarity: tuple[Polarity, ...]


def rarity_in(bank: Iterable[Question], embedder: Embedder) -> Rarity:
    """Count in how many of the bank's rubric texts each stem and each word piece occurs, and learn its claims."""
    criteria = [criterion for question in bank for criterion in question.criteria]
    texts = [text for c in criteria for text in (c.text, *c.examples, *c.misconceptions)]
    stem_counts = Counter(stem for text in texts for stem in set(stems(text)))
    piece_counts = Counter(piece for ids in embedder.pieces(texts) for piece in set(ids))
    pieces = np.full(embedder.vocabulary_size, idf(0, len(texts)), np.float32)
    for piece, count in piece_counts.items():
        pieces[piece] = idf(count, len(texts))
    return Rarity(
        stems={stem: idf(count, len(texts)) for stem, count in stem_counts.items()},
        unseen=idf(0, len(texts)),
        pieces=pieces,
        claims=Claims([t for c in criteria for t in c.examples], [t for c in criteria for t in c.misconceptions]),
    )


def idf(count: int, total: int) -> float:
    """Return the smoothed inverse document frequency, ln((1 + N) / (1 + n)) + 0.1; never 0."""
    return float(np.log((1 + total) / (1 + count)) + 0.1)


def make_material(question: Question, embedder: Embedder, rarity: Rarity) -> Material:
    """Embed a question's rubric and weigh its words."""
    texts: list[str] = []
    owner: list[int] = []
    affirms: list[bool] = []
    polarity = []
    for position, criterion in enumerate(question.criteria):
        stated = [VERB.sub("", criterion.text), *criterion.examples]
        texts += [*stated, *criterion.misconceptions]
        affirms += [True] * len(stated) + [False] * len(criterion.misconceptions)
        owner += [position] * (len(stated) + len(criterion.misconceptions))
        polarity.append(polarity_of(stated))
    direction = embedder([asked(question)], rarity.pieces)[0]
    vocabulary, recall = recall_of(texts, question_stems(question), rarity)
    return Material(
        owner=np.array(owner),
        affirms=np.array(affirms),
        vectors=without_direction(embedder(texts, rarity.pieces), direction),
        question=direction,
        vocabulary=vocabulary,
        recall=recall,
        phrases=PhraseIndex(texts),
        asks=np.array([asks(text) for text in texts]),
        accept=tuple(tuple(map(re.compile, criterion.accept)) for criterion in question.criteria),
        wording=tuple(frozenset(triples(words(VERB.sub("", c.text)))) for c in question.criteria),
        polarity=tuple(polarity),
    )


class PhraseIndex:
    """Texts by their phrases (see `phrases`), weighted by rarity among them; a pair counts half as much as a stem."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Weigh the phrases of some texts."""
        listed = [sorted(phrases(text)) for text in texts]
        counts = Counter(phrase for found in listed for phrase in found)
        self._weight = {
            phrase: idf(count, len(texts)) * (PAIR if ">" in phrase else 1.0) for phrase, count in counts.items()
        }
        self._unseen = idf(0, len(texts))
        rows: dict[str, list[int]] = {phrase: [] for phrase in counts}
        for row, found in enumerate(listed):
            for phrase in found:
                rows[phrase].append(row)
        self._rows = {phrase: np.array(found) for phrase, found in rows.items()}
        lengths = [sum(self._weight[phrase] ** 2 for phrase in found) for found in listed]
        self._lengths = np.maximum(np.sqrt(np.array(lengths, np.float32)), 1e-6)

    def likeness(self, passages: Sequence[str]) -> Scores:
        """Return the cosine of each passage with each text, shape (passages, texts).

        Of a passage's phrases that no text has only the stems count, as weighty as the rarest.
        """
        listed = [sorted(phrases(passage)) for passage in passages]
        known = {phrase: n for n, phrase in enumerate(sorted(set().union(*listed) & self._rows.keys()))}
        theirs = np.zeros((len(known), len(self._lengths)), np.float32)
        for phrase, n in known.items():
            theirs[n, self._rows[phrase]] = self._weight[phrase]
        ours = np.zeros((len(passages), len(known)), np.float32)
        squares = np.zeros((len(passages), 1), np.float32)
        for row, found in enumerate(listed):
            for phrase in found:
                if phrase in known:
                    ours[row, known[phrase]] = self._weight[phrase]
                elif ">" not in phrase:
                    squares[row] += self._unseen**2
        squares += (ours**2).sum(axis=1, keepdims=True)
        return np.asarray((ours @ theirs) / (np.maximum(np.sqrt(squares), 1e-6) * self._lengths), np.float32)


def recall_of(texts: Sequence[str], known: frozenset[str], rarity: Rarity) -> tuple[dict[str, int], Scores]:
    """Return the share of each text's rarity that each of its stems holds; the question's own stems count nothing."""
    stem_sets = [set(stems(text)) - known for text in texts]
    vocabulary = {stem: column for column, stem in enumerate(sorted(set().union(*stem_sets)))}
    weights = np.zeros((len(texts), len(vocabulary)), np.float32)
    for row, stem_set in enumerate(stem_sets):
        for stem in stem_set:
            weights[row, vocabulary[stem]] = rarity.stems.get(stem, rarity.unseen)
    totals = weights.sum(axis=1, keepdims=True)
    return vocabulary, np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)


def without_direction(vectors: Vectors, direction: Vectors) -> Vectors:
    """Take a direction out of unit vectors and scale them to length 1 again."""
    return unit(vectors - np.outer(vectors @ direction, direction))
