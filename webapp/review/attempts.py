"""Submitted attempts as an interviewer sees them: everyone's, with everything."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from content import Catalog, Criterion, Question
from webapp.store import (
    AttemptRecord,
    CallOfGrade,
    Grade,
    GradeState,
    HintTaken,
    Mode,
    NotFound,
    ReviewedVerdict,
    Run,
    Store,
    Submitter,
)


@dataclass(frozen=True, kw_only=True)
class QueueItem:
    """One line of the queue; `candidate` is short for the candidate's id. `score` is the grader's, before hints.

    `uncertain` counts the criteria on which two readings of a grader differ.
    """

    attempt_id: str
    session_id: str
    candidate: str
    question_id: str
    title: str
    mode: Mode
    submitted_at: datetime
    submitted_by: Submitter
    seconds_used: float
    seconds_allowed: float
    hint_cost: int
    state: GradeState
    score: float | None
    grader_kind: str | None
    uncertain: int
    released: bool


@dataclass(frozen=True, kw_only=True)
class CriterionVerdict:
    """A criterion with the grader's verdict on it, and an interviewer's.

    `verdict` is None until graded, `decided` until an interviewer has decided.
    """

    criterion: Criterion
    verdict: str | None
    quote: str
    start: int | None
    end: int | None
    reason: str
    decided: str | None
    decided_reason: str
    advice: str
    uncertain: bool


@dataclass(frozen=True, kw_only=True)
class AttemptReview(QueueItem):
    """An attempt in full. `question` holds statement, facts and follow-ups; None when the packs no longer have it.

    `grade` is the host's newest and `calls` what a language model was asked for it; `grades` are all there are.
    """

    question: Question | None
    answer: str
    late: bool
    paused_seconds: float
    extended_seconds: float
    hints: tuple[HintTaken, ...]
    grade: Grade | None
    grades: tuple[Grade, ...]
    calls: tuple[CallOfGrade, ...]
    criteria: tuple[CriterionVerdict, ...]
    drafts: int
    runs: tuple[Run, ...]
    reviewed_at: datetime | None


def queue(store: Store, catalog: Catalog, *, limit: int = 200) -> list[QueueItem]:
    """Return the submitted attempts: first those on which a grader's readings differ, then newest first."""
    items = [QueueItem(**_line(catalog, record)) for record in store.submitted_attempts(limit=limit)]
    return sorted(items, key=lambda item: not item.uncertain)


def attempt(store: Store, catalog: Catalog, attempt_id: str) -> AttemptReview:
    """Return a submitted attempt in full; NotFound if there is none."""
    record = store.anyones_attempt(attempt_id=attempt_id)
    if record.answer is None:
        raise NotFound(f"attempt {attempt_id}")
    question = catalog.questions.get(record.attempt.question_id)
    reviews = store.newest_reviews(attempt_id)
    decided = {decision.criterion: decision for review in reviews for decision in review.verdicts}
    return AttemptReview(
        **_line(catalog, record),
        question=question,
        answer=record.answer.text,
        late=record.answer.late,
        paused_seconds=record.attempt.paused_seconds,
        extended_seconds=record.attempt.extended_seconds,
        hints=record.attempt.hints,
        grade=record.host_grade,
        grades=record.grades,
        calls=tuple(store.calls_of(record.host_grade.id)) if record.host_grade else (),
        criteria=tuple(
            _verdict(criterion, record.host_grade, decided.get(criterion.id)) for criterion in question.criteria
        )
        if question
        else (),
        reviewed_at=reviews[-1].created_at if reviews else None,
        drafts=store.count_drafts(attempt_id=attempt_id),
        runs=tuple(store.runs(record.session.user_id, attempt_id)),
    )


def grade_again(store: Store, *, attempt_id: str, now: datetime) -> None:
    """Queue an answer to be graded anew, by the grader and rubric of today; NotFound if there is no such answer."""
    record = store.anyones_attempt(attempt_id=attempt_id)
    if record.answer is None:
        raise NotFound(f"attempt {attempt_id}")
    store.request_grade(record.answer.id, now=now)


def release(store: Store, *, session_id: str, now: datetime) -> None:
    """Let the candidate see the feedback on an assessment; NotFound if there is no such session."""
    store.release_session(session_id=session_id, at=now)


def _line(catalog: Catalog, record: AttemptRecord) -> dict[str, Any]:
    session, done, grade = record.session, record.attempt, record.host_grade
    question = catalog.questions.get(done.question_id)
    return {
        "attempt_id": done.id,
        "session_id": session.id,
        "candidate": session.user_id[:8],
        "question_id": done.question_id,
        "title": question.title if question else done.question_id,
        "mode": session.mode,
        "submitted_at": done.submitted_at,
        "submitted_by": done.submitted_by,
        "seconds_used": done.seconds_used(done.submitted_at or done.opened_at),
        "seconds_allowed": done.seconds_allowed,
        "hint_cost": done.hint_cost,
        "state": grade.state if grade else GradeState.PENDING,
        "score": grade.score if grade else None,
        "grader_kind": grade.kind if grade else None,
        "uncertain": sum(bool(verdict.get("uncertain")) for verdict in grade.verdicts) if grade else 0,
        "released": session.released_at is not None,
    }


def _verdict(criterion: Criterion, grade: Grade | None, decided: ReviewedVerdict | None) -> CriterionVerdict:
    verdict = grade.verdict_on(criterion.id) if grade else {}
    return CriterionVerdict(
        criterion=criterion,
        verdict=verdict.get("verdict"),
        quote=verdict.get("quote") or "",
        start=verdict.get("start"),
        end=verdict.get("end"),
        reason=verdict.get("reason") or "",
        decided=decided.verdict if decided else None,
        decided_reason=decided.reason if decided else "",
        advice=verdict.get("advice") or "",
        uncertain=bool(verdict.get("uncertain")),
    )
