"""What an assessment keeps secret, also from a practice of the same question beside it."""

from webapp.store import Mode, Store


def questions_under_assessment(store: Store, *, user_id: str) -> frozenset[str]:
    """Return the ids of the questions in a candidate's unfinished assessments: no hint or report may tell of them."""
    sessions = store.unfinished_sessions(user_id=user_id)
    return frozenset(q for session in sessions if session.mode is Mode.ASSESSMENT for q in session.question_ids)
