"""A sitting from its first question to its end."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from content import Catalog
from webapp.interview.deadline import close, settle
from webapp.interview.errors import BadPlan, SessionOver
from webapp.interview.room import resume_clock
from webapp.interview.views import AttemptView, SessionView, attempt_view, question_of, session_view
from webapp.store import Mode, Store, Submitter


def start(
    store: Store,
    catalog: Catalog,
    *,
    user_id: str,
    question_ids: Sequence[str],
    mode: Mode,
    now: datetime,
) -> SessionView:
    """Begin a session and open its first question; its clock runs from `now`.

    Raises:
        BadPlan: No question, an unknown one, or one twice.
    """
    unknown = [question_id for question_id in question_ids if question_id not in catalog.questions]
    if not question_ids or unknown or len(set(question_ids)) < len(question_ids):
        raise BadPlan(f"not a plan: {list(question_ids)}")
    session, attempt = store.start_session(
        user_id=user_id,
        mode=mode,
        question_ids=question_ids,
        started_at=now,
        deadline=now + timedelta(minutes=catalog.questions[question_ids[0]].minutes),
    )
    return session_view(catalog, session, attempt, now)


def open_next(store: Store, catalog: Catalog, *, user_id: str, session_id: str, now: datetime) -> AttemptView:
    """Open the session's next question; while one is open still, return that one.

    Raises:
        NotFound: No such session, or the packs no longer have the question.
        SessionOver: No question is left, or the session was ended.
    """
    with store.hold_session(user_id=user_id, session_id=session_id) as held:
        settle(held, now)
        plan, done = held.session.question_ids, held.attempt.position
        if held.attempt.submitted_at is not None and held.session.ended_at is None:
            question = question_of(catalog, plan[done])
            held.add_attempt(
                question_id=question.id,
                position=done + 1,
                opened_at=now,
                deadline=now + timedelta(minutes=question.minutes),
            )
    if held.attempt.submitted_at is not None:
        raise SessionOver(session_id)
    return attempt_view(catalog, held.session, held.attempt, now)


def end(store: Store, catalog: Catalog, *, user_id: str, session_id: str, now: datetime) -> SessionView:
    """End a session early: an open attempt is submitted with its last draft. Ending it again changes nothing.

    Raises:
        NotFound: No such session.
    """
    with store.hold_session(user_id=user_id, session_id=session_id) as held:
        if not settle(held, now) and held.attempt.submitted_at is None:
            draft = held.latest_draft()
            resume_clock(held.attempt, now)
            close(held, text=draft.text if draft else "", at=now, by=Submitter.CANDIDATE)
        held.session.ended_at = held.session.ended_at or now
    return session_view(catalog, held.session, held.attempt, now)
