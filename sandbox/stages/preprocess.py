"""Turns pictures into what the vision tower takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from sandbox.stages.contract import expect_floats


def preprocess(images: list[Image.Image], processor: Any) -> np.ndarray:
    """Resize, crop, rescale and normalise as the checkpoint says.

    Args:
        images: N >= 1 RGB images of any size.
        processor: The checkpoint's image processor; Pillow's, since other back ends resample differently.

    Returns:
        float32 (N, 3, S, S), normalised.
    """
    pixels = processor(images=images, return_tensors="np")["pixel_values"]
    return np.ascontiguousarray(pixels, np.float32)


def accept(value: Any, count: int) -> np.ndarray:
    """Check what a function in this stage's place returned: floats (count, 3, H, W)."""
    return expect_floats("preprocess", value, count, 3, None, None)
