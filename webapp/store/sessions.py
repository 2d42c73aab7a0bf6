"""Sessions with their attempts, drafts and answers.

Every change goes through a `Held` session: its row is locked from the read to the commit, so the rules can look and
then act, and two tabs, two threads or two servers take turns. Reads take the owner's id into the query.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from webapp.store.database import Database
from webapp.store.errors import NotFound
from webapp.store.grades import grade_of
from webapp.store.records import AttemptRecord
from webapp.store.tables import Answer, Attempt, Draft, GradeRow, InterviewSession, Mode, Run, Submitter

Row = TypeVar("Row", Draft, Attempt, Answer, GradeRow)


class Held:
    """A session locked for writing; what is set on `session` and `attempt` is committed when the hold ends.

    Attributes:
        session: The session.
        attempt: The attempt that was asked for, or the session's last.
    """

    def __init__(self, database: Session, session: InterviewSession, attempt: Attempt) -> None:
        self._database = database
        self.session = session
        self.attempt = attempt

    def latest_draft(self) -> Draft | None:
        """Return the attempt's newest draft."""
        return _latest_draft(self._database, self.attempt.id)

    def add_draft(self, *, revision: int, text: str, saved_at: datetime) -> Draft:
        """Add a revision of the attempt's text."""
        return self._add(Draft(attempt_id=self.attempt.id, revision=revision, text=text, saved_at=saved_at))

    def add_attempt(self, *, question_id: str, position: int, opened_at: datetime, deadline: datetime) -> Attempt:
        """Open a question; it becomes the held attempt."""
        self.attempt = self._add(
            Attempt(
                session_id=self.session.id,
                question_id=question_id,
                position=position,
                opened_at=opened_at,
                deadline=deadline,
            )
        )
        return self.attempt

    def submit(self, *, text: str, at: datetime, by: Submitter, late: bool = False) -> Answer:
        """Close the attempt with its answer, and queue the answer for grading."""
        self.attempt.submitted_at, self.attempt.submitted_by = at, by
        answer = self._add(Answer(attempt_id=self.attempt.id, text=text, submitted_at=at, late=late))
        self._add(GradeRow(answer_id=answer.id, created_at=at, due_at=at))
        return answer

    def run(self, run_id: str) -> Run:
        """Return the owner's run; what is set on it is committed when the hold ends. NotFound if there is none."""
        mine = select(Run).where(Run.id == run_id, Run.user_id == self.session.user_id)
        run = self._database.exec(mine.with_for_update()).one_or_none()
        if run is None:
            raise NotFound(f"run {run_id}")
        return run

    def delete(self, run: Run) -> None:
        """Delete a run."""
        self._database.delete(run)

    def _add(self, row: Row) -> Row:
        self._database.add(row)
        self._database.flush()
        return row


class Sessions(Database):
    """The store's sessions."""

    def start_session(
        self,
        *,
        user_id: str,
        mode: Mode,
        question_ids: Sequence[str],
        started_at: datetime,
        deadline: datetime,
    ) -> tuple[InterviewSession, Attempt]:
        """Add a session and open its first question."""
        session = InterviewSession(user_id=user_id, mode=mode, question_ids=tuple(question_ids), started_at=started_at)
        attempt = Attempt(
            session_id=session.id,
            question_id=question_ids[0],
            position=1,
            opened_at=started_at,
            deadline=deadline,
        )
        with self._writing() as database:
            database.add(session)
            database.flush()
            database.add(attempt)
        return session, attempt

    @contextmanager
    def hold_attempt(self, *, user_id: str, attempt_id: str) -> Iterator[Held]:
        """Lock one's own attempt for writing; NotFound if there is none. An exception undoes everything."""
        with self._hold(attempt_id, InterviewSession.user_id == user_id) as held:
            yield held

    @contextmanager
    def hold_anyones_attempt(self, *, attempt_id: str) -> Iterator[Held]:
        """Lock an attempt for the server's own work, whoever's it is; NotFound if there is none."""
        with self._hold(attempt_id) as held:
            yield held

    @contextmanager
    def hold_session(self, *, user_id: str, session_id: str) -> Iterator[Held]:
        """Lock one's own session for writing; NotFound if there is none."""
        mine = select(InterviewSession).where(InterviewSession.id == session_id, InterviewSession.user_id == user_id)
        with self._writing() as database:
            session = database.exec(mine.with_for_update()).one_or_none()
            if session is None:
                raise NotFound(f"session {session_id}")
            yield Held(database, session, _attempts(database, session_id)[-1])

    @contextmanager
    def _hold(self, attempt_id: str, *filters: Any) -> Iterator[Held]:
        # the session's row is the one lock for all that is in it; the attempt is read after the lock is held
        query = select(InterviewSession).join(Attempt).where(Attempt.id == attempt_id, *filters)
        with self._writing() as database:
            session = database.exec(query.with_for_update(of=InterviewSession)).one_or_none()
            if session is None:
                raise NotFound(f"attempt {attempt_id}")
            yield Held(database, session, database.get_one(Attempt, attempt_id))

    def attempt(self, *, user_id: str, attempt_id: str) -> AttemptRecord:
        """Return one's own attempt; NotFound if there is none."""
        return self._attempt(attempt_id, InterviewSession.user_id == user_id)

    def anyones_attempt(self, *, attempt_id: str) -> AttemptRecord:
        """Return an attempt, whoever's it is, for those who may see it; NotFound if there is none."""
        return self._attempt(attempt_id)

    def _attempt(self, attempt_id: str, *filters: Any) -> AttemptRecord:
        with self._reading() as database:
            found = _records(database, Attempt.id == attempt_id, *filters, limit=1)
        if not found:
            raise NotFound(f"attempt {attempt_id}")
        return found[0]

    def attempts(self, *, user_id: str, limit: int = 200) -> list[AttemptRecord]:
        """Return one's own attempts, newest first."""
        with self._reading() as database:
            return _records(database, InterviewSession.user_id == user_id, limit=limit)

    def submitted_attempts(self, *, limit: int = 200) -> list[AttemptRecord]:
        """Return everyone's submitted attempts, newest first, for those who may see them."""
        with self._reading() as database:
            submitted = col(Attempt.submitted_at).is_not(None)
            return _records(database, submitted, limit=limit, newest=Attempt.submitted_at)

    def unfinished_sessions(self, *, user_id: str) -> list[InterviewSession]:
        """Return one's own sessions that have not ended, newest first."""
        query = select(InterviewSession).where(
            InterviewSession.user_id == user_id, col(InterviewSession.ended_at).is_(None)
        )
        with self._reading() as database:
            return list(database.exec(query.order_by(col(InterviewSession.started_at).desc())))

    def release_session(self, *, session_id: str, at: datetime) -> None:
        """Let the candidate see what an assessment withholds; NotFound if there is no such session."""
        with self._writing() as database:
            session = database.get(InterviewSession, session_id)
            if session is None:
                raise NotFound(f"session {session_id}")
            session.released_at = session.released_at or at

    def latest_draft(self, *, attempt_id: str) -> Draft | None:
        """Return the newest draft of an attempt."""
        with self._reading() as database:
            return _latest_draft(database, attempt_id)

    def drafts(self, *, attempt_id: str) -> list[Draft]:
        """Return every draft of an attempt, oldest first."""
        with self._reading() as database:
            query = select(Draft).where(Draft.attempt_id == attempt_id).order_by(col(Draft.revision))
            return list(database.exec(query))

    def count_drafts(self, *, attempt_id: str) -> int:
        """Count an attempt's drafts."""
        with self._reading() as database:
            return database.exec(select(func.count()).select_from(Draft).where(Draft.attempt_id == attempt_id)).one()

    def overdue_attempts(self, *, at: datetime) -> list[str]:
        """Return the ids of the attempts whose clock runs and whose deadline is at or before a moment."""
        query = select(Attempt.id).where(*_running(), Attempt.deadline <= at).order_by(col(Attempt.deadline))
        with self._reading() as database:
            return list(database.exec(query))

    def next_deadline(self) -> datetime | None:
        """Return the earliest deadline of all attempts whose clock runs."""
        query = select(Attempt.deadline).where(*_running()).order_by(col(Attempt.deadline)).limit(1)
        with self._reading() as database:
            return database.exec(query).first()


def _running() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Attempt.submitted_at).is_(None), col(Attempt.paused_at).is_(None)


def _attempts(database: Session, session_id: str) -> Sequence[Attempt]:
    return database.exec(select(Attempt).where(Attempt.session_id == session_id).order_by(col(Attempt.position))).all()


def _latest_draft(database: Session, attempt_id: str) -> Draft | None:
    query = select(Draft).where(Draft.attempt_id == attempt_id).order_by(col(Draft.revision).desc()).limit(1)
    return database.exec(query).first()


def _records(database: Session, *filters: Any, limit: int, newest: Any = Attempt.opened_at) -> list[AttemptRecord]:
    query = (
        select(InterviewSession, Attempt, Answer)
        .join(Attempt, col(Attempt.session_id) == InterviewSession.id)
        .join(Answer, col(Answer.attempt_id) == Attempt.id, isouter=True)
        .where(*filters)
        .order_by(col(newest).desc())
        .limit(limit)
    )
    found = database.exec(query).all()
    answers = [answer.id for _, _, answer in found if answer is not None]
    rows = database.exec(
        select(GradeRow).where(col(GradeRow.answer_id).in_(answers)).order_by(col(GradeRow.created_at))
    ).all()
    grades: dict[str, list[GradeRow]] = {}
    for row in rows:
        grades.setdefault(row.answer_id, []).append(row)
    return [
        AttemptRecord(
            session=session,
            attempt=attempt,
            answer=answer,
            grades=tuple(grade_of(row) for row in grades.get(answer.id, ())) if answer else (),
        )
        for session, attempt, answer in found
    ]
