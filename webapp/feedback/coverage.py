"""The coverage grader: how near an answer comes to each criterion. Embedded, offline, a few milliseconds.

Each window of an answer (a sentence, or two neighbors) is compared with what the rubric says about a criterion: its
text and its examples on one side, its misconceptions on the other. Likeness is a mixture of the cosine of static
embeddings, from which the question's own direction is taken out, of the share of the rubric's rare words that occur,
and of the phrases that both have: stems and ordered pairs of stems, so that "A into B" isn't "B into A". A window
counts for less where it is much nearer to a misconception; and all windows count for less in an answer that as a whole
leans to the misconceptions and is worded as false statements are, or that is nowhere near the rubric. A logistic curve
makes of that an estimate, 0 to 1, of whether the criterion is covered; it is met from a half. Nothing is cut off:
answers of any length are compared whole.

Covered: paraphrases, notes, numbers (through a criterion's `accept`), lists of keywords, repeated questions, denials
with a negating word. Not covered: whether a statement is true. Wrong words in the right places are seen only where the
misconceptions, a number or a negation gives them away.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from content import Question, load_catalog
from webapp.feedback.embedding import Embedder, load_embedder
from webapp.feedback.material import Material, Rarity, Scores, make_material, rarity_in, without_direction
from webapp.feedback.noise import noise
from webapp.feedback.polarity import contradicted, is_disowned
from webapp.feedback.text import Prose, Span, asks, function_share, prose, sentences, stems, words
from webapp.feedback.verdict import CriterionVerdict, Findings, Flag, Verdict
from webapp.feedback.wording import triples

# All of these belong to this embedder and were chosen on the development answers; `vivalab evaluate` measures them.
COSINE, RECALL, PHRASES = 0.25, 0.5, 0.25
WHOLE_ANSWER = 0.5  # what a word counts that stands elsewhere in the answer
NEAREST = 3  # of a criterion's texts; half of the likeness is to the nearest one, half to the mean of these
MISCONCEPTION, MARGIN = 4.0, 0.15
# below these an answer leans to misconceptions, and is worded as they are; and how far below is one unit of doubt
LEAN, LEAN_UNIT = 0.07, 0.05
CLAIMS, CLAIMS_UNIT = 0.15, 0.13
DOUBT, MOST_DOUBT = 0.25, 2.0
LINE, SLOPE = 0.235, 0.05  # of the logistic curve from evidence to estimate
UNCLEAR = 0.2  # estimates from here to a half are close, but not close enough to tell
ACCEPTED = 0.1  # what a figure that the rubric names adds to evidence: it stands for more than likeness does
# what is taken from all evidence where the windows' mean likeness to the rubric is lower than this, and a unit of it
FAR, NEAR, NEAR_UNIT = 0.1, 0.25, 0.05
# notes share fewer words with any sentence; up to this is added to their evidence, by their share of function words
NOTES, FEWEST_IN_NOTES, MOST_IN_NOTES = 0.03, 0.15, 0.30
DENIED_SHARE = 0.1  # of a criterion's rarity
# of the word triples of a criterion's text, which candidates don't see before they answer; and of how many criteria
# that may be coincidence: of the model answers, whose authors knew the rubric, each has three at most
COPIED, MOST_COPIED = 0.8, 3


class Window(NamedTuple):
    """A stretch of the answer that is compared as one text: its place in the answer, and the text as it is compared."""

    span: Span
    text: str


class CoverageGrader:
    """Estimates how much of a rubric an answer covers. Safe to share between threads."""

    kind = "coverage"
    version = "5"

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
        material = self.material(question)
        if not material.asks.any():
            dropped |= {span: Flag.ASKED for span in spans if asks(readable.text[slice(*span)])}
        copied = {span: copies(material, readable.text[slice(*span)]) for span in spans}
        if sum(copied.values()) > MOST_COPIED:
            dropped |= {span: Flag.COPIES_RUBRIC for span, count in copied.items() if count}
        windows = make_windows(readable, [span for span in spans if span not in dropped])
        flags = set(dropped.values())
        if readable.has_code:
            flags.add(Flag.CODE_NOT_READ)
        if len(words(readable.text)) < 3:
            flags.add(Flag.VERY_SHORT)
        verdicts = []
        for verdict, raised in self._judge(question, material, windows, answer):
            verdicts.append(verdict)
            flags |= raised
        return Findings(tuple(verdicts), tuple(sorted(flags)))

    def _judge(
        self, question: Question, material: Material, windows: Sequence[Window], answer: str
    ) -> list[tuple[CriterionVerdict, set[Flag]]]:
        if not windows:
            nothing = "The answer states nothing about it."
            return [
                (CriterionVerdict(c.id, Verdict.UNMET, None, nothing, coverage=0.0), set()) for c in question.criteria
            ]
        likeness, phrases = self.likeness(material, windows)
        texts = [window.text for window in windows]
        doubt = doubt_about(material, phrases, self.rarity.claims(texts))
        notes = (MOST_IN_NOTES - function_share(" ".join(texts))) / (MOST_IN_NOTES - FEWEST_IN_NOTES)
        base = NOTES * float(np.clip(notes, 0, 1)) - DOUBT * doubt - FAR * farness(material, likeness)
        return judge(question, material, windows, likeness, base, answer)

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

    def likeness(self, material: Material, windows: Sequence[Window]) -> tuple[Scores, Scores]:
        """Return how near each window is to each of the rubric's texts, and how near by phrases alone.

        Returns:
            Two arrays of shape (windows, texts), 0 to 1.
        """
        texts = [window.text for window in windows]
        vectors = self.embedder(texts, self.rarity.pieces)
        cosine = np.clip(without_direction(vectors, material.question) @ material.vectors.T, 0, 1)
        present = np.zeros((len(windows), len(material.vocabulary)), np.float32)
        for row, text in enumerate(texts):
            present[row, [material.vocabulary[s] for s in set(stems(text)) if s in material.vocabulary]] = 1
        recall = present @ material.recall.T
        recall = np.maximum(recall, WHOLE_ANSWER * (present.max(axis=0) @ material.recall.T))
        phrases = material.phrases.likeness(texts)
        likeness = COSINE * cosine + RECALL * recall + PHRASES * phrases
        # where the rubric wants something asked, questions are compared with that alone
        likeness[np.ix_(np.array([asks(text) for text in texts]), ~material.asks)] = 0
        return likeness, phrases


def make_windows(answer: Prose, spans: Sequence[Span]) -> list[Window]:
    """Return each sentence and each pair of neighbors; a sentence that is said again is left out."""
    once: dict[str, Span] = {}
    for span in spans:
        once.setdefault(" ".join(words(answer.text[slice(*span)])), span)
    said = list(once.values())
    pairs = [Span(first.start, second.end) for first, second in pairwise(said)]
    return [Window(answer.place(span), answer.text[slice(*span)]) for span in [*said, *pairs]]


def doubt_about(material: Material, phrases: Scores, claims: NDArray[np.float64]) -> float:
    """Return how much speaks against an answer as a whole, 0 to 2.

    Both must be so for any doubt: its windows lean to the misconceptions, and are worded as those are. A window counts
    by how near it is to the rubric at all, to the power 1.5, so that what is beside the point changes next to nothing.
    """
    if material.affirms.all():
        return 0.0
    stated, mistaken = phrases[:, material.affirms].max(axis=1), phrases[:, ~material.affirms].max(axis=1)
    near = np.maximum(stated, mistaken)
    if not near.any():
        return 0.0
    lean, worded = np.average(stated - mistaken, weights=near**1.5), np.average(claims, weights=near**1.5)
    return float(np.clip(min((LEAN - lean) / LEAN_UNIT, (CLAIMS - worded) / CLAIMS_UNIT), 0, MOST_DOUBT))


def farness(material: Material, likeness: Scores) -> float:
    """Return how far from the rubric an answer is on the mean of its windows, 0 to 2, as another subject's are."""
    if material.affirms.all():  # a rubric without examples and misconceptions is too thin to tell
        return 0.0
    return float(np.clip((NEAR - float(likeness.max(axis=1).mean())) / NEAR_UNIT, 0, MOST_DOUBT))


def evidence_of(material: Material, likeness: Scores) -> Scores:
    """Return how much speaks for each criterion in each window; below 0 where it is wrong.

    For stated s (the likeness to a criterion's texts: the mean of that to the nearest and that to the nearest three),
    mistaken m (to its nearest misconception) and nearest n (to the nearest text alone): s - 4 max(0, m - n - 0.15).

    Returns:
        Shape (windows, criteria).
    """
    evidence = np.empty((len(likeness), len(material.polarity)), np.float32)
    for position in range(evidence.shape[1]):
        own = material.owner == position
        stated = -np.sort(-likeness[:, own & material.affirms], axis=1)
        mistaken = likeness[:, own & ~material.affirms].max(axis=1, initial=0)
        nearest = stated[:, 0]
        evidence[:, position] = (nearest + stated[:, :NEAREST].mean(axis=1)) / 2
        evidence[:, position] -= MISCONCEPTION * np.maximum(0, mistaken - nearest - MARGIN)
    return evidence


def estimate(evidence: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the estimate, 0 to 1, that evidence means a covered criterion: a half at `LINE`."""
    return 1 / (1 + np.exp(-(evidence - LINE) / SLOPE))


def judge(
    question: Question, material: Material, windows: Sequence[Window], likeness: Scores, base: float, answer: str
) -> list[tuple[CriterionVerdict, set[Flag]]]:
    """Return each criterion's verdict with the flags that it raises.

    `base` is what speaks for the answer as a whole (below 0 against it), and is added to every window's evidence.
    """
    evidence_by_criterion = evidence_of(material, likeness) + base
    judged = []
    for position, criterion in enumerate(question.criteria):
        accepted = np.array([accepts(material, position, window.text) for window in windows])
        evidence = evidence_by_criterion[:, position] + (ACCEPTED * accepted if criterion.accept else 0)
        sure = estimate(evidence)
        best = int(evidence.argmax())
        denies = sure[best] >= UNCLEAR and is_denial(windows[best], position, material)
        if denies:
            # the next best passage counts if it stands without a denial of its own
            sound = [w for w in np.argsort(-evidence) if sure[w] >= 0.5 and stands(windows, int(w))]
            sound = [int(w) for w in sound if not is_denial(windows[w], position, material)]
            best, denies = (sound[0], False) if sound else (best, True)
        flags: set[Flag] = set()
        if sure[best] < UNCLEAR:
            verdict, reason = Verdict.UNMET, "Nothing like it was found."
        elif denies:
            flags.add(Flag.NEGATION)
            verdict, reason = Verdict.CANNOT_ASSESS, "A passage is close, but may deny it."
        elif not accepted[best]:
            verdict, reason = Verdict.CANNOT_ASSESS, "A passage is close, but the figure that is asked for isn't in it."
        elif sure[best] < 0.5:
            verdict, reason = Verdict.CANNOT_ASSESS, "A passage is close, but not close enough to tell."
        else:
            verdict, reason = Verdict.MET, "A passage is close to what the rubric asks for."
        if sure[best] < 0.5 <= estimate(evidence[best] - min(base, 0)):
            flags.add(Flag.DOUBTFUL)
        found = verdict is not Verdict.UNMET
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
                    coverage=round(float(sure[best]), 4),
                ),
                flags,
            )
        )
    return judged


def accepts(material: Material, position: int, text: str) -> bool:
    """Tell whether a text has a figure that the criterion names; true where it names none."""
    patterns = material.accept[position]
    return not patterns or any(pattern.search(text) for pattern in patterns)


def copies(material: Material, text: str) -> int:
    """Count the criteria whose own words a text has in their order, all but a fifth of them."""
    said = set(triples(words(text)))
    return sum(len(own) >= 5 and len(own & said) >= COPIED * len(own) for own in material.wording)


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
