"""What a check works with: the candidate's code in the jail, chance, and the live engine."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sandbox.errors import BadInput
from sandbox.jail import BadResult, CallFailed, CallTimedOut, Jail, Limits, Result, Run, RunEnded

if TYPE_CHECKING:
    from sandbox.engine import Engine

T = TypeVar("T")

MOST_ENDINGS = 3
"""So often the code's process may end, by a time limit or otherwise; the checks after that are not run."""


class Wrong(BadInput):
    """A check didn't hold; its text is the check's detail."""

    def __init__(self, detail: str, picture: bytes | None = None) -> None:
        self.picture = picture
        super().__init__(detail)


@dataclass(frozen=True)
class Probe:
    """A check that can be made: `run` returns what it saw, or raises `Wrong`."""

    name: str
    about: str
    run: Callable[[Bench], str]
    public: bool = False
    """Whether it is among those of a rehearsal."""


@dataclass(frozen=True)
class Exercise:
    """What one exercise asks for and how it is judged."""

    id: str
    names: tuple[str, ...]
    """The functions and classes that the candidate defines."""
    probes: tuple[Probe, ...]
    limits: Limits = field(default_factory=lambda: Limits(seconds=8.0))
    also: str = ""
    """Python that is run behind the candidate's, in their module."""


@dataclass(frozen=True)
class Bad:
    """A call that must raise ValueError, and why in words."""

    why: str
    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


class Bench:
    """One candidate's code on the judge's bench. Calls raise `Wrong` for whatever the code does wrong."""

    def __init__(
        self,
        exercise: Exercise,
        source: str,
        seed: int,
        *,
        jail: Jail,
        engine: Callable[[], Engine],
        user: str = "",
        on_print: Callable[[str], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.exercise, self.seed = exercise, seed
        self.error = ""
        self.notes: list[str] = []
        self.prints = ""
        self.print_truncated = False
        self.peak_bytes: int | None = None
        self.modified: dict[str, str] = {}
        self.calls = 0
        self._source = f"{source}\n\n{exercise.also}" if exercise.also else source
        self._jail, self._engine, self._user, self._on_print, self._stop = jail, engine, user, on_print, stop
        self._stack = ExitStack()
        self._run: Run | None = None
        self._opening = threading.Lock()
        self._endings = 0
        self._broken = ""
        self._kept: dict[str, Any] = {}
        self._handles = 0

    @property
    def engine(self) -> Engine:
        """The live engine, loaded when it is first asked for."""
        return self._engine()

    @property
    def stopped(self) -> bool:
        """Whether whoever asked has given up."""
        return self._stop is not None and self._stop.is_set()

    def random(self, what: str) -> random.Random:
        """Return chance that depends on the seed and on `what` alone."""
        return random.Random(f"{self.seed}/{self.exercise.id}/{what}")

    def numbers(self, what: str) -> np.random.Generator:
        """Return numpy's chance, likewise."""
        digest = hashlib.sha256(f"{self.seed}/{self.exercise.id}/{what}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "little"))

    def once(self, what: str, make: Callable[[], T]) -> T:
        """Return what `make` gives, made once; a `Wrong` that it raised is raised again."""
        if what not in self._kept:
            try:
                self._kept[what] = make()
            except Wrong as wrong:
                self._kept[what] = wrong
        found = self._kept[what]
        if isinstance(found, Wrong):
            raise Wrong(str(found), found.picture)
        return found

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Result:
        """Call a function of the candidate's, or a method of what `make` made."""
        try:
            return self.try_call(name, *args, **kwargs)
        except CallFailed as error:
            self._remember(error)
            raise Wrong(f"{_short(name)} {_raised(error)}.") from None

    def try_call(self, name: str, /, *args: Any, **kwargs: Any) -> Result:
        """Call it; CallFailed where it raises, `Wrong` where it does anything else."""
        return self._ask(lambda run: run.call(name, *args, **kwargs), _short(name))

    def make(self, class_name: str, /, *args: Any, **kwargs: Any) -> str:
        """Make an instance; return its handle, to be followed by a dot and a method's name in `call`."""
        self._handles += 1
        handle = f"made{self._handles}"
        try:
            self._ask(lambda run: run.make(handle, class_name, *args, **kwargs), class_name)
        except CallFailed as error:
            self._remember(error)
            raise Wrong(f"{class_name} {_raised(error)}.") from None
        return handle

    def refuses(self, cases: Iterable[Bad]) -> str:
        """See that every call raises ValueError; `Wrong` names all that don't."""
        wrong, seen = [], []
        for case in cases:
            seen.append(case.why)
            try:
                came = self._accepted(case)
            except Wrong as error:
                came = str(error)
            if came:
                wrong.append(f"{case.why}: {came}")
        if wrong:
            raise Wrong("ValueError was expected. " + "; ".join(wrong) + ".")
        return f"ValueError for {', '.join(seen)}."

    def _accepted(self, case: Bad) -> str:
        """Return what a call did that should have raised ValueError, '' if it did."""

        def ask(run: Run) -> Result:
            if case.name[0].isupper():
                return run.make("refused", case.name, *case.args, **case.kwargs)
            return run.call(case.name, *case.args, **case.kwargs)

        try:
            result = self._ask(ask, _short(case.name))
        except CallFailed as error:
            return "" if error.is_a("ValueError") else f"{_short(case.name)} {_raised(error)}"
        return f"{_short(case.name)} returned {show(result.value)}"

    def rest(self) -> None:
        """End the code's process for now; what `make` made is gone, and the next call starts another."""
        with self._opening:
            self._end()

    def beside(self, source: str, limits: Limits) -> AbstractContextManager[Run]:
        """Open a run of the judge's own code, to compare with; `rest` first, for there may be only one slot."""
        return self._jail.open(source, limits=limits, user=self._user, stop=self._stop)

    def close(self) -> None:
        """End the code's process."""
        self._end()

    def _ask(self, ask: Callable[[Run], Result], name: str) -> Result:
        try:
            with self._opening:
                run = self._living()
            result = ask(run)
        except BadResult as error:
            raise Wrong(f"{name}: {error}") from None
        except (CallTimedOut, RunEnded) as error:
            with self._opening:
                if self._run is not None:
                    self._endings += 1
                    self._end()
            raise Wrong(f"{name}: {error}") from None
        self.calls += 1
        for argument in result.modified:
            self.modified.setdefault(argument, name)
        return result

    def _living(self) -> Run:
        if self._broken:
            raise Wrong(self._broken)
        if self._run is None:
            if self._endings >= MOST_ENDINGS:
                raise Wrong(f"Not run: the code was ended {self._endings} times before, by a limit or by itself.")
            try:
                self._run = self._stack.enter_context(
                    self._jail.open(
                        self._source,
                        limits=self.exercise.limits,
                        user=self._user,
                        on_print=self._on_print,
                        stop=self._stop,
                    )
                )
            except (CallFailed, CallTimedOut) as error:
                if isinstance(error, CallFailed):
                    self._remember(error)
                self._broken = f"The code could not be loaded: {error}"
                raise Wrong(self._broken) from None
        return self._run

    def _end(self) -> None:
        if self._run is not None:
            self.prints += self._run.prints
            self.print_truncated |= self._run.print_truncated
            if self._run.peak_bytes is not None:
                self.peak_bytes = max(self.peak_bytes or 0, self._run.peak_bytes)
            self._run = None
        self._stack.close()

    def _remember(self, error: CallFailed) -> None:
        self.error = self.error or error.traceback


def arguments_kept(bench: Bench) -> str:
    """The check that no call changed what it was given; it stands last, since it looks back at all calls."""
    if not bench.calls:
        raise Wrong("Not judged: no call came back.")
    if bench.modified:
        names = [
            f"{name} changed its {'argument ' + str(int(argument) + 1) if argument.isdigit() else argument!r}"
            for argument, name in bench.modified.items()
        ]
        raise Wrong("; ".join(names) + ". Work on a copy.")
    return f"{bench.calls} calls left their arguments as they were."


ARGUMENTS = Probe("arguments", "No call changes what it is given.", arguments_kept)


def show(value: object) -> str:
    """Return a value in few words, for a detail."""
    if isinstance(value, np.ndarray):
        return f"an array {value.dtype} of shape {value.shape}"
    if isinstance(value, dict):
        return "a dict with the keys " + (", ".join(map(repr, list(value)[:8])) or "(none)")
    if isinstance(value, list | tuple) and len(value) > 6:
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _raised(error: CallFailed) -> str:
    if error.kind == "NameError" and not error.traceback:
        return f"is missing: {error.message}"
    message = error.message.strip().splitlines()
    return f"raised {error.kind}" + (f": {message[0][:200]}" if message else "")
