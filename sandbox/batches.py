"""Ways of answering several requests, to compare: one by one, in batches of fixed membership, or in the slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sandbox.request import Reply

Strategy = Literal["sequential", "padded", "sorted", "slots"]
"""`sequential`: each alone. `padded`: batches in the order given. `sorted`: batches of neighbours in length, longest
first. `slots`: as the engine answers everybody."""

BATCH_TOKENS = 16_384
"""Most positions of a batch, padding and answers included; at the half MiB of a 7B model in half precision, 8 GiB."""


@dataclass(frozen=True)
class Batch:
    """One batch of fixed membership, or one table of slots."""

    rows: tuple[int, ...]
    """Which requests, in the order in which they were given."""
    width: int
    """Tokens to which their prompts were padded."""
    prompt_tokens: int
    """Tokens of their prompts without padding."""
    steps: int
    """Steps of the language model after the prompt."""
    new_tokens: int
    """Tokens of their answers."""
    seconds: float
    """From the start of its prefill to its last token."""

    @property
    def padded_tokens(self) -> int:
        """Prompt positions that were computed for nothing."""
        return self.width * len(self.rows) - self.prompt_tokens

    @property
    def idle_tokens(self) -> int:
        """Row-steps that were computed for answers which had ended."""
        return (self.steps + 1) * len(self.rows) - self.new_tokens


@dataclass(frozen=True)
class Latency:
    """How long somebody waited who asked when the whole set was asked, in seconds."""

    first_token: float
    whole: float


@dataclass(frozen=True)
class BatchReport:
    """What a way of answering gave and cost."""

    strategy: Strategy
    replies: list[Reply]
    """In the order of the requests."""
    seconds: float
    """From the call to the last answer."""
    batches: list[Batch]
    """Empty for `slots`, which has no batches: the replies' receipts tell the slots and padded prompts."""
    latencies: list[Latency]
    """From the call, in the order of the requests."""

    @property
    def tokens_per_second(self) -> float:
        """New tokens of all answers over all seconds."""
        return sum(len(reply.tokens) for reply in self.replies) / self.seconds


def latencies(moments: Sequence[Sequence[float]], started: float) -> list[Latency]:
    """Return latencies from each answer's moments (start of prefill, then each token) and that of the call."""
    return [Latency(each[1] - started, each[-1] - started) for each in moments]


def plan(lengths: Sequence[int], limits: Sequence[int], strategy: Strategy, size: int) -> list[list[int]]:
    """Return which requests go into each batch.

    Args:
        lengths: Prompt tokens of each request.
        limits: Most new tokens of each.
        strategy: `sequential`, `padded` or `sorted`.
        size: Most rows of a batch; fewer where `BATCH_TOKENS` would be passed.
    """
    order = list(range(len(lengths)))
    if strategy == "sequential":
        return [[index] for index in order]
    if strategy == "sorted":
        order.sort(key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    for index in order:
        grown = [*batches[-1], index] if batches else [index]
        positions = len(grown) * (max(lengths[i] for i in grown) + max(limits[i] for i in grown))
        if batches and len(grown) <= size and positions <= BATCH_TOKENS:
            batches[-1] = grown
        else:
            batches.append([index])
    return batches
