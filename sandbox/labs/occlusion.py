"""Which parts of a picture an answer hangs on: hide one block of patches after the other, and score the answer again.

The hidden block gets the vision tower's mean color (0 after normalization), and the answer's tokens are scored, not
generated: one pass tells how much less likely the answer is, and whether the model would still give it. After Zeiler
and Fergus, Visualizing and Understanding Convolutional Networks, 2013 (section 4.2), for a model that answers in text.
What is hidden together is judged together: two copies of one thing can hide each other's part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sandbox.errors import BadOption
from sandbox.request import Request
from sandbox.trace import Trace

if TYPE_CHECKING:
    from sandbox.engine import Engine

TOGETHER = 8
"""Blocks scored in one batch; between batches others get their turn, and the map can be stopped."""


@dataclass(frozen=True)
class OcclusionMap:
    """How far a map is. Rows and columns are blocks of the patch grid."""

    log_probability: float
    """Of the answer with nothing hidden."""
    drops: np.ndarray
    """float (R, C): how much of it each block costs; negative where hiding helps, NaN where not yet known."""
    changes: np.ndarray
    """bool (R, C): whether the model then prefers another answer."""
    block: int
    """Side of a block, in patches."""

    @property
    def done(self) -> int:
        """Blocks that are known."""
        return int(np.isfinite(self.drops).sum())

    @property
    def count(self) -> int:
        """All blocks."""
        return int(self.drops.size)


def occlude(
    engine: Engine, request: Request, trace: Trace, tokens: Sequence[int], *, blocks: int = 8, image: int = 0
) -> Iterator[OcclusionMap]:
    """Map an answer; closing the iterator stops after the batch in hand.

    Args:
        engine: The engine.
        request: What was asked.
        trace: Of the answer; its pixels are what is hidden from.
        tokens: The answer's tokens.
        blocks: Blocks along the patch grid's longer side at most.
        image: Which picture.

    Yields:
        The map with nothing known, then after each batch.

    Raises:
        IndexError: There is no such picture.
        BadOption: The model cuts pictures into tiles.
        BadInput: As `Engine.score`.
    """
    if trace.pixels is None or trace.patch_grid is None or not 0 <= image < len(trace.pixels):
        raise IndexError(image)
    if any(tiles > 1 for tiles in trace.tiles):
        raise BadOption(
            "This model cuts a picture into tiles; the map is drawn where it sees one square. Choose another."
        )
    rows, columns = trace.patch_grid
    patch = trace.pixels.shape[2] // rows
    block = math.ceil(max(rows, columns) / blocks)
    shape = (math.ceil(rows / block), math.ceil(columns / block))
    places = list(np.ndindex(shape))
    whole = engine.score([seen(request, trace.pixels)], tokens)[0]
    drops, changes = np.full(shape, np.nan), np.zeros(shape, bool)
    yield OcclusionMap(whole.total, drops.copy(), changes.copy(), block)
    for start in range(0, len(places), TOGETHER):
        batch = places[start : start + TOGETHER]
        hidden = [seen(request, hide(trace.pixels, image, place, block * patch)) for place in batch]
        for place, score in zip(batch, engine.score(hidden, tokens), strict=True):
            drops[place] = whole.total - score.total
            changes[place] = score.likeliest != whole.likeliest
        yield OcclusionMap(whole.total, drops.copy(), changes.copy(), block)


def hide(pixels: np.ndarray, image: int, place: tuple[int, ...], side: int) -> np.ndarray:
    """Return the pixels, float32 (N, 3, H, W), with a square of one picture at 0; `place` counts squares."""
    hidden = pixels.copy()
    row, column = (side * index for index in place)
    hidden[image, :, row : row + side, column : column + side] = 0.0
    return hidden


def seen(request: Request, pixels: np.ndarray) -> Request:
    """Return the request with these pixels in place of what `preprocess` gives; its pictures aren't opened again."""

    def given(_: Any) -> np.ndarray:
        return pixels

    stages: dict[str, Callable[..., Any]] = {**request.replace, "preprocess": given}
    stages.pop("open", None)
    return replace(request, images=[Image.new("RGB", (1, 1))] * len(pixels), replace=stages)
