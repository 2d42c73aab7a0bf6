"""The coverage grader: how near an answer comes to each criterion. Embedded, offline, a few milliseconds.

Each window of an answer (a sentence, or two neighbours) is compared with what the rubric says about a criterion: its
text and its examples on one side, its misconceptions on the other. Likeness is a mixture of the cosine of static
embeddings, from which the question's own direction is taken out, and of the share of the rubric's rare words that
occur. A window counts for less where it is nearer to another criterion, and for little where it is as near to a
misconception. Nothing is cut off: answers of any length are compared whole.

Covered: paraphrases, terse answers, numbers (through a criterion's `accept`), lists of keywords, repeated questions,
denials with a negating word. Not covered: whether a statement is true. Wrong words in the right places are seen only
where a misconception, a number or a negation gives them away.
"""

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from content import Criterion, Question, load_catalog
from webapp.feedback.embedding import Embedder, load_embedder
from webapp.feedback.material import Material, Rarity, Scores, make_material, rarity_in, without_direction
from webapp.feedback.noise import noise
from webapp.feedback.polarity import contradicted, is_disowned
from webapp.feedback.text import Prose, Span, prose, sentences, stems, words
from webapp.feedback.verdict import CriterionVerdict, Findings, Flag, Verdict

# All of these belong to this embedder and are measured by `vivalab evaluate`.
COSINE, LEXICAL = 0.5, 0.5
WHOLE_ANSWER = 0.5  # what a word counts that stands elsewhere in the answer
OTHER_CRITERION = 0.25
MISCONCEPTION, MARGIN = 3.0, 0.05
MISCONCEPTION_ANYWHERE = 1.5
LIKELY = 0.30  # the most accurate line on held-out rubric sentences; on the mini set 95 % of what lies above is covered
UNCLEAR = 0.18  # below it a quarter of what is covered is lost, and most of the rest isn't there
DENIED_SHARE = 0.1  # of a criterion's rarity
COPIED = 0.95

INSTRUCTIONS = re.compile(
    r"\b(?:ignore|disregard|forget)\b.{0,40}\b(?:instructions?|rubric|prompt|above|previous)\b"
    r"|\b(?:full|maximum|max|perfect|100)\b.{0,20}\b(?:score|marks|points)\b"
    r"|\bmark (?:all|every).{0,30}(?:met|correct)\b|[\"']verdict[\"']|</?(?:answer|system|instructions?)>",
    re.IGNORECASE,
)


class Window(NamedTuple):
    """A stretch of the answer that is compared as one text: its place in the answer, and the text as it is compared."""

    span: Span
    text: str


class CoverageGrader:
    """Estimates how much of a rubric an answer covers. Safe to share between threads."""

    kind = "coverage"
    version = "2"

    def __init__(self, embedder: Embedder | None = None, bank: Sequence[Question] | None = None) -> None:
        """Make a grader; weights and rubrics are read when first needed.

        Args:
            embedder: What embeds texts, by default WordLlama's static table.
            bank: The questions over which words are called rare, by default the catalog's.
        """
        self._embedder = embedder
        self._bank = bank
        self._rarity: Rarity | None = None
        self._materials: OrderedDict[str, Material] = OrderedDict()
        self._lock = threading.RLock()

    @property
    def model(self) -> str:
        """The embeddings behind it."""
        return self.embedder.model

    @property
    def embedder(self) -> Embedder:
        """What embeds texts; loaded at the first use."""
        return self._embedder or load_embedder()

    @property
    def rarity(self) -> Rarity:
        """How rare words are in the bank; counted at the first use."""
        with self._lock:
            if self._rarity is None:
                bank = self._bank if self._bank is not None else load_catalog().questions.values()
                self._rarity = rarity_in(bank, self.embedder)
            return self._rarity

    def grade(self, question: Question, answer: str) -> Findings:
        """Return a verdict for each criterion, with the nearest window as its quote."""
        readable = prose(answer)
        spans = sentences(readable.text)
        dropped = noise(question, readable, spans)
        windows = make_windows(readable, [span for span in spans if span not in dropped])
        flags = set(dropped.values())
        if readable.has_code:
            flags.add(Flag.CODE_NOT_READ)
        if INSTRUCTIONS.search(readable.text):
            flags.add(Flag.INSTRUCTIONS)
        if len(words(readable.text)) < 3:
            flags.add(Flag.VERY_SHORT)
        verdicts = []
        for verdict, raised in judge(
            question, self.material(question), windows, self.likeness(question, windows), answer
        ):
            verdicts.append(verdict)
            flags |= raised
        return Findings(tuple(verdicts), tuple(sorted(flags)))

    def material(self, question: Question) -> Material:
        """Return the question's rubric ready for comparison; cached by its content."""
        key = hashlib.sha256(question.model_dump_json(include={"title", "statement", "criteria"}).encode()).hexdigest()
        with self._lock:
            if key not in self._materials:
                self._materials[key] = make_material(question, self.embedder, self.rarity)
                while len(self._materials) > 128:
                    self._materials.popitem(last=False)
            self._materials.move_to_end(key)
            return self._materials[key]

    def likeness(self, question: Question, windows: Sequence[Window]) -> Scores:
        """Return how near each window is to each of the rubric's texts, 0 to 1, shape (windows, texts)."""
        material = self.material(question)
        if not windows:
            return np.zeros((0, len(material.owner)), np.float32)
        vectors = self.embedder([window.text for window in windows], self.rarity.pieces)
        cosine = np.clip(without_direction(vectors, material.question) @ material.vectors.T, 0, 1)
        present = np.zeros((len(windows), len(material.vocabulary)), np.float32)
        for row, window in enumerate(windows):
            present[row, [material.vocabulary[s] for s in set(stems(window.text)) if s in material.vocabulary]] = 1
        recall = present @ material.recall.T
        recall_anywhere = present.max(axis=0) @ material.recall.T
        return COSINE * cosine + LEXICAL * np.maximum(recall, WHOLE_ANSWER * recall_anywhere)


def make_windows(answer: Prose, spans: Sequence[Span]) -> list[Window]:
    """Return each sentence and each pair of neighbouring ones; equal texts only once."""
    pairs = [Span(first.start, second.end) for first, second in pairwise(spans)]
    windows: dict[str, Window] = {}
    for span in [*spans, *pairs]:
        piece = answer.text[slice(*span)]
        windows.setdefault(" ".join(piece.split()), Window(answer.place(span), piece))
    return list(windows.values())


def coverage(material: Material, likeness: Scores) -> Scores:
    """Return how much of each criterion each window covers, at most 1 and below 0 where it is wrong.

    For stated s (the likeness to the nearest text of a criterion), other o (to the nearest text of any other criterion)
    and mistaken m (to its nearest misconception):
    s - 0.25 max(0, o - s) - 3 max(0, m - s + 0.05), less 1.5 max(0, max m - max s) over all windows.

    Returns:
        Shape (windows, criteria).
    """
    criteria = range(len(material.polarity))
    stated = np.stack([likeness[:, (material.owner == c) & material.affirms].max(axis=1) for c in criteria], axis=1)
    mistaken = np.stack(
        [likeness[:, (material.owner == c) & ~material.affirms].max(axis=1, initial=0) for c in criteria], axis=1
    )
    nearest = stated.max(axis=1, keepdims=True)
    covered = stated - OTHER_CRITERION * (nearest - stated)
    covered -= MISCONCEPTION * np.clip(mistaken - stated + MARGIN, 0, 1)
    covered -= MISCONCEPTION_ANYWHERE * np.maximum(0, mistaken.max(axis=0) - stated.max(axis=0))
    return covered


def judge(
    question: Question, material: Material, windows: Sequence[Window], likeness: Scores, answer: str
) -> list[tuple[CriterionVerdict, set[Flag]]]:
    """Return each criterion's verdict with the flags that it raises."""
    if not windows:
        nothing = "The answer states nothing about it."
        return [(CriterionVerdict(c.id, Verdict.UNMET, None, nothing, coverage=0.0), set()) for c in question.criteria]
    covered = coverage(material, likeness)
    judged = []
    for position, criterion in enumerate(question.criteria):
        accepted = np.array([accepts(criterion, window.text) for window in windows])
        # a figure that the rubric names stands for more than likeness does
        evidence = covered[:, position] + (LIKELY - UNCLEAR) * (accepted if criterion.accept else 0)
        best = int(evidence.argmax())
        denies = evidence[best] >= UNCLEAR and is_denial(windows[best], position, material)
        if denies:
            # the next best passage counts if it stands without a denial of its own
            sound = [w for w in np.argsort(-evidence) if evidence[w] >= LIKELY and stands(windows, int(w))]
            sound = [int(w) for w in sound if not is_denial(windows[w], position, material)]
            best, denies = (sound[0], False) if sound else (best, True)
        value = float(np.clip(covered[best, position], 0, 1))
        flags: set[Flag] = set()
        if evidence[best] < UNCLEAR:
            verdict, reason = Verdict.UNMET, "Nothing like it was found."
        elif denies:
            flags.add(Flag.NEGATION)
            verdict, reason = Verdict.CANNOT_ASSESS, "A passage is close, but may deny it."
        elif not accepted[best]:
            verdict, reason = Verdict.CANNOT_ASSESS, "A passage is close, but the figure that is asked for isn't in it."
        elif evidence[best] < LIKELY:
            verdict, reason = Verdict.CANNOT_ASSESS, "A passage is close, but not close enough to tell."
        else:
            verdict, reason = Verdict.MET, "A passage is close to what the rubric asks for."
        found = verdict is not Verdict.UNMET
        if found and likeness[best, (material.owner == position) & material.affirms].max() >= COPIED:
            flags.add(Flag.COPIES_RUBRIC)
        start, end = windows[best].span
        judged.append(
            (
                CriterionVerdict(
                    criterion=criterion.id,
                    verdict=verdict,
                    quote=answer[start:end] if found else None,
                    reason=reason,
                    start=start if found else None,
                    end=end if found else None,
                    coverage=round(value, 4),
                ),
                flags,
            )
        )
    return judged


def accepts(criterion: Criterion, text: str) -> bool:
    """Tell whether a text has a figure that the criterion names; true where it names none."""
    return not criterion.accept or any(re.search(pattern, text) for pattern in criterion.accept)


def stands(windows: Sequence[Window], position: int) -> bool:
    """Tell whether no window that shares a sentence with this one is denied as a whole."""
    start, end = windows[position].span
    return not any(is_disowned(text) for span, text in windows if span.start < end and start < span.end)


def is_denial(window: Window, position: int, material: Material) -> bool:
    """Tell whether a window denies stems that hold a tenth of a criterion's rarity in any of its texts."""
    found = contradicted(window.text, material.polarity[position])
    columns = [material.vocabulary[stem] for stem in found if stem in material.vocabulary]
    rows = (material.owner == position) & material.affirms
    return bool(columns) and bool(material.recall[rows][:, columns].sum(axis=1).max() >= DENIED_SHARE)
