"""The language model's two operations on fixed shapes: read a prompt, and step a table of answers.

Numbers depend on shapes, since another shape may be computed in another order. So each step always computes every slot
of its table, used or not, over every position, and a prompt is always read in two parts, each padded to a length that
follows from the request alone. What a row computes then depends on that row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from sandbox.checkpoint import Checkpoint
from sandbox.programs import KeyValues, Program, Reading, cache_shape

SHORTEST = 128
"""Positions of the shortest table, where an eighth of the context is less."""
FINE = 8
"""Parts of a prompt are padded to a multiple of this many tokens up to 256, of eight times as many above."""


def table_lengths(context: int) -> list[int]:
    """Return the positions of the tables that there can be: the context, and its half, quarter and eighth."""
    return sorted({min(context, max(SHORTEST, context >> halvings)) for halvings in range(4)})


def table_length(tokens: int, context: int) -> int:
    """Return the positions of the shortest table that holds so many tokens of prompt and answer."""
    return next((length for length in table_lengths(context) if length >= tokens), context)


def padded_length(tokens: int) -> int:
    """Return the length to which a part of a prompt is padded."""
    step = FINE if tokens <= 256 else 8 * FINE
    return -(-tokens // step) * step


def table_bytes(config: Any, positions: int, bytes_per_number: int) -> int:
    """Return the bytes of keys and values of so many positions, slots times length.

    Args:
        config: The language model's settings.
        positions: Of all slots together.
        bytes_per_number: 4 in float32, 2 in half precision.
    """
    layers, heads, width = cache_shape(config)
    return int(2 * layers * heads * width * bytes_per_number * positions)


@dataclass(frozen=True)
class Chosen:
    """What the model says of the next token of one or several answers, on the CPU."""

    logits: np.ndarray
    """(rows, vocabulary), as the model gave them; bfloat16 widened to float32, which is exact."""
    likeliest: list[int]
    """Of each row, the token of the largest logit, the lowest id among equals."""
    largest: list[float]
    """Of each row, that logit; NaN if any is."""

    @classmethod
    def of(cls, logits: torch.Tensor, largest: torch.Tensor, likeliest: torch.Tensor) -> Chosen:
        """Copy what a program gave."""
        return cls(to_host(logits), likeliest.tolist(), largest.tolist())


def read_prefix(program: Program, checkpoint: Checkpoint, embeddings: np.ndarray) -> KeyValues:
    """Read the first part of one prompt, padded on the right.

    Args:
        program: A `PrefixProgram`.
        checkpoint: The model.
        embeddings: float32 (n, D), n >= 1.

    Returns:
        The keys and values of all positions, padding included.
    """
    inputs, mask, positions = _part(checkpoint, embeddings, 0, 0)
    return _pairs(program(inputs, mask, positions))


def read_prompt(
    program: Program, checkpoint: Checkpoint, embeddings: np.ndarray, before: KeyValues, start: int
) -> tuple[Chosen, KeyValues]:
    """Read the last part of one prompt, padded on the right.

    Args:
        program: A `PromptProgram`.
        checkpoint: The model.
        embeddings: float32 (n, D), n >= 1.
        before: Keys and values of the part before, padded too; of none, `no_prefix`'s.
        start: How many of its tokens are real: the position of this part's first.

    Returns:
        What the model says after the last real token, and the keys and values of all of this part's positions.
    """
    inputs, mask, positions = _part(checkpoint, embeddings, before[0][0].shape[2], start)
    last = torch.tensor([len(embeddings) - 1], device=positions.device)
    logits, largest, likeliest, *new = program(
        inputs, mask, positions, last, *(each for pair in before for each in pair)
    )
    return Chosen.of(logits, largest, likeliest), _pairs(new)


def no_prefix(checkpoint: Checkpoint) -> KeyValues:
    """Return keys and values of which no token is real, for a prompt that has no first part."""
    layers, heads, width = cache_shape(checkpoint.model.config.text_config)
    placement = checkpoint.placement
    nothing = torch.zeros(1, heads, FINE, width, dtype=placement.dtype, device=placement.device)
    return [(nothing, nothing)] * layers


def _pairs(tensors: Sequence[torch.Tensor]) -> KeyValues:
    return list(zip(tensors[::2], tensors[1::2], strict=True))


def _part(
    checkpoint: Checkpoint, embeddings: np.ndarray, behind: int, start: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return inputs (1, n, D), mask (1, 1, n, behind + n) and positions (1, n) of a part, padded to n tokens."""
    device, real = checkpoint.placement.device, len(embeddings)
    width = padded_length(real)
    inputs = np.zeros((1, width, embeddings.shape[1]), np.float32)
    inputs[0, :real] = embeddings
    mask = np.zeros((1, 1, width, behind + width), bool)
    mask[..., :start] = True
    mask[..., behind:] = np.tri(width, dtype=bool)
    mask[..., real:, behind + real :] = False
    positions = torch.arange(start, start + width, device=device)
    return checkpoint.tensor(inputs), torch.from_numpy(mask).to(device), positions[None]


def read_together(checkpoint: Checkpoint, prompts: list[np.ndarray]) -> tuple[Chosen, list[KeyValues], int]:
    """Read several prompts in one pass, padded on the right to the longest: faster, and in numbers that depend on it.

    Args:
        checkpoint: The model.
        prompts: n >= 1 arrays float32 (L_i, D).

    Returns:
        What the model says after each one's last token; keys and values of each; the padded length.
    """
    device, width = checkpoint.placement.device, padded_length(max(map(len, prompts)))
    inputs = np.zeros((len(prompts), width, prompts[0].shape[1]), np.float32)
    mask = np.tile(np.tri(width, dtype=bool), (len(prompts), 1, 1))
    for row, prompt in enumerate(prompts):
        inputs[row, : len(prompt)] = prompt
        mask[row, len(prompt) :, len(prompt) :] = False
    reading = Reading(None)
    hidden = checkpoint.model.model.language_model(
        inputs_embeds=checkpoint.tensor(inputs),
        attention_mask=torch.from_numpy(mask).to(device)[:, None],
        position_ids=torch.arange(width, device=device)[None],
        past_key_values=reading,
        use_cache=True,
    ).last_hidden_state
    last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)
    rows = torch.arange(len(prompts), device=device)
    logits = checkpoint.model.lm_head(hidden[rows, last])
    largest, likeliest = logits.max(-1)
    parts = [_pairs([each[n : n + 1] for each in reading.new]) for n in range(len(prompts))]
    return Chosen.of(logits, largest, likeliest), parts, width


class SlotTable:
    """A KV cache of fixed shape whose rows are answers that began at different times.

    Rows that are not in use stand at position 0 and are computed all the same.
    """

    def __init__(self, checkpoint: Checkpoint, program: Program, slots: int, length: int) -> None:
        """Make room for `slots` answers of `length` positions, stepped by a `StepProgram` for that many."""
        self.checkpoint = checkpoint
        self.slots = slots
        self.length = length
        layers, heads, width = cache_shape(checkpoint.model.config.text_config)
        device, dtype = checkpoint.placement.device, checkpoint.placement.dtype
        self.rows = torch.zeros(2 * layers, slots, heads, length, width, dtype=dtype, device=device)
        """Keys and values of each layer in turn."""
        self.positions = torch.zeros(slots, dtype=torch.long, device=device)
        self.tokens = torch.zeros(slots, dtype=torch.long, device=device)
        self.compute: Callable[[], Sequence[torch.Tensor]] = partial(program, self.tokens, self.positions, *self.rows)

    def record(self) -> None:
        """Let each step be one CUDA graph that is replayed: the same kernels, without a launch from Python for each.

        Only before the table is used. Other threads may use the GPU meanwhile.
        """
        compute, beside = self.compute, torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(3):  # what is set up at the first calls must not be recorded
                compute()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            outputs = compute()

        def replay() -> Sequence[torch.Tensor]:
            graph.replay()
            return outputs

        self.compute = replay

    def fill(self, slot: int, parts: list[tuple[KeyValues, int]], token: int) -> None:
        """Begin an answer in a slot.

        Args:
            slot: A row that is not in use.
            parts: Keys and values of the prompt's parts, each with its number of real tokens.
            token: The answer's first token.
        """
        at = 0
        for part, real in parts:
            if real:
                new = torch.cat([each for pair in part for each in pair])
                self.rows[:, slot, :, at : at + real] = new[:, :, :real]
            at += real
        self.rows[:, slot, :, at:].zero_()  # a NaN left behind would spread: 0 times NaN is NaN, masked or not
        self.positions[slot] = sum(real for _, real in parts)
        self.tokens[slot] = token

    def leave(self, slot: int) -> None:
        """End the answer in a slot."""
        self.positions[slot] = self.tokens[slot] = 0

    @torch.inference_mode()
    def step(self) -> Chosen:
        """Compute the next logits of every slot; `advance` then says which tokens were chosen."""
        return Chosen.of(*self.compute())

    def advance(self, chosen: dict[int, int]) -> None:
        """Move the slots of `chosen` on by the token that was chosen in each."""
        if not chosen:
            return
        rows = torch.tensor(list(chosen), device=self.positions.device)
        self.positions[rows] += 1
        self.tokens[rows] = torch.tensor(list(chosen.values()), device=self.positions.device)


def to_host(logits: torch.Tensor) -> np.ndarray:
    """Copy logits to the CPU; NumPy has no bfloat16, so that becomes float32."""
    if logits.dtype == torch.bfloat16:
        logits = logits.float()
    array: np.ndarray = logits.cpu().numpy()
    return array
