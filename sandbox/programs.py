"""What the model computes for everybody, as modules that run plainly or are compiled beforehand.

Each takes and gives flat tensors of shapes that follow from the request alone. What is compiled computes the same in
another order, so the last bits of its numbers differ: a request keeps to one set of programs from its pictures to its
last token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sandbox.checkpoint import Checkpoint

KeyValues = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values (1, heads, tokens, head width) of each layer."""

Program = Callable[..., Sequence[torch.Tensor]]
"""Takes the inputs of one of the modules below, lists laid flat, and gives what its `forward` gives."""


@dataclass(frozen=True)
class Programs:
    """One set of programs: all plain, or all compiled."""

    tower: Program
    prefix: Program
    prompt: Program
    steps: Mapping[int, Program]
    """By the length of the table."""
    compiled: bool


class Reading:
    """What transformers' layers take for a KV cache while they read a part of a prompt after what was read before."""

    is_compileable = False  # asked by transformers of every cache

    def __init__(self, before: KeyValues | None) -> None:
        self.before = before
        self.new: list[torch.Tensor] = []

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *rest: Any, **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep a layer's keys and values, and return them behind those of the part before."""
        self.new += [keys.contiguous(), values.contiguous()]
        if self.before is None:
            return keys, values
        return torch.cat([self.before[layer][0], keys], 2), torch.cat([self.before[layer][1], values], 2)

    def get_seq_length(self, *rest: Any) -> int:
        """Return 0: positions and mask are given, never counted."""
        return 0


class _Standing:
    """A KV cache of fixed shape, each row of which stands at a position of its own."""

    is_compileable = False

    def __init__(self, rows: KeyValues, positions: torch.Tensor) -> None:
        self.rows = rows
        self.positions = positions
        self.numbers = torch.arange(len(positions), device=positions.device)

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *rest: Any, **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write each row's new key and value at that row's position, and return the whole layer."""
        own_keys, own_values = self.rows[layer]
        own_keys[self.numbers, :, self.positions] = keys[:, :, 0]
        own_values[self.numbers, :, self.positions] = values[:, :, 0]
        return own_keys, own_values

    def get_seq_length(self, *rest: Any) -> int:
        """Return 0: positions and mask are given, never counted."""
        return 0


class _Language(nn.Module):
    """The language model and what makes logits of its output."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.language_model = checkpoint.model.model.language_model
        self.head = checkpoint.model.lm_head

    def _logits(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits (n, vocabulary) of (n, D), the largest of each row and its id; among equals the lowest id."""
        logits = self.head(hidden)
        largest, likeliest = logits.max(-1)
        return logits, largest, likeliest


class PrefixProgram(_Language):
    """Reads the first part of a prompt; only what later tokens see of it is computed."""

    def forward(self, inputs: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return keys and values of each layer in turn, (1, heads, n, head width) each.

        Args:
            inputs: (1, n, D).
            mask: bool (1, 1, n, n), True where a token sees another.
            positions: (1, n).
        """
        reading = Reading(None)
        self.language_model(
            inputs_embeds=inputs, attention_mask=mask, position_ids=positions, past_key_values=reading, use_cache=True
        )
        return tuple(reading.new)


class PromptProgram(_Language):
    """Reads the last part of a prompt."""

    def forward(
        self,
        inputs: torch.Tensor,
        mask: torch.Tensor,
        positions: torch.Tensor,
        last: torch.Tensor,
        before: list[torch.Tensor],
    ) -> tuple[torch.Tensor, ...]:
        """Return the logits at one token, (1, vocabulary), the largest and its id, then keys and values as a prefix's.

        Args:
            inputs: (1, n, D).
            mask: bool (1, 1, n, m + n), True where a token sees another, m tokens before and n of this part.
            positions: (1, n).
            last: (1,), which of the n tokens.
            before: Keys and values of each layer in turn, (1, heads, m, head width), m >= 1.
        """
        reading = Reading(list(zip(before[::2], before[1::2], strict=True)))
        hidden = self.language_model(
            inputs_embeds=inputs, attention_mask=mask, position_ids=positions, past_key_values=reading, use_cache=True
        ).last_hidden_state
        return *self._logits(hidden[0].index_select(0, last)), *reading.new


class StepProgram(_Language):
    """Reads the token that stands in every slot."""

    def forward(
        self, tokens: torch.Tensor, positions: torch.Tensor, rows: list[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """Return logits (slots, vocabulary), the largest of each row and its id; among equals the lowest id.

        Args:
            tokens: (slots,).
            positions: (slots,), where each stands.
            rows: Keys and values of each layer in turn, (slots, heads, length, head width); written to.
        """
        columns = torch.arange(rows[0].shape[2], device=positions.device)
        seen = (columns[None] <= positions[:, None])[:, None, None]
        hidden = self.language_model(
            input_ids=tokens[:, None],
            attention_mask=seen,
            position_ids=positions[:, None],
            past_key_values=_Standing(list(zip(rows[::2], rows[1::2], strict=True)), positions),
            use_cache=True,
        ).last_hidden_state
        return self._logits(hidden[:, -1])


class TowerProgram(nn.Module):
    """Shows one picture of the vision tower's own size to it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Take the model; its own feature layer is the one that is read."""
        super().__init__()
        self.tower = checkpoint.model.model.vision_tower
        layer = checkpoint.feature_layer
        self.layers = [layer] if isinstance(layer, int) else list(layer)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the hidden states at the feature layers side by side, (B, t, d) of (B, 3, S, S)."""
        states = self.tower(pixels, output_hidden_states=self.layers).hidden_states
        return (torch.cat([states[index] for index in self.layers], dim=-1),)


class _Plain:
    """A module that is called with its lists laid flat, as a compiled one is."""

    def __init__(self, module: nn.Module, alone: int) -> None:
        self.module = module
        self.alone = alone
        """Inputs before the list."""

    def __call__(self, *tensors: torch.Tensor) -> Sequence[torch.Tensor]:
        rest = [list(tensors[self.alone :])] if len(tensors) > self.alone else []
        outputs: Sequence[torch.Tensor] = self.module(*tensors[: self.alone], *rest)
        return outputs


def plain(checkpoint: Checkpoint, lengths: Sequence[int]) -> Programs:
    """Return the programs as PyTorch runs them, operation by operation."""
    step = _Plain(StepProgram(checkpoint), 2)
    return Programs(
        tower=_Plain(TowerProgram(checkpoint), 1),
        prefix=_Plain(PrefixProgram(checkpoint), 3),
        prompt=_Plain(PromptProgram(checkpoint), 4),
        steps=dict.fromkeys(lengths, step),
        compiled=False,
    )


def cache_shape(config: Any) -> tuple[int, int, int]:
    """Return layers, heads and head width of a language model's keys and values, by its settings."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return config.num_hidden_layers, heads, width
