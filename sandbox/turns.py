"""Whose turn it is: users take turns, and each user's own things keep their order."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """A queue that takes from each user in turn, however many things one of them has put in; not locked."""

    def __init__(self) -> None:
        """Begin empty."""
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def count(self, user: str) -> int:
        """Return how many things a user has waiting."""
        return len(self._waiting.get(user, ()))

    def put(self, user: str, item: T) -> None:
        """Put something at the end of a user's own line; a user who had none waiting comes after all others."""
        self._waiting.setdefault(user, deque()).append(item)

    def next(self) -> T:
        """Return what `take` would; IndexError if there is nothing."""
        for line in self._waiting.values():
            return line[0]
        raise IndexError("nobody waits")

    def take(self) -> T:
        """Take the first thing of the user whose turn it is; IndexError if there is nothing."""
        self.next()
        user, line = self._waiting.popitem(last=False)
        item = line.popleft()
        if line:
            self._waiting[user] = line
        return item

    def remove(self, item: T) -> bool:
        """Take something out of the line, wherever it stands; False if it isn't there."""
        for user, line in self._waiting.items():
            if item in line:
                line.remove(item)
                if not line:
                    del self._waiting[user]
                return True
        return False
