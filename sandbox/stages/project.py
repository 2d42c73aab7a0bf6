"""Maps vision features into the language model's embedding space, and lays out the tiles of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sandbox.checkpoint import Checkpoint, to_array
from sandbox.errors import StageFailed
from sandbox.stages.contract import expect_rows
from sandbox.tiles import Layout


@torch.inference_mode()
def project(features: list[np.ndarray], checkpoint: Checkpoint, layouts: Sequence[Layout] = ()) -> list[np.ndarray]:
    """Run the projector, then pack the tiles as `pack` does.

    Each tile is projected by itself, so that a picture's numbers don't depend on the others.

    Args:
        features: T arrays float32 (P_i, d), one for each tile.
        checkpoint: The model.
        layouts: How the N pictures are cut; nothing where pictures aren't, so that N is T.

    Returns:
        N arrays float32 (rows, D), D the language model's width.

    Raises:
        StageFailed: d isn't the projector's.
    """
    projector = checkpoint.model.model.multi_modal_projector
    expected = projector.linear_1.in_features
    for rows in features:
        if rows.shape[1] != expected:
            raise StageFailed(f"The projector takes features of width {expected}; these have {rows.shape[1]}.")
    tiles = [projector(checkpoint.tensor(rows)) for rows in features]
    return [to_array(rows) for rows in _packed(tiles, checkpoint, layouts)]


@torch.inference_mode()
def pack(tiles: list[np.ndarray], checkpoint: Checkpoint, layouts: Sequence[Layout]) -> list[np.ndarray]:
    """Make one array of each picture's tiles, as the model does; follows a function in this stage's place.

    The overview comes first. The tiles' rows are laid side by side on their grid; what was padding is cut off, and a
    newline ends each row. Tiles that a function made shorter or longer have no grid any more: they follow one another,
    and one newline ends the picture.

    Args:
        tiles: T arrays float32 (P_i, D).
        checkpoint: The model; one that doesn't cut pictures leaves the arrays as they are.
        layouts: How the N pictures are cut.

    Returns:
        N arrays float32 (rows, D).
    """
    if not checkpoint.tiled:
        return tiles
    return [to_array(rows) for rows in _packed([checkpoint.tensor(rows) for rows in tiles], checkpoint, layouts)]


def _packed(tiles: Sequence[torch.Tensor], checkpoint: Checkpoint, layouts: Sequence[Layout]) -> Sequence[torch.Tensor]:
    if not checkpoint.tiled:
        return tiles
    squares = len(tiles) == len(layouts)  # one for each picture, whatever its layout
    rest, pictures = list(tiles), []
    for layout in layouts:
        count = 1 if squares else layout.tiles
        pictures.append(_picture(rest[:count], checkpoint, layout))
        rest = rest[count:]
    return pictures


def _picture(tiles: list[torch.Tensor], checkpoint: Checkpoint, layout: Layout) -> torch.Tensor:
    model, config = checkpoint.model.model, checkpoint.model.config
    side = config.vision_config.image_size // config.vision_config.patch_size
    if any(len(rows) != side * side for rows in tiles):
        return torch.cat([*tiles, model.image_newline[None].to(tiles[0])])
    options = (
        {"vision_aspect_ratio": config.vision_aspect_ratio}
        if config.model_type == "llava_onevision"
        else {"vision_feature_select_strategy": checkpoint.strategy}
    )
    width, height = layout.size
    packed, _ = model.pack_image_features(
        [torch.stack(tiles)], [(height, width)], image_newline=model.image_newline, **options
    )
    rows: torch.Tensor = packed[0]
    return rows


def accept(value: Any, count: int, width: int) -> list[np.ndarray]:
    """Check what a function in this stage's place returned: `count` arrays of floats (rows, width), one a tile."""
    return expect_rows("project", value, count, width)
