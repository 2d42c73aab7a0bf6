"""Keeps what was computed, by content, within a number of bytes."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class CacheUse:
    """How one run used one cache."""

    name: str
    hits: int
    misses: int
    saved_seconds: float
    """What it took to compute what was found, when it was computed."""


@dataclass(frozen=True)
class CacheReport:
    """How a cache stands."""

    name: str
    entries: int
    bytes: int
    limit_bytes: int
    hits: int
    misses: int
    evictions: int
    saved_seconds: float


@dataclass(frozen=True)
class _Entry(Generic[T]):
    value: T
    size: int
    seconds: float


class ByteCache(Generic[T]):
    """Least recently used goes first when the bytes are full; what several want at once is computed once.

    Values are shared between all who ask, so they must not be written to.
    """

    def __init__(
        self, name: str, limit_bytes: int, size: Callable[[T], int], cost: Callable[[T], float] | None = None
    ) -> None:
        """Make an empty cache.

        Args:
            name: For reports.
            limit_bytes: Most bytes; 0 keeps nothing.
            size: Says how many bytes a value takes.
            cost: Says how many seconds a value took to make; None takes the time that making it took, waits included.
        """
        self.name = name
        self.limit = limit_bytes
        self._size = size
        self._cost = cost
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, _Entry[T]] = OrderedDict()
        self._coming: dict[bytes, Future[None]] = {}
        self._bytes = self._hits = self._misses = self._evictions = 0
        self._saved = 0.0

    def get(self, key: bytes, make: Callable[[], T]) -> tuple[T, CacheUse]:
        """Return the value of a key, made now if it isn't there, and whether it was."""
        (value,), use = self.get_many([key], lambda _: [make()])
        return value, use

    def get_many(self, keys: Sequence[bytes], make: Callable[[list[int]], list[T]]) -> tuple[list[T], CacheUse]:
        """Return the values of keys; those that aren't there are made together.

        While one thread makes a value, others that want the same wait for it; if making it fails, that thread gets the
        error and the next one tries for itself.

        Args:
            keys: What the values are made of.
            make: Given the indexes of missing keys, returns their values in that order.
        """
        found: dict[bytes, T] = {}
        hits, saved, made = 0, 0.0, 0
        while missing := [key for key in dict.fromkeys(keys) if key not in found]:
            mine: dict[bytes, Future[None]] = {}
            others: list[Future[None]] = []
            with self._lock:
                for key in missing:
                    if entry := self._entries.get(key):
                        self._entries.move_to_end(key)
                        found[key] = entry.value
                        hits, saved = hits + 1, saved + entry.seconds
                    elif key in self._coming:
                        others.append(self._coming[key])
                    else:
                        mine[key] = self._coming[key] = Future()
            if mine:
                found.update(self._made(mine, [keys.index(key) for key in mine], make))
                made += len(mine)
            for coming in others:
                coming.result()
        repeated = len(keys) - len(found)
        with self._lock:
            self._hits, self._misses, self._saved = (
                self._hits + hits + repeated,
                self._misses + made,
                self._saved + saved,
            )
        return [found[key] for key in keys], CacheUse(self.name, hits + repeated, made, saved)

    def _made(
        self, mine: dict[bytes, Future[None]], indexes: list[int], make: Callable[[list[int]], list[T]]
    ) -> dict[bytes, T]:
        began = time.perf_counter()
        try:
            values = dict(zip(mine, make(indexes), strict=True))
            seconds = (time.perf_counter() - began) / len(values)
            for key, value in values.items():
                self._put(key, value, self._cost(value) if self._cost else seconds)
        finally:
            with self._lock:
                for key in mine:
                    del self._coming[key]
            for coming in mine.values():
                coming.set_result(None)
        return values

    def clear(self) -> None:
        """Forget every value; the counts go on."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def report(self) -> CacheReport:
        """Return how the cache stands."""
        with self._lock:
            return CacheReport(
                self.name,
                len(self._entries),
                self._bytes,
                self.limit,
                self._hits,
                self._misses,
                self._evictions,
                self._saved,
            )

    def _put(self, key: bytes, value: T, seconds: float) -> None:
        size = self._size(value)
        with self._lock:
            if size > self.limit:
                return
            self._entries[key] = _Entry(value, size, seconds)
            self._bytes += size
            while self._bytes > self.limit:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= dropped.size
                self._evictions += 1


def together(uses: list[CacheUse]) -> tuple[CacheUse, ...]:
    """Add up the uses of each cache."""
    names = dict.fromkeys(use.name for use in uses)
    groups = ([use for use in uses if use.name == name] for name in names)
    return tuple(
        CacheUse(
            group[0].name,
            sum(use.hits for use in group),
            sum(use.misses for use in group),
            sum(use.saved_seconds for use in group),
        )
        for group in groups
    )
