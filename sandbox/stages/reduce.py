"""Makes fewer tokens of a picture's features."""

from __future__ import annotations

from typing import Any

import numpy as np

from sandbox.stages.contract import expect_rows


def reduce(features: np.ndarray) -> list[np.ndarray]:
    """Keep every row; what stands in this stage's place may drop or merge rows.

    Args:
        features: float32 (T, P, d), one for each tile.

    Returns:
        T arrays float32 (P, d). Those of another function may have any number of rows from 1 on, each its own.
    """
    return list(features)


def accept(value: Any, count: int) -> list[np.ndarray]:
    """Check what a function in this stage's place returned: `count` arrays of floats (rows, d)."""
    return expect_rows("reduce", value, count)
