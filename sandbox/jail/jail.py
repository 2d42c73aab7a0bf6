"""The one jail of a process: starts what runs are forked from, tests it, and opens runs."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.jail import probe
from sandbox.jail.channel import Channel
from sandbox.jail.errors import CallTimedOut, JailUnavailable, RunEnded
from sandbox.jail.limits import Limits, Status
from sandbox.jail.process import confined
from sandbox.jail.run import Run, text
from sandbox.jail.slots import Slots
from sandbox.jail.zygote import Zygote
from sandbox.settings import SandboxSettings

START_SECONDS = 10.0
UNCONFINED = (
    "Code runs without confinement, as RUN_CODE_UNCONFINED asks: it can do whatever you can. Run only your own."
)


class Jail:
    """Runs candidates' code; one for a process. Starts at the first use; every method may be called by any thread."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._unconfined = settings.run_code_unconfined
        self._slots = Slots(settings.run_code_parallel or os.cpu_count() or 1)
        self._lock = threading.RLock()
        self._zygote: Zygote | None = None
        self._status: Status | None = None
        self._runs: set[Channel] = set()
        self._closed = False

    @property
    def status(self) -> Status:
        """Whether code can be run and what holds it; found out at the first look (under a second)."""
        with self._lock:
            if self._status is None:
                self._status = self._find_out()
            return self._status

    @contextmanager
    def open(
        self,
        source: str,
        *,
        limits: Limits = Limits(),  # noqa: B008
        user: str = "",
        on_print: Callable[[str], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Run]:
        """Run a candidate's source as module answer.py in a process of its own, for as long as the context lasts.

        Waits for a free slot; users take turns. Opening a second run within a run can wait forever.

        Args:
            source: The candidate's Python.
            limits: What the run may use.
            user: Whose run it is, for the turns.
            on_print: Gets output as it comes, from a thread of the jail's, up to `limits.print_chars`.
            stop: Ends the wait or the run when set.

        Raises:
            JailUnavailable: Code can't be run here.
            CallFailed: The module raised, or is no Python.
            CallTimedOut: It did not finish loading in `limits.seconds`.
            RunEnded: It ended its process, or the run was stopped.
        """
        if not self.status.available:
            raise JailUnavailable(self.status.sentence)
        if not self._slots.acquire(user, lambda: self._closed or (stop is not None and stop.is_set())):
            raise (
                JailUnavailable("The jail is closed.") if self._closed else RunEnded("stopped", "The run was stopped.")
            )
        try:
            with self._run(limits, on_print=on_print, stop=stop, unconfined=self._unconfined) as run:
                run.load(source)
                yield run
        finally:
            self._slots.release(user)

    def close(self) -> None:
        """End every run and what they are forked from; nothing can be opened afterwards."""
        with self._lock:
            self._closed = True
            runs = list(self._runs)
        for channel in runs:
            channel.end(RunEnded("closed", "The run was closed."))
        with self._lock:
            if self._zygote:
                self._zygote.close()
                self._zygote = None

    @contextmanager
    def _run(
        self,
        limits: Limits,
        *,
        on_print: Callable[[str], None] | None = None,
        stop: threading.Event | None = None,
        unconfined: bool = False,
    ) -> Iterator[Run]:
        zygote = self._living()
        cores = os.cpu_count() or 1
        try:
            child = zygote.fork(
                memory_bytes=limits.memory_bytes,
                result_bytes=limits.result_bytes,
                cpu_seconds=int(limits.total_seconds * cores) + 5,
            )
        except OSError as error:
            raise JailUnavailable(f"No process could be started for the code: {error}.") from None
        try:
            channel = Channel(zygote, child, limits, on_print=on_print, stop=stop)
            first = channel.inbox(None)
            channel.start()
        except BaseException:
            zygote.end(child)
            child.close()
            raise
        with self._lock:
            self._runs.add(channel)
        try:
            try:
                frame = first.take(START_SECONDS)
            except queue.Empty:
                raise JailUnavailable("The code was not started: its process does not answer.") from None
            channel.forget(None)
            if frame is None:
                channel.check()
            head = frame.head if frame else {}
            if head.get("kind") != "confined":
                raise JailUnavailable(f"The code was not started: {text(head.get('why')) or 'no answer'}.")
            # Asked of the kernel, before a line of the candidate's is sent.
            if not unconfined and not confined(child.pid):
                raise JailUnavailable("The code was not started: the kernel doesn't confirm that it would be shut in.")
            yield Run(channel, limits, layers=tuple(text(layer) for layer in head.get("layers", ())))
        finally:
            channel.end(RunEnded("closed", "The run was closed."))
            with self._lock:
                self._runs.discard(channel)

    def _living(self) -> Zygote:
        """Return the zygote, started anew if it ended."""
        with self._lock:
            if self._closed:
                raise JailUnavailable("The jail is closed.")
            if self._zygote and not self._zygote.alive:
                self._zygote.close()
                self._zygote = None
            if self._zygote is None:
                self._zygote = Zygote(confined=not self._unconfined)
            return self._zygote

    def _find_out(self) -> Status:
        if sys.platform != "linux" and (sys.platform == "win32" or not self._unconfined):
            return Status(
                False, False, sentence="Code can't be run here: shutting it in needs Linux. Use the container."
            )
        try:
            with self._run(Limits(seconds=START_SECONDS), unconfined=self._unconfined) as run:
                if self._unconfined:  # nothing to try: it would fork, and run a program
                    return Status(True, False, run.layers, UNCONFINED)
                run.load(probe.SOURCE)
                found = run.call("probe").value
        except JailUnavailable as error:
            return Status(False, False, sentence=str(error))
        except (RunEnded, CallTimedOut) as error:
            return Status(False, False, sentence=f"Code can't be run here. The self-test failed: {error}")
        probes = {name: found.get(name) is True for name in probe.NAMES}
        if open_doors := [name for name, shut in probes.items() if not shut]:
            return Status(
                False, False, run.layers, f"Code can't be run here: not shut are {', '.join(open_doors)}.", probes
            )
        return Status(True, True, run.layers, f"Code runs shut in: {', '.join(run.layers)}.", probes)
