"""Deadlines are absolute and the server's. When one passes, the last draft is the answer, browser open or not.

The text on its way at the deadline still counts: drafts and submissions are taken for `GRACE` longer, and the server
submits after that. It does so at the deadline's own time, however late it gets to it, for instance after a restart.
"""

from datetime import datetime, timedelta

from webapp.store import Attempt, AttemptRecord, Held, Store, Submitter

GRACE = timedelta(seconds=5)


def is_overdue(attempt: Attempt, now: datetime) -> bool:
    """Whether the attempt is open and its time, with the grace, is over."""
    running = attempt.submitted_at is None and attempt.paused_at is None
    return running and now >= attempt.deadline + GRACE


def settle(held: Held, now: datetime) -> bool:
    """Submit an overdue attempt's last draft, empty if there is none; return whether it was overdue."""
    if not is_overdue(held.attempt, now):
        return False
    deadline, draft = held.attempt.deadline, held.latest_draft()
    close(
        held,
        text=draft.text if draft else "",
        at=deadline,
        by=Submitter.DEADLINE,
        late=draft is not None and draft.saved_at > deadline,
    )
    return True


def close(held: Held, *, text: str, at: datetime, by: Submitter, late: bool = False) -> None:
    """Submit the held attempt; the session ends with its last question."""
    held.submit(text=text, at=at, by=by, late=late)
    if held.attempt.position == len(held.session.question_ids) and held.session.ended_at is None:
        held.session.ended_at = at


def settled(store: Store, *, user_id: str, attempt_id: str, now: datetime) -> AttemptRecord:
    """Return one's own attempt as it stands now; NotFound if there is none."""
    record = store.attempt(user_id=user_id, attempt_id=attempt_id)
    if not is_overdue(record.attempt, now):
        return record
    with store.hold_attempt(user_id=user_id, attempt_id=attempt_id) as held:
        settle(held, now)
    return store.attempt(user_id=user_id, attempt_id=attempt_id)


def settle_overdue(store: Store, *, now: datetime) -> list[str]:
    """Submit every overdue attempt; return the ids of those that this call submitted.

    Each in a transaction of its own, so several servers may call this at once, and one that dies loses nothing.
    """
    done = []
    for attempt_id in store.overdue_attempts(at=now - GRACE):
        with store.hold_anyones_attempt(attempt_id=attempt_id) as held:
            if settle(held, now):
                done.append(attempt_id)
    return done


def next_deadline(store: Store) -> datetime | None:
    """Return when `settle_overdue` next has something to do; None while no clock runs."""
    deadline = store.next_deadline()
    return None if deadline is None else deadline + GRACE
