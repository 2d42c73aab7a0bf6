"""A thread of its own for work that needs no turn with the answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import torch

from sandbox.errors import EngineFailed
from sandbox.turns import Turns

T = TypeVar("T")


def promise(function: Callable[..., T], *inputs: Any) -> tuple[Callable[[], None], Future[T]]:
    """Return what calls a function and what will hold its result, or whatever it raises."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(function(*inputs))
        except BaseException as error:  # belongs to the caller, whatever it is
            result.set_exception(error)

    return run, result


class Lane:
    """Runs functions one after the other, in turns between users, and helps out where nothing waits."""

    def __init__(self, name: str, threads: int, other: Callable[[], Callable[[], None] | None]) -> None:
        """Start the thread.

        Args:
            name: The thread's.
            threads: How many compute in it on a CPU.
            other: Asked for other work when nothing waits here; must return at once.
        """
        self.held = threading.Lock()
        """Held while a function runs: who takes it keeps the lane from running the next."""
        self._threads = threads
        self._other = other
        self._calls: Turns[Callable[[], None]] = Turns()
        self._work = threading.Condition()
        self._offered: Callable[[], None] | None = None
        self._idle = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., T], *inputs: Any, user: str = "") -> T:
        """Run a function when it is the user's turn, and return what it gives."""
        if threading.current_thread() is self._thread:
            return function(*inputs)
        run, result = promise(function, *inputs)
        with self._work:
            if self._closed:
                raise EngineFailed("This engine is closed. Load it again.")
            self._calls.put(user, run)
            self._work.notify()
        return result.result()

    def offer(self, function: Callable[[], T]) -> Future[T] | None:
        """Let the thread run a function now, if it has nothing to do; None if it has."""
        with self._work:
            if not self._idle or self._calls or self._offered or self._closed:
                return None
            self._offered, result = promise(function)
            self._work.notify()
            return result

    def wake(self) -> None:
        """Tell that there may be other work."""
        with self._work:
            self._work.notify()

    def close(self) -> None:
        """Let the thread end once what waits is done; nothing is taken any more."""
        with self._work:
            self._closed = True
            self._work.notify()

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, so long at most."""
        self._thread.join(seconds)

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        with torch.inference_mode():
            while True:
                with self._work:
                    while not (run := self._next()):
                        if self._closed:
                            return
                        self._idle = True
                        self._work.wait()
                    self._idle = False
                with self.held:
                    run()

    def _next(self) -> Callable[[], None] | None:
        """Return what to run now."""
        if self._offered:
            run, self._offered = self._offered, None
            return run
        return self._calls.take() if self._calls else self._other()
