"""How a picture is cut into tiles, and how many tokens it takes: known from its size alone, before it is decoded.

LLaVA and VipLLaVA take one square. LLaVA-NeXT takes an overview and the tiles of the grid that fits best, lays the
tiles' features side by side, cuts off what was padding and ends each row with a newline. LLaVA-OneVision does the same
up to a number of tiles, beyond which it shrinks the features; several pictures in one prompt are one square each. The
sums are those of transformers' own processors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers.image_processing_utils import select_best_resolution

TILED = frozenset({"llava_next", "llava_onevision"})
"""Model types that cut a picture into tiles."""


@dataclass(frozen=True)
class Layout:
    """Where the tokens of one picture come from, in the order in which they stand in the prompt."""

    size: tuple[int, int]
    """Width and height of the picture."""
    tiles: int = 1
    """Squares that the vision tower sees, the overview included."""
    grid: tuple[int, int] | None = None
    """Rows and columns of tiles without the overview; None where there is none but the overview."""
    base: int = 0
    """Tokens of the overview, which come first."""
    rows: int = 0
    """Rows of features from the tiles, after unpadding and shrinking."""
    columns: int = 0
    """Features in each of those rows."""
    newlines: int = 0
    """Newline tokens: one ends each row; of a picture without a grid, one may end the picture."""

    @property
    def tokens(self) -> int:
        """Tokens of the picture in the prompt."""
        return self.base + self.rows * self.columns + self.newlines

    def __str__(self) -> str:
        if not self.grid:
            return "1 square"
        return f"1 overview + {self.grid[0]} x {self.grid[1]} tiles"


def layouts(sizes: Sequence[tuple[int, int]], config: Any, processor: Any) -> list[Layout]:
    """Return how the pictures of one prompt are cut.

    Args:
        sizes: Width and height of each picture, upright.
        config: The model's settings.
        processor: The model's processor, a `LlavaProcessor` or one of its relatives.

    Returns:
        One layout for each picture, in order.
    """
    if config.model_type not in TILED:
        return [Layout(size, base=_tokens(size, processor)) for size in sizes]
    if config.model_type == "llava_onevision" and len(sizes) > 1:
        class_token = int(config.vision_feature_select_strategy == "default")
        return [Layout(size, base=processor.num_image_tokens - class_token, newlines=1) for size in sizes]
    return [_tiled(size, config, processor) for size in sizes]


def _tokens(size: tuple[int, int], processor: Any) -> int:
    width, height = size
    return int(processor._get_num_multimodal_tokens(image_sizes=[(height, width)]).num_image_tokens[0])


def _tiled(size: tuple[int, int], config: Any, processor: Any) -> Layout:
    width, height = size
    side, patch = config.vision_config.image_size, config.vision_config.patch_size
    best_height, best_width = select_best_resolution((height, width), config.image_grid_pinpoints)
    grid = best_height // side, best_width // side
    features, rows = processor._get_unpadded_features(height, width, side // patch, side // patch, *grid)
    return Layout(
        size,
        tiles=1 + grid[0] * grid[1],
        grid=grid,
        base=_tokens(size, processor) - features - rows,
        rows=rows,
        columns=features // rows if rows else 0,
        newlines=rows,
    )
