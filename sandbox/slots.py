"""The language model's two operations on fixed shapes: read a prompt, and step a table of answers.

Numbers depend on shapes, since another shape may be computed in another order. So each step always computes every slot
of its table, used or not, over every position, and a prompt is always read in two parts, each padded to a length that
follows from the request alone. What a row computes then depends on that row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sandbox.checkpoint import Checkpoint

SHORTEST = 128
"""Positions of the shortest table, where an eighth of the context is less."""
FINE = 8
"""Parts of a prompt are padded to a multiple of this many tokens up to 256, of eight times as many above."""

KeyValues = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values (1, heads, tokens, head width) of each layer."""


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
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * bytes_per_number * positions)


class _Reading:
    """What transformers' layers take for a KV cache while they read a part of a prompt after what was read before."""

    is_compileable = False

    def __init__(self, before: KeyValues | None) -> None:
        self.before = before
        self.new: KeyValues = []

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *rest: Any, **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep a layer's keys and values, and return them behind those of the part before."""
        self.new.append((keys, values))
        if self.before is None:
            return keys, values
        return torch.cat([self.before[layer][0], keys], 2), torch.cat([self.before[layer][1], values], 2)

    def get_seq_length(self, *rest: Any) -> int:
        """Return 0: positions and mask are given, never counted."""
        return 0


def read(
    checkpoint: Checkpoint, embeddings: np.ndarray, before: KeyValues | None = None, start: int = 0
) -> tuple[torch.Tensor, KeyValues]:
    """Read a part of one prompt, padded on the right.

    Args:
        checkpoint: The model.
        embeddings: float32 (n, D), n >= 1.
        before: Keys and values of the part before, padded too; None if this is the first.
        start: How many of its tokens are real: the position of this part's first.

    Returns:
        The last layer's output at the last real token, (1, D), and the keys and values of all of this part's positions.
    """
    device, real = checkpoint.placement.device, len(embeddings)
    width = padded_length(real)
    inputs = checkpoint.tensor(np.concatenate([embeddings, np.zeros((width - real, embeddings.shape[1]), np.float32)]))
    behind = 0 if before is None else before[0][0].shape[2]
    mask = np.zeros((width, behind + width), bool)
    mask[:, :start] = True
    mask[:, behind:] = np.tri(width, dtype=bool)
    mask[real:, behind + real :] = False
    positions = torch.arange(start, start + width, device=device)
    reading = _Reading(before)
    hidden = checkpoint.model.model.language_model(
        inputs_embeds=inputs[None],
        attention_mask=torch.from_numpy(mask).to(device)[None, None],
        position_ids=positions[None],
        past_key_values=reading,
        use_cache=True,
    ).last_hidden_state
    return hidden[:, real - 1], reading.new


def read_together(checkpoint: Checkpoint, prompts: list[np.ndarray]) -> tuple[torch.Tensor, list[KeyValues], int]:
    """Read several prompts in one pass, padded on the right to the longest: faster, and in numbers that depend on it.

    Args:
        checkpoint: The model.
        prompts: n >= 1 arrays float32 (L_i, D).

    Returns:
        The last layer's output at each one's last token, (n, D); keys and values of each; the padded length.
    """
    device, width = checkpoint.placement.device, padded_length(max(map(len, prompts)))
    inputs = np.zeros((len(prompts), width, prompts[0].shape[1]), np.float32)
    mask = np.tile(np.tri(width, dtype=bool), (len(prompts), 1, 1))
    for row, prompt in enumerate(prompts):
        inputs[row, : len(prompt)] = prompt
        mask[row, len(prompt) :, len(prompt) :] = False
    reading = _Reading(None)
    hidden = checkpoint.model.model.language_model(
        inputs_embeds=checkpoint.tensor(inputs),
        attention_mask=torch.from_numpy(mask).to(device)[:, None],
        position_ids=torch.arange(width, device=device)[None],
        past_key_values=reading,
        use_cache=True,
    ).last_hidden_state
    last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)
    rows = torch.arange(len(prompts), device=device)
    parts = [[(keys[n : n + 1], values[n : n + 1]) for keys, values in reading.new] for n in range(len(prompts))]
    return hidden[rows, last], parts, width


@dataclass(frozen=True)
class Step:
    """What one step gave, on the CPU."""

    logits: np.ndarray
    """(slots, vocabulary), as the model gave them; bfloat16 widened to float32, which is exact."""
    likeliest: list[int]
    """Of each slot, the token of the largest logit, the lowest id among equals."""
    largest: list[float]
    """Of each slot, that logit; NaN if any is."""


class SlotTable:
    """A KV cache of fixed shape whose rows are answers that began at different times.

    Rows that are not in use stand at position 0 and are computed all the same.
    """

    is_compileable = False  # asked by transformers of every cache

    def __init__(self, checkpoint: Checkpoint, slots: int, length: int, like: KeyValues) -> None:
        """Make room for `slots` answers of `length` positions; `like` gives number, heads, width and dtype."""
        self.checkpoint = checkpoint
        self.slots = slots
        self.length = length
        device = checkpoint.placement.device
        shapes = [(slots, keys.shape[1], length, keys.shape[3]) for keys, _ in like]
        self.keys = [torch.zeros(shape, dtype=like[0][0].dtype, device=device) for shape in shapes]
        self.values = [torch.zeros_like(keys) for keys in self.keys]
        self.positions = torch.zeros(slots, dtype=torch.long, device=device)
        self.tokens = torch.zeros(slots, dtype=torch.long, device=device)
        self._rows = torch.arange(slots, device=device)
        self._columns = torch.arange(length, device=device)
        self.compute = self.forward

    def twin(self) -> SlotTable:
        """Return an empty table of the same shape."""
        return SlotTable(self.checkpoint, self.slots, self.length, list(zip(self.keys, self.values, strict=True)))

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *rest: Any, **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write each row's new key and value at that row's position, and return the whole layer; for transformers."""
        self.keys[layer][self._rows, :, self.positions] = keys[:, :, 0]
        self.values[layer][self._rows, :, self.positions] = values[:, :, 0]
        return self.keys[layer], self.values[layer]

    def get_seq_length(self, *rest: Any) -> int:
        """Return 0: positions and mask are given, never counted."""
        return 0

    def fill(self, slot: int, parts: list[tuple[KeyValues, int]], token: int) -> None:
        """Begin an answer in a slot.

        Args:
            slot: A row that is not in use.
            parts: Keys and values of the prompt's parts, each with its number of real tokens.
            token: The answer's first token.
        """
        for layer, (keys, values) in enumerate(zip(self.keys, self.values, strict=True)):
            keys[slot].zero_()  # a NaN left behind would spread: 0 times NaN is NaN, masked or not
            values[slot].zero_()
            at = 0
            for part, real in parts:
                keys[slot, :, at : at + real] = part[layer][0][0, :, :real]
                values[slot, :, at : at + real] = part[layer][1][0, :, :real]
                at += real
        self.positions[slot] = sum(real for _, real in parts)
        self.tokens[slot] = token

    def leave(self, slot: int) -> None:
        """End the answer in a slot."""
        self.positions[slot] = self.tokens[slot] = 0

    def forward(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Read the token that stands in every slot.

        Returns:
            Logits (slots, vocabulary), the largest of each row and its id; among equals the lowest id.
        """
        seen = (self._columns[None] <= self.positions[:, None])[:, None, None]
        hidden = self.checkpoint.model.model.language_model(
            input_ids=self.tokens[:, None],
            attention_mask=seen,
            position_ids=self.positions[:, None],
            past_key_values=self,
            use_cache=True,
        ).last_hidden_state
        logits = self.checkpoint.model.lm_head(hidden[:, -1])
        largest, likeliest = logits.max(-1)
        return logits, largest, likeliest

    @torch.inference_mode()
    def step(self) -> Step:
        """Compute the next logits of every slot; `advance` then says which tokens were chosen."""
        logits, largest, likeliest = self.compute()
        return Step(to_host(logits), likeliest.tolist(), largest.tolist())

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
