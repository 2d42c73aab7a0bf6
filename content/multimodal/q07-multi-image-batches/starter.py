from typing import Any

import numpy as np


def collate(
    requests: list[dict[str, Any]], *, image_token_id: int, pad_token_id: int, tokens_per_image: int
) -> dict[str, np.ndarray | None]:
    """Return input_ids and attention_mask (B, L), pixel_values (N, 3, S, S) or None, and image_owner (N,)."""
    # a beginning: equally long text-only requests; expansion, images, padding and bad input are yours
    input_ids = np.array([request["input_ids"] for request in requests], np.int64)
    return {
        "input_ids": input_ids,
        "attention_mask": np.ones_like(input_ids),
        "pixel_values": None,
        "image_owner": np.zeros(0, np.int64),
    }


def plan_batches(lengths: list[int], max_tokens: int) -> list[list[int]]:
    """Return batches of indices, each with len(batch) * max(length) <= max_tokens."""
    # a beginning: everyone alone, which is right and slow; what can't fit, and sharing, are yours
    return [[index] for index in range(len(lengths))]
