"""Shares the few runs that a machine can hold at once among its users."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable


class Slots:
    """A semaphore that is fair between users.

    A free slot goes to the waiting user who holds the fewest; among those, to who was served longest ago. Within a
    user, first come, first served.
    """

    def __init__(self, size: int) -> None:
        self.free = size
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[object]] = {}
        self._held: dict[str, int] = {}
        self._served: dict[str, float] = {}

    def acquire(self, user: str, given_up: Callable[[], bool]) -> bool:
        """Wait for a slot; return False as soon as `given_up` (asked twenty times a second) says so."""
        ticket = object()
        with self._changed:
            line = self._waiting.setdefault(user, deque())
            line.append(ticket)
            try:
                while not (self.free and self._next() == user and line[0] is ticket):
                    if given_up():
                        return False
                    self._changed.wait(0.05)
                self.free -= 1
                self._held[user] = self._held.get(user, 0) + 1
                self._served[user] = time.monotonic()
                return True
            finally:
                line.remove(ticket)
                if not line:
                    self._waiting.pop(user, None)
                self._changed.notify_all()

    def release(self, user: str) -> None:
        """Give a slot back."""
        with self._changed:
            self.free += 1
            self._held[user] -= 1
            if not self._held[user]:
                del self._held[user]
            self._changed.notify_all()

    def _next(self) -> str:
        return min(self._waiting, key=lambda user: (self._held.get(user, 0), self._served.get(user, 0.0)))
