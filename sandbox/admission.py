"""Lets requests in by what they will cost, before a picture is decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.errors import EngineBusy, PromptTooLong, Stopped, TooManyImages
from sandbox.turns import Turns

LOOK_SECONDS = 0.2
"""How often a waiting request looks whether it was stopped."""


@dataclass(frozen=True)
class Cost:
    """What a request takes: tokens of its prompt and answer, and pictures as the vision tower counts them."""

    tokens: int
    tiles: int


@dataclass(eq=False)
class _Waiting:
    cost: Cost
    admitted: threading.Event = field(default_factory=threading.Event)


class Admission:
    """Holds back what doesn't fit beside the requests that are being answered; users take turns.

    Tokens bound the KV caches and prompts that are held at once, tiles the pictures. A request that would fit alone
    waits until it does; the line is bounded, and a single user may fill half of it, so that others can still come.
    """

    def __init__(self, tokens: int, tiles: int, waiting: int) -> None:
        """Take how much may be inside at once, and how many requests may wait."""
        self._most = Cost(tokens, tiles)
        self._most_waiting = waiting
        self._inside = Cost(0, 0)
        self._line: Turns[_Waiting] = Turns()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        with self._lock:
            return len(self._line)

    def enter(self, user: str, cost: Cost, stopped: Callable[[], bool] = bool) -> Callable[[], None]:
        """Wait for room.

        Args:
            user: Whose request it is; empty is nobody in particular.
            cost: What it takes.
            stopped: Asked while it waits; True ends the waiting.

        Returns:
            What to call once the request has ended; further calls do nothing.

        Raises:
            PromptTooLong: It takes more tokens than ever fit.
            TooManyImages: It takes more tiles than ever fit.
            EngineBusy: The line is full.
            Stopped: It was stopped while it waited.
        """
        self._enter(user, cost, stopped)
        inside = [cost]

        def leave() -> None:
            with self._lock:
                if inside:
                    left = inside.pop()
                    self._inside = Cost(self._inside.tokens - left.tokens, self._inside.tiles - left.tiles)
                    self._let_in()

        return leave

    def _enter(self, user: str, cost: Cost, stopped: Callable[[], bool]) -> None:
        if cost.tokens > self._most.tokens:
            raise PromptTooLong(
                f"This question and its answer may take {cost.tokens:,} tokens with its pictures; at most "
                f"{self._most.tokens:,} fit here. Remove pictures, shorten the text, or ask for a shorter answer."
            )
        if cost.tiles > self._most.tiles:
            raise TooManyImages(
                f"These pictures are cut into {cost.tiles:,} tiles; at most {self._most.tiles:,} fit here. Remove some,"
                " or scale them down."
            )
        mine = _Waiting(cost)
        with self._lock:
            self._line.put(user, mine)
            self._let_in()
            if not mine.admitted.is_set():
                total, own = len(self._line) - 1, self._line.count(user) - 1
                if total >= self._most_waiting or (user and own >= max(1, self._most_waiting // 2)):
                    self._line.remove(mine)
                    whose = "questions" if total >= self._most_waiting else "of your questions"
                    many = total if total >= self._most_waiting else own
                    raise EngineBusy(
                        f"The sandbox is busy: {many} {whose} wait already. This one was not taken; ask it again in a "
                        "moment."
                    )
        while not mine.admitted.wait(LOOK_SECONDS):
            if stopped():
                with self._lock:
                    if self._line.remove(mine):
                        self._let_in()
                        raise Stopped("This answer was stopped before it began.")

    def _let_in(self) -> None:
        while self._line and self._fits(self._line.next().cost):
            entering = self._line.take()
            self._inside = Cost(self._inside.tokens + entering.cost.tokens, self._inside.tiles + entering.cost.tiles)
            entering.admitted.set()

    def _fits(self, cost: Cost) -> bool:
        return (
            self._inside.tokens + cost.tokens <= self._most.tokens
            and self._inside.tiles + cost.tiles <= self._most.tiles
        )
