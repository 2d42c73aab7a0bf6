"""Checks on this very machine which numbers don't depend on the company."""

from __future__ import annotations

import numpy as np
import torch

from sandbox.checkpoint import Checkpoint
from sandbox.slots import SlotTable
from sandbox.stages.encode import encode

STEPS = 3
LARGE = 100_000_000
"""Weights from which a vision tower is busy with one picture, so that a group gains little and the check costs much."""


def encode_group(checkpoint: Checkpoint, most: int = 4) -> int:
    """Return how many pictures can be encoded together so that each has, bit for bit, the numbers that it has alone.

    Every group of 2 to `most` random pictures is tried; 1 if any of them differs, or if the model is `LARGE`.
    """
    if checkpoint.parameters >= LARGE:
        return 1
    side = checkpoint.model.config.vision_config.image_size
    pixels = np.random.default_rng(0).standard_normal((most, 3, side, side), np.float32)
    alone = encode(pixels, checkpoint, checkpoint.feature_layer)
    groups = (encode(pixels[:size], checkpoint, checkpoint.feature_layer, size) for size in range(2, most + 1))
    return most if all(np.array_equal(alone[: len(group)], group) for group in groups) else 1


@torch.inference_mode()
def repeats(table: SlotTable) -> bool:
    """Return whether a canary's logits are equal bit for bit in every slot, alone and among others.

    The canary's keys and values are random but fixed. It is stepped alone in slot 0, then in all even slots at once
    with random neighbours in the odd ones, then the other way round.

    Args:
        table: A table that isn't in use; it is empty afterwards.
    """
    source = torch.Generator(table.positions.device).manual_seed(0)
    canary, other = _random(table, source), _random(table, source)
    start, room = table.length // 3, table.length - STEPS - 1
    alone = _logits(table, {0: (canary, start)})[0]
    for parity in range(min(2, table.slots)):
        places = {
            slot: (canary, start) if slot % 2 == parity else (other, 1 + (37 * slot) % room)
            for slot in range(table.slots)
        }
        seen = _logits(table, places)
        if not all(np.array_equal(alone, seen[slot]) for slot in range(parity, table.slots, 2)):
            return False
    return True


def _random(table: SlotTable, source: torch.Generator) -> torch.Tensor:
    """Return keys and values of each layer in turn, (2 * layers, heads, length, width)."""
    rows = table.rows[:, 0]
    return torch.randn(rows.shape, generator=source, device=rows.device).to(rows.dtype)


def _logits(table: SlotTable, places: dict[int, tuple[torch.Tensor, int]]) -> np.ndarray:
    """Step `STEPS` tokens with these rows in these slots; return each slot's logits, (slots, STEPS, vocabulary)."""
    vocabulary = table.checkpoint.vocabulary
    for slot, (row, position) in places.items():
        table.rows[:, slot] = row
        table.positions[slot] = position
        table.tokens[slot] = position % vocabulary
    steps = []
    for number in range(STEPS):
        steps.append(table.step().logits)
        table.advance({slot: (position + number + 1) % vocabulary for slot, (_, position) in places.items()})
    for slot in places:
        table.leave(slot)
        table.rows[:, slot].zero_()
    return np.stack(steps, axis=1)
