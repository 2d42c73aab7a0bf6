"""Batching: the same requests one by one, in batches of fixed membership, and in the engine's slots, timed.

All ways run after each other on the same machine, each over the whole set, and none uses the caches: every picture goes
through the vision tower once in each. One by one is the measure: the others' answers are held against its tokens and
their times against its time. A batch begins once the one before has ended, as on a server that takes what has come.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, get_args

from sandbox.batches import Batch, BatchReport, Strategy, plan
from sandbox.errors import BadInput
from sandbox.request import Reply, Request, answer_limit

if TYPE_CHECKING:
    from sandbox.engine import Engine

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
MOST_REQUESTS = 16
MOST_ROWS = 16
"""Most rows of a batch."""


class BadRequests(BadInput):
    """The requests can't be compared; its text says why."""


@dataclass(frozen=True)
class Served:
    """What one request cost in one of the ways, in positions of the language model, and how long it took."""

    request: int
    batch: int
    """Which batch it was in, from 0; always 0 in the slots."""
    padding: int
    """Prompt positions that were computed for nothing."""
    image_tokens: int
    text_tokens: int
    new_tokens: int
    idle: int
    """Steps that its row was computed after its answer had ended; 0 in the slots, which others then take."""
    first_token: float
    """Seconds from the start of the whole set to its first token."""
    whole: float
    """Seconds from the start of the whole set to its last token."""
    text: str
    same: bool
    """Whether its tokens are those of the answer that was given alone."""

    @property
    def positions(self) -> int:
        """All positions that were computed for it."""
        return self.padding + self.image_tokens + self.text_tokens + self.new_tokens + self.idle


@dataclass(frozen=True)
class Outcome:
    """One way of answering, as far as it has come."""

    strategy: Strategy
    served: tuple[Served, ...]
    """In the order in which they were answered."""
    seconds: float
    preparing: float
    """Seconds that the requests spent in the stages before `generate`; in the slots these overlap with answering."""
    load: float | None
    """The machine's load average (of the last minute) when it ended; None where the system has none."""

    @property
    def answers_per_second(self) -> float:
        """Answers over all seconds."""
        return len(self.served) / self.seconds

    @property
    def tokens_per_second(self) -> float:
        """New tokens over all seconds."""
        return sum(each.new_tokens for each in self.served) / self.seconds

    @property
    def wasted(self) -> float:
        """Share of the positions that were padding or idle, 0 to 1."""
        return sum(each.padding + each.idle for each in self.served) / sum(each.positions for each in self.served)

    @property
    def first_token(self) -> float:
        """Median seconds to a first token."""
        return median(each.first_token for each in self.served)

    @property
    def whole(self) -> float:
        """Median seconds to a whole answer."""
        return median(each.whole for each in self.served)

    @property
    def different(self) -> list[int]:
        """Requests whose answer isn't the one that was given alone."""
        return [each.request for each in self.served if not each.same]

    def times_as_fast(self, alone: Outcome) -> float:
        """Return the seconds of one by one over its own."""
        return alone.seconds / self.seconds


def compare(engine: Engine, requests: Sequence[Request], *, size: int = 4) -> Iterator[list[Outcome]]:
    """Answer the requests in every way; closing the iterator stops after the batch in hand.

    Args:
        engine: The engine.
        requests: What is asked; their caches are switched off.
        size: Most rows of a batch.

    Yields:
        The outcomes so far, after every batch; the last of them may be under way.

    Raises:
        BadRequests: There are none, too many, or the batches have no rows or too many.
        BadInput: As `Engine.run_static`.
    """
    check(requests, size)
    asked = [replace(request, cache=False) for request in requests]
    engine.run_static(asked[:1], "sequential")  # what is set up at the first call is nobody's cost
    limits = [answer_limit(request, engine.checkpoint.answer_length, engine.settings) for request in asked]
    alone: dict[int, Reply] = {}
    lengths: list[int] = []
    done: list[Outcome] = []
    for strategy in STRATEGIES:
        rows_of_batches = [list(range(len(asked)))]
        if strategy == "sequential":
            rows_of_batches = [[index] for index in range(len(asked))]
        elif strategy != "slots":
            rows_of_batches = plan(lengths, limits, strategy, size)
        outcome = Outcome(strategy, (), 0.0, 0.0, None)
        for number, rows in enumerate(rows_of_batches):
            began = time.perf_counter()
            way: Strategy = "slots" if strategy == "slots" else "padded"
            report = engine.run_static([asked[index] for index in rows], way, size=len(rows))
            if strategy == "sequential":
                alone[rows[0]] = report.replies[0]
                lengths.append(report.replies[0].trace.prompt_tokens)
            outcome = grown(outcome, report, rows, number, alone, time.perf_counter() - began)
            yield [*done, outcome]
        done.append(outcome)


def middle(passes: Sequence[Sequence[Outcome]]) -> list[Outcome]:
    """Return of each way the pass of median time (of an even number, the faster of the middle two).

    An answer counts as the same only if it was so in every pass.

    Args:
        passes: The last outcomes of `compare`, of each time that it ran to its end; at least one.
    """
    found = []
    for outcomes in zip(*passes, strict=True):
        different = {request for outcome in outcomes for request in outcome.different}
        chosen = sorted(outcomes, key=lambda outcome: outcome.seconds)[(len(outcomes) - 1) // 2]
        served = (replace(each, same=each.request not in different) for each in chosen.served)
        found.append(replace(chosen, served=tuple(served)))
    return found


def ratios(passes: Sequence[Sequence[Outcome]]) -> list[tuple[float, float]]:
    """Return of each way the least and the largest times as fast as one by one, each within one pass."""
    found = []
    for way in range(len(passes[0])):
        own = [outcomes[way].times_as_fast(outcomes[0]) for outcomes in passes]
        found.append((min(own), max(own)))
    return found


def check(requests: Sequence[Request], size: int) -> None:
    """Check what is to be compared before anything runs; BadRequests says what to change."""
    if not requests:
        raise BadRequests("There are no requests. Add one, or take a mix.")
    if len(requests) > MOST_REQUESTS:
        raise BadRequests(f"{len(requests)} requests are too many to compare here; at most {MOST_REQUESTS}.")
    if not 1 <= size <= MOST_ROWS:
        raise BadRequests(f"A batch has 1 to {MOST_ROWS} rows; {size} was given.")
    for number, request in enumerate(requests, 1):
        if not request.prompt.strip():
            raise BadRequests(f"Request {number} has no prompt. Write what is asked.")


def grown(
    outcome: Outcome, report: BatchReport, rows: Sequence[int], number: int, alone: dict[int, Reply], seconds: float
) -> Outcome:
    """Return the outcome with one more batch, which took so many seconds."""
    batches = {index: batch for batch in report.batches for index in batch.rows}
    served = []
    for place, (reply, latency) in enumerate(zip(report.replies, report.latencies, strict=True)):
        padding, idle = waste(reply, batches.get(place))
        trace = reply.trace
        served.append(
            Served(
                request=rows[place],
                batch=number,
                padding=padding,
                image_tokens=trace.image_tokens,
                text_tokens=trace.prompt_tokens - trace.image_tokens,
                new_tokens=len(reply.tokens),
                idle=idle,
                first_token=outcome.seconds + latency.first_token,
                whole=outcome.seconds + latency.whole,
                text=reply.text,
                same=reply.tokens == alone[rows[place]].tokens,
            )
        )
    preparing = sum(
        record.seconds for reply in report.replies for record in reply.trace.stages if record.name != "generate"
    )
    return Outcome(
        outcome.strategy,
        (*outcome.served, *served),
        outcome.seconds + seconds,
        outcome.preparing + preparing,
        load_average(),
    )


def waste(reply: Reply, batch: Batch | None) -> tuple[int, int]:
    """Return the padding and the idle steps of an answer, from its batch or, in the slots, from its receipt."""
    length = reply.trace.prompt_tokens
    if batch:
        return batch.width - length, batch.steps + 1 - len(reply.tokens)
    receipt = reply.trace.receipt
    return (sum(receipt.prefill) - length if receipt else 0), 0


def load_average() -> float | None:
    """Return how many processes wanted to compute in the last minute; None where the system doesn't say."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
