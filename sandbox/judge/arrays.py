"""What arrays must be, and how far they are from what was expected, in words and as a picture."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from sandbox.jail import Result
from sandbox.judge.bench import Wrong, show

PANEL = 224
"""Longest side of one of a difference's three panels, in pixels."""


def expect_array(value: Any, name: str, dtype: str | None = None, shape: tuple[int | None, ...] | None = None) -> Any:
    """Return the array if it has this dtype and shape (None: any side) and is finite; `Wrong` says what it is."""
    if not isinstance(value, np.ndarray):
        raise Wrong(f"{name} should be a numpy array; it is {_a(value)}.")
    if dtype is not None and value.dtype != np.dtype(dtype):
        raise Wrong(f"{name} should be {dtype}; it is {value.dtype} of shape {value.shape}.")
    if shape is not None:
        fits = len(value.shape) == len(shape) and all(
            wanted in (None, side) for side, wanted in zip(value.shape, shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if side is None else str(side) for side in shape)
            raise Wrong(f"{name} should have shape ({wanted}); it has {value.shape}.")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise Wrong(f"{name} has {int((~np.isfinite(value)).sum())} values that are NaN or infinite.")
    return value


def expect_contiguous(result: Result, name: str) -> None:
    """`Wrong` unless the result itself is an array that lies in C order, in native byte order."""
    for facts in result.arrays:
        if facts.path == "" and not facts.c_contiguous:
            raise Wrong(f"{name} should be C-contiguous; it is a strided view. Copy it into order.")
        if facts.path == "" and not facts.native_byte_order:
            raise Wrong(f"{name} should be in native byte order.")


def difference(expected: np.ndarray, got: np.ndarray) -> bytes:
    """Return a PNG of expected, got and their absolute difference, side by side.

    Args:
        expected: (H, W, 3), any scale; its range is what black to white stands for in the first two.
        got: The same shape.
    """
    low, high = float(expected.min()), float(expected.max())
    scale = 255 / (high - low) if high > low else 1.0
    off = np.abs(got.astype(np.float64) - expected)
    panels = [
        (expected - low) * scale,
        (got - low) * scale,
        off * (255 / max(float(off.max()), 1e-9)),
    ]
    images = [Image.fromarray(np.clip(panel, 0, 255).astype(np.uint8)) for panel in panels]
    width, height = images[0].size
    factor = PANEL / max(width, height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    sheet = Image.new("RGB", (3 * size[0] + 16, size[1]), "white")
    for place, image in enumerate(images):
        sheet.paste(image.resize(size, Image.Resampling.NEAREST), (place * (size[0] + 8), 0))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _a(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__} ({show(value)})"
