"""Answers with what is known of them: what a grader is measured against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from content import Quality, Question


@dataclass(frozen=True)
class LabelledAnswer:
    """An answer with the truth about it.

    Attributes:
        question: The question with its rubric.
        text: The answer.
        stratum: What kind of answer it is, such as a quality or a part of a corpus.
        quality: What it was written to be, None where nobody wrote it to be anything.
        total: The share of the points that people gave it, 0 to 1; None where only single criteria were judged.
        met: For each criterion that was judged whether it is met; empty where only the whole was.
    """

    question: Question
    text: str
    stratum: str
    quality: Quality | None = None
    total: float | None = None
    met: Mapping[str, bool] = field(default_factory=dict)

    @property
    def true_total(self) -> float | None:
        """The share of the points that the answer deserves, 0 to 1, by its total or by all its criteria."""
        if self.total is not None:
            return self.total
        weights = {criterion.id: criterion.weight for criterion in self.question.criteria}
        if set(weights) - set(self.met):
            return None
        return sum(weight for name, weight in weights.items() if self.met[name]) / sum(weights.values())


@dataclass(frozen=True)
class LabelledSet:
    """A set of labelled answers.

    Attributes:
        name: Short, for tables.
        about: Where the answers and their labels come from, and what may be wrong with them, for people.
        used_in_tuning: Whether the embedded grader was developed on it: its figures are then too good.
        answers: The answers.
        bank: The questions over which words are called rare; None is the catalog's.
    """

    name: str
    about: str
    used_in_tuning: bool
    answers: Sequence[LabelledAnswer]
    bank: Sequence[Question] | None = None
