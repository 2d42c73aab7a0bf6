"""A question's rubric, made ready to be compared with answers, and how rare words are in the bank."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from content import Question
from webapp.feedback.embedding import Embedder, Vectors, unit
from webapp.feedback.polarity import Polarity, polarity_of
from webapp.feedback.text import stems
from webapp.feedback.wording import asked, question_stems

Scores = NDArray[np.float32]

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
    """

    stems: dict[str, float]
    unseen: float
    pieces: Vectors


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
        polarity: For each criterion what its texts state and deny.
    """

    owner: NDArray[np.intp]
    affirms: NDArray[np.bool_]
    vectors: Vectors
    question: Vectors
    vocabulary: dict[str, int]
    recall: Scores
    polarity: tuple[Polarity, ...]


def rarity_in(bank: Iterable[Question], embedder: Embedder) -> Rarity:
    """Count in how many of the bank's rubric texts each stem and each word piece occurs."""
    texts = [
        text
        for question in bank
        for criterion in question.criteria
        for text in (criterion.text, *criterion.examples, *criterion.misconceptions)
    ]
    stem_counts = Counter(stem for text in texts for stem in set(stems(text)))
    piece_counts = Counter(piece for ids in embedder.pieces(texts) for piece in set(ids))
    pieces = np.full(embedder.vocabulary_size, idf(0, len(texts)), np.float32)
    for piece, count in piece_counts.items():
        pieces[piece] = idf(count, len(texts))
    return Rarity({stem: idf(count, len(texts)) for stem, count in stem_counts.items()}, idf(0, len(texts)), pieces)


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
        polarity=tuple(polarity),
    )


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
