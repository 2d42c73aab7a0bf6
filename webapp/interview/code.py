"""Code that a candidate writes for an exercise: its saved states, and its runs by the judge.

Every state is kept and can be brought back, so that neither a reset nor a second tab loses anything. A run is kept with
its source, seed and every check.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue
from typing import Any, NamedTuple

from content import Catalog, Form
from sandbox.judge import Check, Verdict
from webapp.interview.deadline import is_overdue
from webapp.interview.errors import AlreadyJudging, AttemptClosed, CodeTooLong, NoCodeHere
from webapp.interview.room import storable
from webapp.store import CodeDraft, NotFound, Run, Store

MAX_CODE_CHARACTERS = 100_000
VERSIONS_SHOWN = 30
KIND = "code"
"""The kind of a run of code; its setting `everything` says whether all checks were made or the public ones."""


Judge = Callable[..., Verdict]
"""Called as `judge(exercise, source, only_public=..., on_check=..., stop=..., user=...)`."""


class CodeRun(NamedTuple):
    """A run of code that is over, as it is kept, and its checks with their pictures, which are not kept."""

    run: Run
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class CodeView:
    """An exercise's code as its writer sees it; `versions` are newest first, without the present one's equals."""

    exercise: str
    attempt_id: str | None
    starter: str
    source: str
    saved_at: datetime | None
    versions: tuple[CodeDraft, ...]
    runs: tuple[Run, ...]


def open_code(
    store: Store, catalog: Catalog, *, user_id: str, exercise: str, attempt_id: str | None = None
) -> CodeView:
    """Return one's own code for an exercise, the starter where there is none yet.

    Raises:
        NoCodeHere: The exercise has no code, or there is no such one.
        NotFound: The attempt is another person's, or asks another question.
    """
    starter = starter_of(catalog, exercise)
    if attempt_id and store.attempt(user_id=user_id, attempt_id=attempt_id).attempt.question_id != exercise:
        raise NotFound(f"attempt {attempt_id}")
    versions = store.codes(user_id=user_id, exercise=exercise, attempt_id=attempt_id, limit=VERSIONS_SHOWN)
    runs = store.code_runs(user_id=user_id, exercise=exercise, attempt_id=attempt_id)
    return CodeView(
        exercise=exercise,
        attempt_id=attempt_id,
        starter=starter,
        source=versions[0].source if versions else starter,
        saved_at=versions[0].saved_at if versions else None,
        versions=tuple(versions),
        runs=tuple(runs),
    )


def save_code(
    store: Store,
    catalog: Catalog,
    *,
    user_id: str,
    exercise: str,
    source: str,
    now: datetime,
    attempt_id: str | None = None,
) -> CodeDraft:
    """Keep a state of one's code; earlier ones stay.

    Raises:
        NoCodeHere: The exercise has no code.
        CodeTooLong: Over `MAX_CODE_CHARACTERS`.
        AttemptClosed: The attempt is submitted, or its time is over.
        NotFound: The attempt is another person's, or asks another question.
    """
    starter_of(catalog, exercise)
    if len(source) > MAX_CODE_CHARACTERS:
        raise CodeTooLong(len(source), MAX_CODE_CHARACTERS)
    if attempt_id:
        attempt = store.attempt(user_id=user_id, attempt_id=attempt_id).attempt
        if attempt.submitted_at is not None or is_overdue(attempt, now):
            raise AttemptClosed(attempt_id)
    return store.add_code(user_id=user_id, exercise=exercise, attempt_id=attempt_id, source=storable(source), now=now)


def starter_of(catalog: Catalog, exercise: str) -> str:
    """Return the code that an exercise begins with; NoCodeHere if it has none."""
    question = catalog.questions.get(exercise)
    if question is None or question.exercise.form is not Form.CODE:
        raise NoCodeHere(exercise)
    return question.exercise.starter or ""


class Judging:
    """Has code judged, one piece a person at a time, and keeps the runs."""

    def __init__(self, store: Store, judge: Judge) -> None:
        self._store, self._judge = store, judge
        self._running: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def stop(self, user_id: str) -> None:
        """End a person's run, if there is one; it isn't kept."""
        with self._lock:
            if user_id in self._running:
                self._running[user_id].set()

    def run(
        self,
        *,
        user_id: str,
        exercise: str,
        source: str,
        everything: bool,
        clock: Callable[[], datetime],
        attempt_id: str | None = None,
    ) -> Iterator[Check | CodeRun]:
        """Judge code and yield each check as it comes, then the kept run; nothing more once it is stopped.

        Args:
            user_id: Whose code it is.
            exercise: The exercise.
            source: The code; it must have been saved, so that its length and owner are checked.
            everything: All checks, or the public ones only.
            clock: The present moment.
            attempt_id: The attempt that it belongs to.

        Raises:
            AlreadyJudging: The person's last run isn't over.
        """
        stop = threading.Event()
        with self._lock:
            if user_id in self._running:
                raise AlreadyJudging(user_id)
            self._running[user_id] = stop
        try:
            for found in self._judged(user_id, exercise, source, everything, stop):
                if isinstance(found, Verdict):
                    yield self._kept(user_id, attempt_id, source, everything, found, clock())
                else:
                    yield found
        finally:
            stop.set()
            with self._lock:
                del self._running[user_id]

    def _judged(
        self, user_id: str, exercise: str, source: str, everything: bool, stop: threading.Event
    ) -> Iterator[Check | Verdict]:
        found = SimpleQueue[Check | Verdict | BaseException]()

        def work() -> None:
            try:
                options = {"only_public": not everything, "on_check": found.put, "stop": stop, "user": user_id}
                found.put(self._judge(exercise, source, **options))
            except BaseException as error:  # belongs to who waits, whatever it is
                found.put(error)

        threading.Thread(target=work, name="judge", daemon=True).start()
        while not stop.is_set():
            item = found.get()
            if isinstance(item, BaseException):
                raise item
            if not stop.is_set():
                yield item
            if isinstance(item, Verdict):
                return

    def _kept(
        self, user_id: str, attempt_id: str | None, source: str, everything: bool, verdict: Verdict, now: datetime
    ) -> CodeRun:
        run = self._store.add_run(
            user_id=user_id,
            attempt_id=attempt_id,
            kind=KIND,
            settings={
                "exercise": verdict.exercise,
                "source": source,
                "seed": verdict.seed,
                "everything": everything,
            },
            figures=figures(verdict),
            now=now,
        )
        return CodeRun(run, tuple(verdict.checks))


def figures(verdict: Verdict) -> dict[str, Any]:
    """Return what a judge found as plain data, without pictures."""
    held = sum(check.passed for check in verdict.checks)
    return {
        "text": f"{held} of {len(verdict.checks)} checks passed",
        "passed": verdict.passed,
        "score": verdict.score,
        "checks": [{"name": c.name, "passed": c.passed, "detail": c.detail} for c in verdict.checks],
        "error": verdict.error,
        "seconds": verdict.seconds,
        "prints": verdict.prints,
        "prints_cut": verdict.print_truncated,
        "notes": list(verdict.notes),
        "peak_bytes": verdict.peak_bytes,
    }
