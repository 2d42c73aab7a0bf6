"""Grades: a queue of answers that wait for a grader, and what the graders found. Old grades stay."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from webapp.store.database import Database
from webapp.store.errors import NotFound
from webapp.store.records import AnswerToGrade, Grade, graded_or_newest
from webapp.store.tables import Answer, Attempt, GradeCall, GradeRow, GradeState, utc_now


class Grades(Database):
    """The store's grades.

    An answer is queued when it is submitted. A worker claims it for a lease; when the worker dies, the lease runs out
    and another claims it. A claim ends with `save_grade` or `save_grade_failure`.
    """

    def ungraded_answers(self, limit: int = 100) -> list[AnswerToGrade]:
        """Return the answers that wait for a grade, claimed or not, oldest first."""
        with self._reading() as database:
            return [_to_grade(*found) for found in database.exec(_pending().limit(limit))]

    def claim_answers(self, *, limit: int, now: datetime, lease: timedelta) -> list[AnswerToGrade]:
        """Take up to `limit` answers that are due; until `now + lease` nobody else gets them."""
        due = _pending().where(GradeRow.due_at <= now).limit(limit).with_for_update(of=GradeRow, skip_locked=True)
        with self._writing() as database:
            claimed = []
            for row, answer, attempt in database.exec(due):
                row.due_at, row.tries = now + lease, row.tries + 1
                claimed.append(_to_grade(row, answer, attempt))
        return claimed

    def save_grade(
        self,
        answer_id: str,
        *,
        kind: str,
        model: str,
        version: str,
        score: float | None,
        verdicts: Sequence[Mapping[str, Any]],
        gate: Mapping[str, Any] | None = None,
        flags: Sequence[str] = (),
        seconds: float | None = None,
        calls: Sequence[tuple[str, bool]] = (),
        beside_queue: bool = False,
        now: datetime | None = None,
    ) -> Grade:
        """Keep a grader's result: it ends the grading that was asked for, or else is one more.

        A grader that can't tell gives the score None; the answer is graded all the same.

        Args:
            answer_id: The answer.
            kind: The grader's kind.
            model: The model behind it.
            version: The grader's version.
            score: 0 to 100, or None.
            verdicts: One for each criterion.
            gate: Why no grader saw the answer.
            flags: What a reader should know.
            seconds: How long it took.
            calls: The ids of the calls that it rests on, each with whether it had been paid for before.
            beside_queue: Whether this is one more in any case, and what waits in the queue goes on waiting.
            now: The present moment.

        Raises:
            NotFound: There is no such answer.
        """
        now = now or utc_now()
        with self._writing() as database:
            waiting = _pending_of(database, answer_id)
            row = waiting if waiting and not beside_queue else GradeRow(answer_id=answer_id, created_at=now, due_at=now)
            row.state, row.graded_at, row.error = GradeState.GRADED, now, None
            row.kind, row.model, row.version = kind, model, version
            row.score, row.seconds = score, seconds
            row.verdicts, row.flags = tuple(dict(verdict) for verdict in verdicts), tuple(flags)
            row.gate = None if gate is None else dict(gate)
            database.add(row)
            database.flush()
            # a reply that was asked for twice within one grading is one call
            database.add_all(
                GradeCall(grade_id=row.id, call_id=call, cached=cached)
                for call, cached in dict(reversed(calls)).items()
            )
        return grade_of(row)

    def save_progress(self, answer_id: str, *, read: int, count: int) -> None:
        """Note how many of how many criteria of an answer are read."""
        with self._writing() as database:
            for row in database.exec(_pending_rows([answer_id])):
                row.criteria_read, row.criteria_count = read, count

    def extend_claims(self, answer_ids: Sequence[str], *, until: datetime) -> None:
        """Hold claimed answers for longer; a grading can take more than a lease."""
        with self._writing() as database:
            for row in database.exec(_pending_rows(answer_ids)):
                row.due_at = until

    def give_back(self, answer_id: str, *, now: datetime) -> None:
        """Let go of a claimed answer, ungraded, so that the next worker needn't wait for the lease."""
        with self._writing() as database:
            for row in database.exec(_pending_rows([answer_id])):
                row.due_at, row.tries = now, max(0, row.tries - 1)

    def save_grade_failure(self, answer_id: str, *, error: str, retry_at: datetime | None) -> None:
        """Note why a grading failed; it is due again at `retry_at`, or given up when that is None.

        Raises:
            NotFound: There is no such answer.
        """
        with self._writing() as database:
            row = _pending_of(database, answer_id)
            if row is None:
                return
            row.error = error
            if retry_at is None:
                row.state = GradeState.FAILED
            else:
                row.due_at = retry_at

    def request_grade(self, answer_id: str, *, now: datetime) -> None:
        """Queue an answer to be graded again; nothing changes while one waits already.

        Raises:
            NotFound: There is no such answer.
        """
        with self._writing() as database:
            if _pending_of(database, answer_id) is None:
                database.add(GradeRow(answer_id=answer_id, created_at=now, due_at=now))

    def grades(self, answer_id: str) -> list[Grade]:
        """Return all gradings of an answer, oldest first."""
        query = select(GradeRow).where(GradeRow.answer_id == answer_id).order_by(col(GradeRow.created_at))
        with self._reading() as database:
            return [grade_of(row) for row in database.exec(query)]

    def latest_grade(self, answer_id: str) -> Grade | None:
        """Return the grade to show: the newest result, or where there is none what waits or failed."""
        return graded_or_newest(self.grades(answer_id))


def grade_of(row: GradeRow) -> Grade:
    """Return a row as a plain record."""
    return Grade(
        id=row.id,
        answer_id=row.answer_id,
        state=row.state,
        created_at=row.created_at,
        due_at=row.due_at,
        kind=row.kind,
        model=row.model,
        version=row.version,
        score=row.score,
        verdicts=row.verdicts,
        gate=row.gate,
        flags=row.flags,
        seconds=row.seconds,
        graded_at=row.graded_at,
        tries=row.tries,
        error=row.error,
        criteria_read=row.criteria_read,
        criteria_count=row.criteria_count,
    )


def _pending_rows(answer_ids: Sequence[str]) -> Any:
    return select(GradeRow).where(col(GradeRow.answer_id).in_(answer_ids), GradeRow.state == GradeState.PENDING)


def _pending() -> Any:
    return (
        select(GradeRow, Answer, Attempt)
        .join(Answer, col(Answer.id) == GradeRow.answer_id)
        .join(Attempt, col(Attempt.id) == Answer.attempt_id)
        .where(GradeRow.state == GradeState.PENDING)
        .order_by(col(GradeRow.created_at))
    )


def _pending_of(database: Session, answer_id: str) -> GradeRow | None:
    # the answer's row is the lock: two requests can't both find nothing pending
    if database.exec(select(Answer.id).where(Answer.id == answer_id).with_for_update()).first() is None:
        raise NotFound(f"answer {answer_id}")
    query = select(GradeRow).where(GradeRow.answer_id == answer_id, GradeRow.state == GradeState.PENDING)
    return database.exec(query).first()


def _to_grade(row: GradeRow, answer: Answer, attempt: Attempt) -> AnswerToGrade:
    return AnswerToGrade(
        answer_id=answer.id,
        attempt_id=attempt.id,
        question_id=attempt.question_id,
        text=answer.text,
        tries=row.tries,
    )
