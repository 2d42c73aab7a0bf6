"""One thread owns the language model. It serves what needs the model, and steps everybody's answers together.

Between two steps of the answers it runs what waits: functions that need the model, and prompts that are read into free
slots, in turns between users. While somebody's answer is under way this takes `PAUSE` at most before the next step, so
that a crowd of new prompts can't hold up the text of others. On a CPU the vision tower has a thread of its own, which
reads prompts and steps a second table when it has nothing to look at.
"""

from __future__ import annotations

import atexit
import logging
import math
import sys
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch

from sandbox.cache import ByteCache
from sandbox.checkpoint import Checkpoint
from sandbox.device import SMALL_MODEL
from sandbox.errors import EngineFailed
from sandbox.lane import Lane, promise
from sandbox.programs import KeyValues, Programs, plain
from sandbox.selftest import repeats
from sandbox.slots import (
    Chosen,
    SlotTable,
    no_prefix,
    padded_length,
    read_prefix,
    read_prompt,
    read_together,
    table_length,
    table_lengths,
)
from sandbox.ticket import Ticket, in_words
from sandbox.turns import Turns

T = TypeVar("T")

PAUSE = 0.05
"""Seconds between two steps that other work may take while answers are under way."""

MOMENT = 0.05
"""Longest that a step waits for a request that has arrived, so that those who come together are stepped together."""

WIDEST = 8
"""Most slots of a table of a small model on a CPU, where two tables are stepped side by side.

A step costs the same however many of its slots are taken, so a person alone shouldn't pay for sixteen. A larger model
reads all its weights in each step, so it has one table.
"""

SWITCH = 0.0005
"""Seconds after which a thread gives Python's lock to one that waits for it, as the model's does after each step."""

EXIT_SECONDS = 5.0
"""Seconds that the end of the process waits for the model's thread to finish what it does."""

log = logging.getLogger(__name__)


_Place = tuple[int, bool]
"""Length of a table's slots, and whether its programs are compiled."""
_Read = tuple[list[tuple[KeyValues, int]], Chosen]
"""Of a prompt: its parts, each with its number of real tokens, and what the model says after it."""


@dataclass(eq=False)
class _Table:
    """A table of slots and who is in them."""

    slots: SlotTable
    repeatable: bool
    tickets: list[Ticket | None]

    @property
    def taken(self) -> int:
        return sum(ticket is not None for ticket in self.tickets)

    @property
    def shared(self) -> bool:
        """Whether several answers may be in it at once."""
        return len(self.tickets) == self.slots.slots


class Scheduler:
    """Runs the model for everybody."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        slots: int,
        positions: int,
        threads: int,
        prefixes: ByteCache[KeyValues],
        graphs: bool = True,
    ) -> None:
        """Start the model's thread.

        Args:
            checkpoint: The model; only this thread may run it from now on.
            slots: Most rows of all tables of one length.
            positions: Most rows times positions of all tables, in equal shares: longer tables get fewer rows.
            threads: Threads that compute on a CPU.
            prefixes: Keys and values of first parts of prompts.
            graphs: On CUDA, replay each table's step as a CUDA graph.
        """
        self.checkpoint = checkpoint
        self.context = min(checkpoint.context, _window(checkpoint) or checkpoint.context)
        self.threads = threads
        self._slots = slots
        self._positions = positions
        self._prefixes = prefixes
        small = checkpoint.placement.device == "cpu" and checkpoint.parameters < SMALL_MODEL
        self._widest = WIDEST if small else slots
        self._graphs = graphs and checkpoint.placement.device.startswith("cuda")
        self.programs = plain(checkpoint, table_lengths(self.context))
        """What new requests are computed by. Another set may be put here at any time: a request keeps to its own."""
        self._calls: Turns[Callable[[], None]] = Turns()
        self._joining: dict[_Place, Turns[Ticket]] = {}
        self._batches: list[tuple[Iterator[None], Future[None]]] = []
        self._tables: dict[_Place, list[_Table]] = {}
        self._nothing = no_prefix(checkpoint)
        self._held: Counter[_Place] = Counter()
        """Slots that are kept for prompts which are being read."""
        self._read_there: deque[tuple[Ticket, _Place, _Read]] = deque()
        self._hopes: list[float] = []
        """Until when a step waits for those who are on their way, by `time.perf_counter()`."""
        self._work = threading.Condition()
        self._closed = False
        self._vision = Lane("vision", threads, self._help) if checkpoint.placement.device == "cpu" else None
        """Runs the vision tower beside the language model, and reads prompts when it has nothing to look at.

        A GPU would compute one after the other anyway.
        """
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()
        _running.add(self)

    def call(self, function: Callable[..., T], *inputs: Any, user: str = "") -> T:
        """Run a function in the model's thread when it is the user's turn, and return what it gives."""
        if threading.current_thread() is self._thread:
            return function(*inputs)
        run, result = promise(function, *inputs)
        with self._work:
            self._refuse_if_closed()
            self._calls.put(user, run)
            self._work.notify()
        return result.result()

    def see(self, function: Callable[..., T], *inputs: Any, user: str = "") -> T:
        """Run a function that needs the vision tower or the projector only, when it is the user's turn."""
        return (self._vision or self).call(function, *inputs, user=user)

    def alone_with_model(self, function: Callable[..., T], *inputs: Any) -> T:
        """Run a function that may use any part of the model and change how it computes, while nobody else uses it."""

        def run() -> T:
            with self._vision.held if self._vision else nullcontext():
                return function(*inputs)

        return self.call(run)

    def submit(self, ticket: Ticket) -> None:
        """Let an answer take a slot when it is its user's turn; `ticket.done` tells when it has ended."""
        length = table_length(len(ticket.answer.embeddings) + ticket.answer.limit, self.context)
        ticket.submitted = time.perf_counter()
        with self._work:
            self._refuse_if_closed()
            self._joining.setdefault((length, ticket.programs.compiled), Turns()).put(ticket.user, ticket)
            self._work.notify()
        if self._vision:
            self._vision.wake()

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Say that a request is on its way: while a slot is free, the next step waits a moment for it."""
        until = time.perf_counter() + MOMENT
        with self._work:
            self._hopes.append(until)
        try:
            yield
        finally:
            with self._work:
                self._hopes.remove(until)
                self._work.notify()
            if self._vision:
                self._vision.wake()

    def withdraw(self, ticket: Ticket) -> None:
        """End an answer that was stopped, if it still waits; if it has a slot, that is freed at its next step."""
        with self._work:
            if any(waiting.remove(ticket) for waiting in self._joining.values()):
                ticket.done.set_result(None)

    def run_batch(self, steps: Iterator[None]) -> None:
        """Run a batch to its end, one step of it between two steps of the slots."""
        result: Future[None] = Future()
        with self._work:
            self._refuse_if_closed()
            self._batches.append((steps, result))
            self._work.notify()
        result.result()

    def rows(self, length: int) -> int:
        """Return the slots of one table: even, since odd numbers were seen to give slots different bits."""
        all_rows = self._all_rows(length)
        tables = -(-all_rows // self._widest)
        rows = all_rows // tables
        return rows - rows % 2 if rows > 1 else 1

    def _all_rows(self, length: int) -> int:
        """Return the most slots of a length in all its tables."""
        share = self._positions // len(table_lengths(self.context))
        return min(self._slots, max(1, share // length))

    def tables(self) -> list[tuple[int, int, bool, bool]]:
        """Return length, slots, whether compiled, and whether the self-test passed, of each table in use."""
        with self._work:
            return [
                (length, table.slots.slots, compiled, table.repeatable)
                for (length, compiled), tables in sorted(self._tables.items())
                for table in tables
            ]

    @property
    def alone(self) -> bool:
        """Whether answers take turns because company changed the numbers in a self-test."""
        with self._work:
            return any(not table.shared for table in self._every)

    @property
    def load(self) -> tuple[int, int]:
        """How many answers are under way, and how many wait for a slot."""
        with self._work:
            return sum(table.taken for table in self._every), sum(map(len, self._joining.values()))

    @property
    def _every(self) -> list[_Table]:
        return [table for tables in self._tables.values() for table in tables]

    def close(self) -> None:
        """Let the threads end once their work is done; nothing is taken any more."""
        with self._work:
            self._closed = True
            self._work.notify()
        if self._vision:
            self._vision.close()

    def join(self, seconds: float) -> None:
        """Wait until the threads have ended, so long each at most."""
        self._thread.join(seconds)
        if self._vision:
            self._vision.join(seconds)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise EngineFailed("This engine is closed. Load it again.")

    def _run(self) -> None:
        torch.set_num_threads(self.threads)
        sys.setswitchinterval(min(SWITCH, sys.getswitchinterval()))
        with torch.inference_mode():
            while self._wait():
                try:
                    self._round()
                except BaseException as error:  # a fault of ours: what is under way is lost, the engine goes on
                    log.exception("A step of the scheduler failed")
                    self._lose(error)

    def _round(self) -> None:
        """Serve what waits, then step everybody once."""
        until = time.perf_counter() + PAUSE
        self._serve(until)
        self._join(until)
        while self._someone_comes(until):
            self._serve(until)
            self._join(until)
        self._step_all()
        self._step_batches()
        if self.programs.compiled:
            self._drop_plain()

    def _lose(self, error: BaseException) -> None:
        """End every answer that has a slot."""
        for table in self._every:
            for ticket in table.tickets:
                if ticket and not ticket.done.done():
                    ticket.done.set_exception(error)
        with self._work:
            self._tables.clear()

    def _drop_plain(self) -> None:
        """Free the plain tables that are empty, since nobody new comes to them any more."""
        with self._work:
            for place in [place for place in self._tables if not place[1]]:
                if not (self._joining[place] or self._held[place] or any(each.taken for each in self._tables[place])):
                    del self._tables[place]

    def _wait(self) -> bool:
        """Return once there is something to do; False once there never will be."""
        with self._work:
            while True:
                if self._calls or self._batches or self._read_there or self._someone_can_join():
                    return True
                if any(table.taken for table in self._every):
                    return True
                if self._closed and not self._held.total():
                    return False
                self._work.wait()

    def _someone_comes(self, until: float) -> bool:
        """Wait a moment for requests that are on their way to free slots; return whether something arrived."""
        now = time.perf_counter()
        with self._work:
            left = min(max(self._hopes, default=0.0), until) - now
            if left <= 0 or not any(self._free(place) > 0 for place in self._tables):
                return False
            if not (self._calls or self._read_there or self._someone_can_join()):
                self._work.wait(left)
            return bool(self._calls or self._read_there) or self._someone_can_join()

    def _someone_can_join(self) -> bool:
        """Whether an answer waits for which there is a slot."""
        return any(waiting and self._free(place) > 0 for place, waiting in self._joining.items())

    def _busy(self) -> bool:
        return bool(self._batches) or any(table.taken for table in self._every)

    def _serve(self, until: float) -> None:
        while True:
            with self._work:
                if not self._calls:
                    return
                run = self._calls.take()
            run()
            if self._busy() and time.perf_counter() > until:
                return

    def _join(self, until: float) -> None:
        self._enter_read()
        for place in list(self._joining):
            while True:
                with self._work:
                    waiting = self._joining[place]
                    free = self._free(place)
                    if not waiting or free < 1:
                        break
                    ticket = waiting.take()
                    crowd = [] if ticket.repeat else self._crowd(waiting, free - 1)
                    self._held[place] += 1 + len(crowd)
                if crowd:
                    self._begin_together([ticket, *crowd], place)
                elif ticket.stopped():
                    ticket.done.set_result(None)
                else:
                    self._begin(ticket, place)
                with self._work:
                    self._held[place] -= 1 + len(crowd)
                self._enter_read()
                if self._busy() and time.perf_counter() > until:
                    return

    def _free(self, place: _Place) -> int:
        """Return the slots of a length that nobody has and that are kept for nobody; 1 before the first self-test."""
        tables = self._tables.get(place)
        if not tables:
            return 1 - self._held[place]
        free = sum(table.tickets.count(None) for table in tables) - self._held[place]
        if all(table.shared for table in tables):  # further tables are made when they are needed
            free += self._further(place) * tables[0].slots.slots
        return free

    def _further(self, place: _Place) -> int:
        """Return how many further tables of a length there may be."""
        return self._all_rows(place[0]) // self.rows(place[0]) - len(self._tables.get(place, ()))

    def _help(self) -> Callable[[], None] | None:
        """Take a prompt that waits for a slot which is free, and return what reads it in the vision tower's thread.

        Not while a request is being prepared, whose pictures would have to wait for it. Prompts that may be read in one
        pass with others are left to the model's thread.
        """
        with self._work:
            if self._hopes:
                return None
            for place, waiting in self._joining.items():
                if waiting and self._free(place) > 0 and waiting.next().repeat:
                    self._held[place] += 1
                    return partial(self._read_beside, waiting.take(), place)
        return None

    def _read_beside(self, ticket: Ticket, place: _Place) -> None:
        """Read a prompt and hand it to the model's thread; what goes wrong ends this answer only."""
        read = None
        try:
            if ticket.stopped():
                ticket.done.set_result(None)
            else:
                ticket.answer.moments.append(time.perf_counter())
                read = self._read(ticket)
        except BaseException as error:
            ticket.done.set_exception(in_words(error))
        with self._work:
            if read:
                self._read_there.append((ticket, place, read))
            else:
                self._held[place] -= 1
            self._work.notify()

    def _enter_read(self) -> None:
        """Give their slots to the answers whose prompts were read in the vision tower's thread."""
        while self._read_there:
            ticket, place, read = self._read_there.popleft()
            try:
                self._enter(ticket, place, *read)
            except BaseException as error:
                ticket.done.set_exception(in_words(error))
            with self._work:
                self._held[place] -= 1

    def _crowd(self, waiting: Turns[Ticket], most: int) -> list[Ticket]:
        """Take those who are next and may be read together with others."""
        crowd: list[Ticket] = []
        while waiting and len(crowd) < most and not waiting.next().repeat:
            crowd.append(waiting.take())
        return crowd

    def _begin(self, ticket: Ticket, place: _Place) -> None:
        """Read a prompt into a free slot; what goes wrong ends this answer only."""
        try:
            ticket.answer.moments.append(time.perf_counter())
            self._enter(ticket, place, *self._read(ticket))
        except BaseException as error:
            ticket.done.set_exception(in_words(error))

    def _begin_together(self, tickets: list[Ticket], place: _Place) -> None:
        """Read the prompts of a crowd in one pass; if that fails, each by itself."""
        try:
            began = time.perf_counter()
            prompts = [ticket.answer.embeddings for ticket in tickets]
            chosen, parts, width = read_together(self.checkpoint, prompts)
        except Exception:
            for ticket in tickets:
                self._begin(ticket, place)
            return
        for row, ticket in enumerate(tickets):
            try:
                ticket.answer.moments.append(began)
                ticket.prefill = (0, width)
                self._enter(ticket, place, [(parts[row], len(prompts[row]))], chosen, row)
            except BaseException as error:
                ticket.done.set_exception(in_words(error))

    def _enter(
        self, ticket: Ticket, place: _Place, parts: list[tuple[KeyValues, int]], chosen: Chosen, row: int = 0
    ) -> None:
        """Choose the first token, and give the answer a slot unless that was all."""
        table = self._with_room(ticket.programs, place)
        if table is None:  # a table failed its self-test, so there are fewer slots than it seemed
            ticket.answer.moments.clear()
            with self._work:
                self._joining[place].put(ticket.user, ticket)
            return
        ticket.slots, ticket.length = table.slots.slots, table.slots.length
        ticket.repeatable = table.repeatable and ticket.repeat
        token = self._take(ticket, chosen, row)
        if ticket.answer.finish is None:
            slot = table.tickets.index(None)
            table.slots.fill(slot, parts, token)
            table.tickets[slot] = ticket
        else:
            ticket.company = table.taken + 1
            ticket.done.set_result(None)

    def _read(self, ticket: Ticket) -> _Read:
        """Read a prompt in its two parts, the first from the cache if it is there."""
        answer, programs, split = ticket.answer, ticket.programs, ticket.answer.split
        rest = answer.embeddings[split:]
        ticket.prefill = (padded_length(split), padded_length(len(rest)))

        def make() -> KeyValues:
            return read_prefix(programs.prefix, self.checkpoint, answer.embeddings[:split])

        if not split:
            first = self._nothing
        elif answer.prefix is None:
            first = make()
        else:
            key = answer.prefix + bytes([programs.compiled])
            first, use = self._prefixes.get(key, make)
            ticket.uses.append(use)
        chosen, new = read_prompt(programs.prompt, self.checkpoint, rest, first, split)
        return [(first, split), (new, len(rest))], chosen

    def _with_room(self, programs: Programs, place: _Place) -> _Table | None:
        """Return the first table of a length that has a free slot, a new one if there may be; None if all are full."""
        tables = self._tables.get(place, [])
        for table in tables:
            if None in table.tickets:
                return table
        may = not tables or (all(table.shared for table in tables) and self._further(place) > 0)
        return self._open(programs, place) if may else None

    def _open(self, programs: Programs, place: _Place) -> _Table:
        """Put a table into use after its self-test; one that fails is used one answer at a time."""
        length = place[0]
        slots = SlotTable(self.checkpoint, programs.steps[length], self.rows(length), length)
        if self._graphs:
            try:
                slots.record()
            except RuntimeError:  # what a graph can't hold is launched kernel by kernel
                log.warning("The step of slots of length %d can't be recorded as a CUDA graph", length, exc_info=True)
        repeatable = repeats(slots)
        if not repeatable:
            log.warning("Slots of length %d give different numbers in company; answers take turns", length)
        places = slots.slots if repeatable else 1
        table = _Table(slots, repeatable or places == 1, [None] * places)
        with self._work:
            self._tables.setdefault(place, []).append(table)
        return table

    def _step_all(self) -> None:
        """Step everybody once; of two tables, one in the vision tower's thread if that has nothing to do."""
        going = []
        for place, tables in self._tables.items():
            for table in tables:
                for slot, ticket in enumerate(table.tickets):
                    if ticket and ticket.stopped():
                        self._end(table, slot)
                if table.taken:
                    going.append((place, table))
        while going:
            mine, beside = going.pop(), None
            if going and self._vision and (beside := self._vision.offer(going[-1][1].slots.step)):
                other = going.pop()
            self._go_on(*mine, mine[1].slots.step)
            if beside:
                self._go_on(*other, beside.result)

    def _go_on(self, place: _Place, table: _Table, compute: Callable[[], Chosen]) -> None:
        """Choose the next token of each answer in a table, whose step is computed by this."""
        company = table.taken
        try:
            step = compute()
        except BaseException as error:  # all of them are lost, and the table with them
            for slot, ticket in enumerate(table.tickets):
                if ticket:
                    self._end(table, slot, in_words(error))
            with self._work:
                self._tables[place].remove(table)
            return
        chosen = {}
        for slot, ticket in enumerate(table.tickets):
            if ticket is None:
                continue
            ticket.company = max(ticket.company, company)
            try:
                token = self._take(ticket, step, slot)
            except Exception as error:
                self._end(table, slot, error)
                continue
            if ticket.answer.finish:
                self._end(table, slot)
            else:
                chosen[slot] = token
        table.slots.advance(chosen)

    def _take(self, ticket: Ticket, chosen: Chosen, row: int) -> int:
        if math.isnan(chosen.largest[row]):
            raise EngineFailed(
                f"{self.checkpoint.name} computed numbers that are not finite for this question. Ask another one; if "
                "all of them fail, the checkpoint is damaged or its number format doesn't hold its values."
            )
        token = ticket.answer.take(chosen.logits[row], chosen.likeliest[row], self.checkpoint.end_tokens)
        if ticket.told:
            ticket.told()
        return token

    def _end(self, table: _Table, slot: int, error: BaseException | None = None) -> None:
        ticket = table.tickets[slot]
        table.tickets[slot] = None
        table.slots.leave(slot)
        if ticket and error:
            ticket.done.set_exception(error)
        elif ticket:
            ticket.done.set_result(None)

    def _step_batches(self) -> None:
        for batch in list(self._batches):
            steps, result = batch
            try:
                next(steps)
            except StopIteration:
                result.set_result(None)
            except BaseException as error:
                result.set_exception(in_words(error))
            else:
                continue
            with self._work:
                self._batches.remove(batch)


_running: weakref.WeakSet[Scheduler] = weakref.WeakSet()


@atexit.register
def end_all() -> None:
    """End the threads while Python still runs: one that wakes up later inside PyTorch would abort the process."""
    running = list(_running)
    for scheduler in running:
        scheduler.close()
    for scheduler in running:
        scheduler.join(EXIT_SECONDS)


def _window(checkpoint: Checkpoint) -> int | None:
    """Positions that a language model with sliding attention sees; within them it sees all."""
    window: int | None = getattr(checkpoint.model.config.text_config, "sliding_window", None)
    return window
