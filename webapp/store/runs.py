"""Runs of the sandbox."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col, select

from webapp.store.database import Database
from webapp.store.errors import NotFound
from webapp.store.tables import Attempt, InterviewSession, Run, utc_now


class Runs(Database):
    """The store's runs."""

    def add_run(
        self,
        *,
        user_id: str,
        kind: str,
        settings: Mapping[str, Any],
        figures: Mapping[str, Any],
        attempt_id: str | None = None,
        receipt: str | None = None,
        now: datetime | None = None,
    ) -> Run:
        """Keep a run, beside one's own attempt or without one; NotFound if the attempt is not one's own."""
        run = Run(
            user_id=user_id,
            attempt_id=attempt_id,
            kind=kind,
            settings=dict(settings),
            figures=dict(figures),
            receipt=receipt,
            created_at=now or utc_now(),
        )
        mine = (
            select(Attempt.id)
            .join(InterviewSession)
            .where(Attempt.id == attempt_id, InterviewSession.user_id == user_id)
        )
        with self._writing() as database:
            if attempt_id is not None and database.exec(mine).first() is None:
                raise NotFound(f"attempt {attempt_id}")
            database.add(run)
        return run

    def runs(self, user_id: str, attempt_id: str | None = None, limit: int = 200) -> list[Run]:
        """Return one's own runs, newest first; only those beside an attempt if one is named."""
        query = select(Run).where(Run.user_id == user_id)
        if attempt_id is not None:
            query = query.where(Run.attempt_id == attempt_id)
        with self._reading() as database:
            return list(database.exec(query.order_by(col(Run.created_at).desc()).limit(limit)))

    def loose_runs(self, user_id: str, limit: int = 200) -> list[Run]:
        """Return one's own runs that stand beside no attempt, newest first."""
        query = select(Run).where(Run.user_id == user_id, col(Run.attempt_id).is_(None))
        with self._reading() as database:
            return list(database.exec(query.order_by(col(Run.created_at).desc()).limit(limit)))

    def delete_loose_run(self, *, user_id: str, run_id: str) -> None:
        """Delete one's own run that stands beside no attempt; NotFound if there is none."""
        query = select(Run).where(Run.id == run_id, Run.user_id == user_id, col(Run.attempt_id).is_(None))
        with self._writing() as database:
            found = database.exec(query.with_for_update()).one_or_none()
            if found is None:
                raise NotFound(f"run {run_id}")
            database.delete(found)

    def run(self, *, user_id: str, run_id: str) -> Run:
        """Return one's own run; NotFound if there is none."""
        return self._run(Run.id == run_id, Run.user_id == user_id)

    def submitted_run(self, *, run_id: str) -> Run:
        """Return a run beside a submitted answer, for those who may see everyone's; NotFound if there is none."""
        submitted = select(Attempt.id).where(col(Attempt.submitted_at).is_not(None))
        return self._run(Run.id == run_id, col(Run.attempt_id).in_(submitted))

    def attached_runs(self, user_id: str | None = None) -> list[Run]:
        """Return all runs that stand beside an attempt, submitted or not, of everybody or of one person."""
        query = select(Run).where(col(Run.attempt_id).is_not(None))
        if user_id is not None:
            query = query.where(Run.user_id == user_id)
        with self._reading() as database:
            return list(database.exec(query))

    def _run(self, *filters: ColumnElement[bool] | bool) -> Run:
        with self._reading() as database:
            found = database.exec(select(Run).where(*filters)).one_or_none()
        if found is None:
            raise NotFound("run")
        return found

    def code_runs(self, *, user_id: str, exercise: str, attempt_id: str | None, limit: int = 50) -> list[Run]:
        """Return one's own runs of code for an exercise, newest first, beside an attempt or without one."""
        query = (
            select(Run)
            .where(Run.user_id == user_id, col(Run.attempt_id) == attempt_id, Run.kind == "code")
            .order_by(col(Run.created_at).desc())
        )
        with self._reading() as database:
            found = database.exec(query.limit(10 * limit))
            return [run for run in found if run.settings.get("exercise") == exercise][:limit]
