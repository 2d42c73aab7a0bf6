"""Code that candidates write for the exercises: every saved state of it."""

from datetime import datetime

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from webapp.store.database import Database
from webapp.store.errors import NotFound
from webapp.store.tables import Attempt, CodeDraft, InterviewSession


class Codes(Database):
    """The store's code drafts."""

    def add_code(self, *, user_id: str, exercise: str, attempt_id: str | None, source: str, now: datetime) -> CodeDraft:
        """Keep a state of the code; the newest one again is not kept twice.

        Raises:
            NotFound: The attempt is not one's own, or asks another question.
        """
        with self._writing() as database:
            if attempt_id is not None:
                _require_own(database, user_id, exercise, attempt_id)
            newest = database.exec(_drafts(user_id, exercise, attempt_id).limit(1)).first()
            if newest is not None and newest.source == source:
                return newest
            draft = CodeDraft(user_id=user_id, exercise=exercise, attempt_id=attempt_id, source=source, saved_at=now)
            database.add(draft)
        return draft

    def codes(self, *, user_id: str, exercise: str, attempt_id: str | None, limit: int = 1) -> list[CodeDraft]:
        """Return one's own states of the code, newest first."""
        with self._reading() as database:
            return list(database.exec(_drafts(user_id, exercise, attempt_id).limit(limit)))


def _drafts(user_id: str, exercise: str, attempt_id: str | None) -> SelectOfScalar[CodeDraft]:
    return (
        select(CodeDraft)
        .where(CodeDraft.user_id == user_id, CodeDraft.exercise == exercise, col(CodeDraft.attempt_id) == attempt_id)
        .order_by(col(CodeDraft.saved_at).desc(), col(CodeDraft.id))
    )


def _require_own(database: Session, user_id: str, exercise: str, attempt_id: str) -> None:
    own = (
        select(Attempt.id)
        .join(InterviewSession)
        .where(Attempt.id == attempt_id, Attempt.question_id == exercise, InterviewSession.user_id == user_id)
    )
    if database.exec(own).first() is None:
        raise NotFound(f"attempt {attempt_id}")
