"""The coverage grader: how much of a rubric an answer's words come near to. Embedded, offline, a few milliseconds.

Each window of an answer (a sentence, or two neighbours) is compared with what the rubric says about a criterion: its
text and its examples on one side, its misconceptions on the other. Likeness is a mixture of the cosine of static
embeddings, from which the question's own direction is taken out, and of the share of the rubric's rare words that
occur. A window that is as near to a misconception as to the criterion counts for little.

Covered: paraphrases, terse answers, numbers (through a criterion's `accept`), lists of keywords, repeated questions.
Not covered: whether a statement is true. Wrong words in the right places are caught only where a misconception, a
number or a negation gives them away.
"""

import hashlib
import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from content import Criterion, Question, load_catalog
from webapp.feedback.embedding import Embedder, Vectors, load_embedder, unit
from webapp.feedback.gate import noise
from webapp.feedback.text import Span, is_negated, prose, sentences, stems, words
from webapp.feedback.verdict import CriterionVerdict, Findings, Flag, Verdict

Scores = NDArray[np.float32]

# The mixture of cosine and lexical recall, and the weights of the contrast with misconceptions, were chosen by
# measuring; `tests/bench/grading.py` prints what they reach.
COSINE = 0.6
LEXICAL = 0.4
WHOLE_ANSWER = 0.5
NEARER = 3.0
MARGIN = 0.05
NEARER_ANYWHERE = 1.5

MET = 0.25
UNCLEAR = 0.15
COPIED = 0.95

VERB = re.compile(
    r"^(?:Says|Names|Mentions|States|Explains|Gives|Compares|Contrasts|Describes|Notes|Knows|Checks|Handles|Covers|Uses)\b"
    r"(?:\s+that\b|\s+the\b)?\s*"
)
INSTRUCTIONS = re.compile(
    r"\b(?:ignore|disregard|forget)\b.{0,40}\b(?:instructions?|rubric|prompt|above|previous)\b"
    r"|\b(?:full|maximum|max|perfect|100)\b.{0,20}\b(?:score|marks|points)\b"
    r"|\bmark (?:all|every).{0,30}(?:met|correct)\b|[\"']verdict[\"']"
    r"|\bsystem prompt\b|</?(?:answer|system|instructions?)>",
    re.IGNORECASE,
)


class Window(NamedTuple):
    """A stretch of the answer that is compared as one text."""

    span: Span
    text: str


@dataclass(frozen=True)
class Material:
    """What a rubric says about its criteria, ready to be compared with windows.

    Attributes:
        texts: All texts of the rubric, criterion by criterion.
        owner: For each text the position of its criterion.
        affirms: For each text whether it states the criterion or a misconception of it.
        vectors: Unit vectors without the question's direction, shape (texts, dimensions).
        question: The question's unit vector, shape (dimensions,).
        vocabulary: Column of each stem in `recall`.
        recall: Share of a text's rarity that each stem holds, shape (texts, stems); rows sum to 1, or to 0 for a text
            that has only the question's words.
    """

    texts: tuple[str, ...]
    owner: NDArray[np.intp]
    affirms: NDArray[np.bool_]
    vectors: Vectors
    question: Vectors
    vocabulary: dict[str, int]
    recall: Scores


class CoverageGrader:
    """Estimates how much of a rubric an answer covers."""

    kind = "coverage"
    version = "1"

    def __init__(self, embedder: Embedder | None = None, bank: Sequence[Question] | None = None) -> None:
        """Make a grader; weights and rubrics are read when first needed.

        Args:
            embedder: What embeds texts, by default WordLlama's static table.
            bank: The questions over which words are called rare, by default the catalog's.
        """
        self._embedder = embedder
        self._bank = bank
        self._rarity: dict[str, float] | None = None
        self._unseen = 1.0
        self._materials: OrderedDict[str, Material] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """The embeddings behind it."""
        return self.embedder.model

    @property
    def embedder(self) -> Embedder:
        """What embeds texts; loaded at the first use."""
        if self._embedder is None:
            self._embedder = load_embedder()
        return self._embedder

    def grade(self, question: Question, answer: str) -> Findings:
        """Return a verdict for each criterion, with the nearest window as its quote."""
        text, has_code = prose(answer)
        spans = sentences(text)
        dropped = noise(question, text, spans)
        windows = make_windows(answer, text, [span for span in spans if span not in dropped])
        flags = set(dropped.values())
        if has_code:
            flags.add(Flag.CODE_NOT_READ)
        if INSTRUCTIONS.search(text):
            flags.add(Flag.INSTRUCTIONS)
        if len(words(text)) < 3:
            flags.add(Flag.VERY_SHORT)
        verdicts = []
        material = self.material(question)
        likeness = self.likeness(material, windows)
        for position, criterion in enumerate(question.criteria):
            verdict, raised = judge(criterion, position, material, windows, likeness, answer)
            verdicts.append(verdict)
            flags |= raised
        return Findings(tuple(verdicts), tuple(sorted(flags)))

    def material(self, question: Question) -> Material:
        """Return the question's rubric ready for comparison; cached by its content."""
        key = hashlib.sha256(question.model_dump_json(include={"title", "statement", "criteria"}).encode()).hexdigest()
        with self._lock:
            if key not in self._materials:
                self._materials[key] = self._make_material(question)
                while len(self._materials) > 128:
                    self._materials.popitem(last=False)
            self._materials.move_to_end(key)
            return self._materials[key]

    def likeness(self, material: Material, windows: Sequence[Window]) -> Scores:
        """Return how near each window is to each of the rubric's texts, 0 to 1, shape (windows, texts)."""
        if not windows:
            return np.zeros((0, len(material.texts)), np.float32)
        vectors = without_direction(self.embedder([window.text for window in windows]), material.question)
        cosine = np.clip(vectors @ material.vectors.T, 0, 1)
        present = np.zeros((len(windows), len(material.vocabulary)), np.float32)
        for row, window in enumerate(windows):
            present[row, [material.vocabulary[s] for s in set(stems(window.text)) if s in material.vocabulary]] = 1
        recall = present @ material.recall.T
        recall_anywhere = present.max(axis=0) @ material.recall.T
        return COSINE * cosine + LEXICAL * np.maximum(recall, WHOLE_ANSWER * recall_anywhere)

    def _make_material(self, question: Question) -> Material:
        rarity, unseen = self._rarities()
        texts, owner, affirms = [], [], []
        for position, criterion in enumerate(question.criteria):
            stated = [VERB.sub("", criterion.text), *criterion.examples]
            texts += [*stated, *criterion.misconceptions]
            affirms += [True] * len(stated) + [False] * len(criterion.misconceptions)
            owner += [position] * (len(stated) + len(criterion.misconceptions))
        asked = self.embedder([question.statement])[0]
        known = set(stems(question.title + "\n" + question.statement))
        stem_sets = [set(stems(text)) - known for text in texts]
        vocabulary = {stem: column for column, stem in enumerate(sorted(set().union(*stem_sets)))}
        recall = np.zeros((len(texts), len(vocabulary)), np.float32)
        for row, stem_set in enumerate(stem_sets):
            for stem in stem_set:
                recall[row, vocabulary[stem]] = rarity.get(stem, unseen)
        totals = recall.sum(axis=1, keepdims=True)
        return Material(
            texts=tuple(texts),
            owner=np.array(owner),
            affirms=np.array(affirms),
            vectors=without_direction(self.embedder(texts), asked),
            question=asked,
            vocabulary=vocabulary,
            recall=np.divide(recall, totals, out=np.zeros_like(recall), where=totals > 0),
        )

    def _rarities(self) -> tuple[dict[str, float], float]:
        """Return each stem's inverse document frequency over the bank's criteria, and that of a stem never seen."""
        if self._rarity is None:
            bank = self._bank if self._bank is not None else tuple(load_catalog().questions.values())
            documents = [
                set(stems(" ".join([criterion.text, *criterion.examples]))) for q in bank for criterion in q.criteria
            ]
            counts = Counter(stem for document in documents for stem in document)
            total = len(documents)
            self._unseen = float(np.log(1 + total))
            self._rarity = {stem: float(np.log((1 + total) / (1 + n)) + 0.1) for stem, n in counts.items()}
        return self._rarity, self._unseen


def make_windows(answer: str, text: str, spans: Sequence[Span]) -> list[Window]:
    """Return each sentence and each pair of neighbouring ones; equal texts only once."""
    pairs = [Span(first.start, second.end) for first, second in pairwise(spans)]
    windows: dict[str, Window] = {}
    for span in [*spans, *pairs]:
        piece = text[slice(*span)]
        windows.setdefault(" ".join(piece.split()), Window(span, piece))
    return list(windows.values())


def without_direction(vectors: Vectors, direction: Vectors) -> Vectors:
    """Take a direction out of unit vectors and scale them to length 1 again."""
    return unit(vectors - np.outer(vectors @ direction, direction))


def judge(
    criterion: Criterion,
    position: int,
    material: Material,
    windows: Sequence[Window],
    likeness: Scores,
    answer: str,
) -> tuple[CriterionVerdict, set[Flag]]:
    """Return one criterion's verdict, and the flags that it raises."""
    flags: set[Flag] = set()
    if not windows:
        return CriterionVerdict(criterion.id, Verdict.UNMET, None, "Nothing like it was found.", coverage=0.0), flags
    own = material.owner == position
    stating = np.flatnonzero(own & material.affirms)
    stated = likeness[:, stating].max(axis=1)
    mistaken = likeness[:, own & ~material.affirms].max(axis=1)
    contrast = stated - NEARER * np.clip(mistaken - stated + MARGIN, 0, 1)
    best = int(contrast.argmax())
    value = float(contrast[best] - NEARER_ANYWHERE * max(0.0, float(mistaken.max() - stated.max())))
    coverage = min(1.0, max(0.0, value))
    span = windows[best].span
    quote = answer[slice(*span)]

    def verdict(verdict: Verdict, reason: str) -> CriterionVerdict:
        shown = verdict is not Verdict.UNMET
        return CriterionVerdict(
            criterion.id,
            verdict,
            quote if shown else None,
            reason,
            span.start if shown else None,
            span.end if shown else None,
            round(coverage, 4),
        )

    if coverage < UNCLEAR:
        return verdict(Verdict.UNMET, "Nothing like it was found."), flags
    nearest = material.texts[
        int(np.flatnonzero(own & material.affirms)[likeness[best, own & material.affirms].argmax()])
    ]
    if is_negated(windows[best].text) != is_negated(nearest):
        flags.add(Flag.NEGATION)
        return verdict(Verdict.CANNOT_ASSESS, "A passage is close, but may deny it."), flags
    if stated[best] >= COPIED:
        flags.add(Flag.COPIES_RUBRIC)
    if coverage < MET:
        return verdict(Verdict.CANNOT_ASSESS, "A passage is close, but not close enough to tell."), flags
    return verdict(Verdict.MET, "A passage is close to what the rubric asks for."), flags
