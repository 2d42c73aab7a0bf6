"""Runs of the sandbox as evidence: those made beside an attempt stand with it, and earlier ones can be attached.

What stands beside a submitted answer stays as it was at the submission.
"""

from datetime import datetime

from webapp.interview.errors import AttemptClosed, RunIsEvidence, RunStandsElsewhere
from webapp.interview.room import require_open
from webapp.store import Run, Store


def attach(store: Store, *, user_id: str, run_id: str, attempt_id: str, now: datetime) -> None:
    """Put one's own run beside one's own open attempt; one that stands there already is fine.

    Raises:
        NotFound: No such run or attempt, or another person's.
        AttemptClosed: Submitted, or the time is over.
        RunStandsElsewhere: The run stands beside another attempt.
    """
    with store.hold_attempt(user_id=user_id, attempt_id=attempt_id) as held:
        require_open(held.attempt, now)
        run = held.run(run_id)
        if run.attempt_id not in (None, attempt_id):
            raise RunStandsElsewhere(run_id)
        run.attempt_id = attempt_id


def delete_run(store: Store, *, user_id: str, run_id: str, now: datetime) -> None:
    """Delete one's own run.

    Raises:
        NotFound: No such run, or another person's.
        RunIsEvidence: It stands beside a submitted answer.
    """
    run = store.run(user_id=user_id, run_id=run_id)
    if run.attempt_id is None:
        store.delete_loose_run(user_id=user_id, run_id=run_id)
        return
    with store.hold_attempt(user_id=user_id, attempt_id=run.attempt_id) as held:
        try:
            require_open(held.attempt, now)
        except AttemptClosed:
            raise RunIsEvidence(run_id) from None
        held.delete(held.run(run_id))


def attachable(store: Store, *, user_id: str, limit: int) -> list[Run]:
    """Return one's own newest runs that stand beside no attempt."""
    return store.loose_runs(user_id, limit=limit)
