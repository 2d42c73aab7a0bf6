"""Chooses which of the vision tower's tokens go on."""

from __future__ import annotations

from typing import Any

import numpy as np

from sandbox.stages.contract import expect_floats


def select(hidden: np.ndarray, strategy: str) -> np.ndarray:
    """Drop the class token, or keep all.

    Args:
        hidden: float32 (T, t, d), one for each tile, the class token first.
        strategy: `default` drops it, `full` keeps it, as transformers' `vision_feature_select_strategy`.

    Returns:
        float32 (T, t - 1, d), or (T, t, d).
    """
    return hidden[:, 1:] if strategy == "default" else hidden


def accept(value: Any, count: int) -> np.ndarray:
    """Check what a function in this stage's place returned: floats (count, P, d)."""
    return expect_floats("select", value, count, None, None)
