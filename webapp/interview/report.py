"""What a candidate sees of their own past: the list at home, and the report of one attempt.

A practice shows everything once it is submitted, an assessment nothing until an interviewer has released it. While
an assessment is underway, the reports on its questions are withheld too, or a practice beside it would give the answer.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from content import Catalog, Criterion
from webapp.interview.deadline import is_overdue, settled
from webapp.interview.errors import NotSubmitted
from webapp.interview.secrecy import questions_under_assessment
from webapp.interview.views import (
    CriterionReport,
    FeedbackState,
    HomeView,
    PastAttempt,
    ReportView,
    Unfinished,
    attempt_view,
    hint_views,
)
from webapp.store import AttemptRecord, Grade, GradeState, InterviewSession, Mode, Store

GRADED = {
    GradeState.PENDING: FeedbackState.WAITING,
    GradeState.GRADED: FeedbackState.GRADED,
    GradeState.FAILED: FeedbackState.FAILED,
}
SHOWN = set(GRADED.values())


def home(store: Store, catalog: Catalog, *, user_id: str, now: datetime) -> HomeView:
    """Return one's own unfinished sessions and submitted attempts; what is overdue is submitted first."""
    records = store.attempts(user_id=user_id)
    overdue = [record.attempt.id for record in records if is_overdue(record.attempt, now)]
    for attempt_id in overdue:
        settled(store, user_id=user_id, attempt_id=attempt_id, now=now)
    if overdue:
        records = store.attempts(user_id=user_id)
    secret = questions_under_assessment(store, user_id=user_id)
    return HomeView(
        unfinished=tuple(
            _unfinished(catalog, session, records, now) for session in store.unfinished_sessions(user_id=user_id)
        ),
        past=tuple(_past(catalog, record, secret, now) for record in records if record.answer is not None),
    )


def report(
    store: Store, catalog: Catalog, *, user_id: str, attempt_id: str, now: datetime, grade_id: str = ""
) -> ReportView:
    """Return the report of one's own attempt, as far as it may be seen; `grade_id` names an earlier grade to show.

    Raises:
        NotFound: No such attempt, or another person's.
        NotSubmitted: It is still open.
    """
    record = settled(store, user_id=user_id, attempt_id=attempt_id, now=now)
    answer = record.answer
    if answer is None:
        raise NotSubmitted(attempt_id)
    graded = [grade for grade in record.grades if grade.state is GradeState.GRADED]
    if chosen := next((grade for grade in graded if grade.id == grade_id), None):
        record = replace(record, grades=(chosen,))
    past = _past(catalog, record, questions_under_assessment(store, user_id=user_id), now)
    question = catalog.questions.get(record.attempt.question_id) if past.state in SHOWN else None
    grade = record.grade if past.state in SHOWN else None
    return ReportView(
        **vars(past),
        answer_id=answer.id,
        answer=answer.text,
        late=answer.late,
        hints=hint_views(record.attempt),
        grade=grade,
        gradings=tuple(reversed(graded)) if past.state in SHOWN else (),
        criteria=tuple(_criterion(criterion, grade) for criterion in question.criteria) if question else (),
        model_answer=question.model_answer_text() if question else None,
    )


def _past(catalog: Catalog, record: AttemptRecord, secret: Collection[str], now: datetime) -> PastAttempt:
    state = _state(record, secret)
    grade = record.grade if state is FeedbackState.GRADED else None
    score, cost = grade.score if grade else None, record.attempt.hint_cost
    return PastAttempt(
        **vars(attempt_view(catalog, record.session, record.attempt, now)),
        state=state,
        score=score,
        points=None if score is None else max(0.0, score - cost),
        hint_cost=cost,
        grader_kind=grade.kind if grade else None,
        grader_version=grade.version if grade else None,
    )


def _state(record: AttemptRecord, secret: Collection[str]) -> FeedbackState:
    if record.session.mode is Mode.ASSESSMENT and record.session.released_at is None:
        return FeedbackState.NOT_RELEASED
    if record.attempt.question_id in secret:
        return FeedbackState.ASSESSMENT_UNDERWAY
    return GRADED[record.grade.state] if record.grade else FeedbackState.WAITING


def _unfinished(
    catalog: Catalog, session: InterviewSession, records: Iterable[AttemptRecord], now: datetime
) -> Unfinished:
    attempts = [record.attempt for record in records if record.session.id == session.id]
    running = next((attempt for attempt in attempts if attempt.submitted_at is None), None)
    return Unfinished(
        session_id=session.id,
        mode=session.mode,
        started_at=session.started_at,
        done=sum(attempt.submitted_at is not None for attempt in attempts),
        count=len(session.question_ids),
        attempt=attempt_view(catalog, session, running, now) if running else None,
    )


def _criterion(criterion: Criterion, grade: Grade | None) -> CriterionReport:
    verdict = grade.verdict_on(criterion.id) if grade else {}
    return CriterionReport(
        criterion=criterion,
        verdict=verdict.get("verdict"),
        quote=verdict.get("quote") or "",
        start=verdict.get("start"),
        end=verdict.get("end"),
        reason=verdict.get("reason") or "",
        advice=verdict.get("advice") or "",
        uncertain=bool(verdict.get("uncertain")),
    )
