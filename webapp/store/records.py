"""What the store hands out besides rows: plain, frozen, and free of any database connection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.store.tables import OWN_MODEL, Answer, Attempt, GraderCall, GradeState, InterviewSession, ReviewedVerdict


@dataclass(frozen=True)
class AnswerToGrade:
    """An answer that a grader has claimed; `tries` counts the claims, this one included."""

    answer_id: str
    attempt_id: str
    question_id: str
    text: str
    tries: int


@dataclass(frozen=True)
class Grade:
    """One grading of an answer.

    `score` is 0 to 100, None until graded and where the grader can't tell. Each verdict is a mapping with `criterion`,
    `verdict`, `quote`, `start`, `end` (characters of the answer) and `reason`. `error` says why the last try failed,
    and while pending `due_at` when the next is due. `criteria_read` of `criteria_count` says how far a grader is.
    """

    id: str
    answer_id: str
    state: GradeState
    created_at: datetime
    due_at: datetime
    kind: str | None
    model: str | None
    version: str | None
    score: float | None
    verdicts: tuple[Mapping[str, Any], ...]
    gate: Mapping[str, Any] | None
    flags: tuple[str, ...]
    seconds: float | None
    graded_at: datetime | None
    tries: int
    error: str | None
    criteria_read: int | None
    criteria_count: int | None

    def verdict_on(self, criterion_id: str) -> Mapping[str, Any]:
        """Return the verdict on a criterion; empty if there is none."""
        return next((verdict for verdict in self.verdicts if verdict.get("criterion") == criterion_id), {})


@dataclass(frozen=True)
class CallOfGrade:
    """A call that a grade rests on; `cached` if it had been made, and paid, for an earlier one."""

    call: GraderCall
    cached: bool


@dataclass(frozen=True)
class AttemptRecord:
    """An attempt with its session, and once submitted its answer and all its gradings, oldest first."""

    session: InterviewSession
    attempt: Attempt
    answer: Answer | None
    grades: tuple[Grade, ...]

    @property
    def grade(self) -> Grade | None:
        """The newest result, or where there is none what waits or failed."""
        return graded_or_newest(self.grades)

    @property
    def host_grade(self) -> Grade | None:
        """The same of the host's graders alone."""
        return graded_or_newest([grade for grade in self.grades if grade.kind != OWN_MODEL])


def graded_or_newest(grades: Sequence[Grade]) -> Grade | None:
    """Return the newest graded one of grades sorted by age, else the newest; None of none."""
    graded = [grade for grade in grades if grade.state is GradeState.GRADED] or grades
    return graded[-1] if graded else None


@dataclass(frozen=True)
class ReviewedAnswer:
    """An answer with an interviewer's verdicts on it."""

    attempt_id: str
    question_id: str
    answer: str
    reviewer_id: str
    verdicts: tuple[ReviewedVerdict, ...]
    created_at: datetime
