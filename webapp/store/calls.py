"""Calls of language models: kept with the grades that rest on them, and found again when the same is asked."""

from collections.abc import Mapping, Sequence

from sqlmodel import col, select

from webapp.store.database import Database
from webapp.store.records import CallOfGrade
from webapp.store.tables import GradeCall, GraderCall


class Calls(Database):
    """The store's calls."""

    def usable_call(self, key: str) -> GraderCall | None:
        """Return the newest call of that key whose reply could be used, None if there is none."""
        query = select(GraderCall).where(GraderCall.key == key, col(GraderCall.error).is_(None))
        with self._reading() as database:
            return database.exec(query.order_by(col(GraderCall.created_at).desc()).limit(1)).first()

    def add_call(
        self,
        *,
        key: str,
        host: str,
        model: str,
        messages: Sequence[Mapping[str, str]],
        reply: str,
        form: str,
        finish_reason: str,
        tokens_in: int | None,
        tokens_out: int | None,
        cost: float | None,
        seconds: float,
        error: str | None,
    ) -> GraderCall:
        """Keep a call; `error` says why its reply could not be used, None if it could."""
        call = GraderCall(
            key=key,
            host=host,
            model=model,
            messages=tuple(dict(message) for message in messages),
            reply=reply,
            form=form,
            finish_reason=finish_reason,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost=cost,
            seconds=seconds,
            error=error,
        )
        with self._writing() as database:
            database.add(call)
        return call

    def calls_of(self, grade_id: str) -> list[CallOfGrade]:
        """Return the calls that a grade rests on, oldest first."""
        query = (
            select(GraderCall, GradeCall.cached)
            .join(GradeCall, col(GradeCall.call_id) == GraderCall.id)
            .where(GradeCall.grade_id == grade_id)
            .order_by(col(GraderCall.created_at))
        )
        with self._reading() as database:
            return [CallOfGrade(call=call, cached=cached) for call, cached in database.exec(query)]
