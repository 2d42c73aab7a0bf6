"""Checks what a function in a stage's place returned, so that the fault is named where it arose."""

from __future__ import annotations

from typing import Any

import numpy as np

from sandbox.errors import StageFailed


def expect_floats(stage: str, value: Any, *shape: int | None) -> np.ndarray:
    """Return the array as float32 if it has the shape and is finite.

    Args:
        stage: The stage's name, for the sentence.
        value: What was returned.
        shape: Expected sizes; None allows any size from 1 on.

    Raises:
        StageFailed: It is anything else.
    """
    if not isinstance(value, np.ndarray):
        raise StageFailed(f"'{stage}' must return a numpy array; it returned {_kind(value)}.")
    if not np.issubdtype(value.dtype, np.floating):
        raise StageFailed(f"'{stage}' must return floats; it returned {value.dtype}.")
    fits = len(value.shape) == len(shape) and all(
        size == wanted or (wanted is None and size > 0) for size, wanted in zip(value.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise StageFailed(f"'{stage}' must return an array of shape ({wanted}); it returned {value.shape}.")
    if not np.isfinite(value).all():
        raise StageFailed(f"'{stage}' returned NaN or infinite numbers.")
    return np.ascontiguousarray(value, np.float32)


def expect_rows(stage: str, value: Any, count: int, width: int | None = None) -> list[np.ndarray]:
    """Return as many arrays (rows, width) as there are pictures; rows may differ. StageFailed if they are not that."""
    if not isinstance(value, list | tuple | np.ndarray) or len(value) != count:
        raise StageFailed(f"'{stage}' must return one array for each of {count} pictures; it returned {_kind(value)}.")
    return [expect_floats(stage, rows, None, width) for rows in value]


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"a list of {len(value)}" if isinstance(value, list) else f"a {type(value).__name__}"
