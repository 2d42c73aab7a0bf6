"""Judges a candidate's module for one exercise."""

from __future__ import annotations

import atexit
import logging
import secrets
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from sandbox.errors import BadInput, BadOption, EngineFailed
from sandbox.jail import Jail, JailUnavailable
from sandbox.judge.bench import Bench, Exercise, Probe, Wrong
from sandbox.judge.exercises import EXERCISES
from sandbox.judge.verdict import Check, Verdict
from sandbox.loader import load_engine
from sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from sandbox.engine import Engine

log = logging.getLogger(__name__)


def judge(
    exercise: str,
    source: str,
    seed: int | None = None,
    *,
    engine: Engine | None = None,
    jail: Jail | None = None,
    user: str = "",
    only_public: bool = False,
    on_check: Callable[[Check], None] | None = None,
    on_print: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> Verdict:
    """Judge a module against an exercise's contract, on inputs drawn afresh.

    The code runs in the jail; expectations, comparisons and clocks stay here.

    Args:
        exercise: Such as 'q05'; `EXERCISES` has them all.
        source: The candidate's module.
        seed: Draws the same inputs again; None draws new ones.
        engine: The live model; None is the settings' one, loaded once a process when it is first needed.
        jail: Where the code runs; None is one for the process.
        user: Whose code it is, for the turns at the jail.
        only_public: Make only the checks of a rehearsal.
        on_check: Gets each check as it is done.
        on_print: Gets what the code prints, as it comes.
        stop: When set, the code is ended, and the checks that are left fail as not run.

    Raises:
        BadOption: There is no such exercise.
        JailUnavailable: Code can't be run here.
        EngineFailed: The live model can't be loaded.
    """
    rules = find(exercise)
    seed = secrets.randbits(32) if seed is None else seed
    started = time.perf_counter()
    bench = Bench(
        rules,
        source,
        seed,
        jail=jail or _own_jail(),
        engine=(lambda: engine) if engine is not None else _own_engine,
        user=user,
        on_print=on_print,
        stop=stop,
    )
    checks: list[Check] = []
    try:
        for probe in probes_of(rules, only_public=only_public):
            checks.append(make(probe, bench))
            if on_check:
                on_check(checks[-1])
    finally:
        bench.close()
    held = sum(check.passed for check in checks)
    return Verdict(
        passed=held == len(checks),
        score=held / len(checks),
        checks=tuple(checks),
        error=bench.error,
        seconds=time.perf_counter() - started,
        seed=seed,
        exercise=exercise,
        prints=bench.prints,
        print_truncated=bench.print_truncated,
        peak_bytes=bench.peak_bytes,
        notes=tuple(bench.notes),
    )


def find(exercise: str) -> Exercise:
    """Return an exercise's rules; BadOption if there is none of that name."""
    if exercise not in EXERCISES:
        raise BadOption(f"There is no judge for {exercise!r}; there is one for {', '.join(EXERCISES)}.")
    return EXERCISES[exercise]


def probes_of(rules: Exercise, *, only_public: bool) -> tuple[Probe, ...]:
    """Return the checks that will be made, in order."""
    return tuple(probe for probe in rules.probes if probe.public or not only_public)


def make(probe: Probe, bench: Bench) -> Check:
    """Make a check; whatever the candidate's code does, it ends in one."""
    picture = None
    if bench.stopped:
        return Check(probe.name, probe.about, False, "Not run: the run was stopped.")
    try:
        passed, detail = True, probe.run(bench)
    except Wrong as wrong:
        passed, detail, picture = False, str(wrong), wrong.picture
    except (JailUnavailable, EngineFailed):
        raise
    except BadInput as error:
        passed, detail = False, str(error)
    except Exception as error:
        log.exception("Check %r of %s could not judge what came back", probe.name, bench.exercise.id)
        passed, detail = False, f"What came back could not be judged ({type(error).__name__})."
    return Check(probe.name, probe.about, passed, detail, picture)


@lru_cache(maxsize=1)
def _own_jail() -> Jail:
    jail = Jail(SandboxSettings())
    atexit.register(jail.close)
    return jail


_engine_turn = threading.Lock()


def _own_engine() -> Engine:
    with _engine_turn:
        return _loaded_engine()


@lru_cache(maxsize=1)
def _loaded_engine() -> Engine:
    # The judge's batches don't use a compiled step, and compiling would take a core from what is timed.
    return load_engine(settings=SandboxSettings(sandbox_compile=False))
