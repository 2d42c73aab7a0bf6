"""Turns pictures into what the vision tower takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from sandbox.errors import StageFailed
from sandbox.stages.contract import expect_floats
from sandbox.tiles import Layout


def preprocess(images: list[Image.Image], processor: Any, layouts: Sequence[Layout] = ()) -> np.ndarray:
    """Resize, crop or cut into tiles, rescale and normalise as the checkpoint says.

    Args:
        images: N >= 1 RGB images of any size.
        processor: The checkpoint's image processor; Pillow's, since other back ends resample differently.
        layouts: How they are cut; nothing where pictures aren't.

    Returns:
        float32 (T, 3, S, S), normalised; T is N, or the number of all pictures' tiles, one picture after the other
        and the overview first.
    """
    if not any(layout.tiles > 1 or layout.newlines for layout in layouts):
        return np.ascontiguousarray(processor(images=images, return_tensors="np")["pixel_values"], np.float32)
    together = any(layout.grid is None for layout in layouts)  # LLaVA-OneVision with several pictures
    tiles = processor(images=[images] if together else images, do_pad=False)["pixel_values"]
    return np.ascontiguousarray(np.concatenate(tiles), np.float32)


def accept(value: Any, counts: Sequence[int]) -> np.ndarray:
    """Check what a function in this stage's place returned: floats (T, 3, H, W).

    Args:
        value: What it returned.
        counts: Number of tiles of each picture. T is their sum; where pictures are cut into tiles, one square for each
            picture is taken too.
    """
    pictures, tiles = len(counts), sum(counts)
    squares = len(value) if isinstance(value, np.ndarray) and value.ndim == 4 else tiles
    if squares not in (tiles, pictures):
        cut = "" if tiles == pictures else f" in {tiles} tiles, or {pictures} squares"
        raise StageFailed(
            f"'preprocess' must return an array of shape ({tiles}, 3, any, any) for {pictures} pictures{cut}; "
            f"it returned {value.shape}."
        )
    return expect_floats("preprocess", value, squares, 3, None, None)
