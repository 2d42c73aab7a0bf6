"""What was asked of a model and what it replied: kept with the grade, and used again when the same is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class KeptCall(Protocol):
    """A call as it is kept."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def reply(self) -> str:
        """The reply's text."""

    @property
    def finish_reason(self) -> str:
        """Why the reply ended, as the endpoint said."""

    @property
    def form(self) -> str:
        """The form that was asked for."""


class CallLog(Protocol):
    """Where calls are kept."""

    def usable_call(self, key: str) -> KeptCall | None:
        """Return the newest call of that key whose reply could be used, None if there is none."""

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
    ) -> KeptCall:
        """Keep a call; `error` says why its reply could not be used, None if it could."""


@dataclass(frozen=True)
class MemoryCall:
    """A call kept in memory."""

    id: str
    reply: str
    finish_reason: str
    form: str
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    seconds: float
    error: str | None


class MemoryLog:
    """Keeps calls in this object, without their prompts, for grading outside of the application.

    With `reuse=False` none is found again, so that grading twice asks twice.
    """

    def __init__(self, *, reuse: bool = True) -> None:
        self.calls: list[MemoryCall] = []
        self._reuse = reuse
        self._usable: dict[str, MemoryCall] = {}

    def usable_call(self, key: str) -> MemoryCall | None:
        """Return the newest call of that key whose reply could be used."""
        return self._usable.get(key) if self._reuse else None

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
    ) -> MemoryCall:
        """Keep a call."""
        call = MemoryCall(
            str(len(self.calls) + 1), reply, finish_reason, form, tokens_in, tokens_out, cost, seconds, error
        )
        self.calls.append(call)
        if error is None:
            self._usable[key] = call
        return call
