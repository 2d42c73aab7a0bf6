"""Puts the pictures' features among the text's embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from sandbox.errors import StageFailed
from sandbox.stages.contract import expect_floats


def merge(ids: np.ndarray, embeddings: np.ndarray, features: list[np.ndarray], image_token: int) -> np.ndarray:
    """Write the features over the embeddings of the image tokens, in order.

    Args:
        ids: int64 (L,), the prompt.
        embeddings: float32 (L, D), the language model's embeddings of `ids`.
        features: Arrays float32 (P_i, D), one for each picture.
        image_token: Id of the image token.

    Returns:
        float32 (L, D), the language model's input.

    Raises:
        StageFailed: There are not as many image tokens as feature rows.
    """
    places = np.flatnonzero(ids == image_token)
    rows = sum(len(rows) for rows in features)
    if len(places) != rows:
        raise StageFailed(f"The prompt has {len(places)} image tokens for {rows} rows of image features.")
    merged = embeddings.copy()
    if features:
        merged[places] = np.concatenate(features)
    return merged


def accept(value: Any, length: int, width: int) -> np.ndarray:
    """Check what a function in this stage's place returned: floats (length, width)."""
    return expect_floats("merge", value, length, width)
