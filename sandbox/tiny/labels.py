"""What a patch of the picture must tell: the supervision of the vision tower.

The language model can only answer what it can read from patch features. Each patch is therefore trained, by linear
heads that are thrown away afterwards, to tell what lies centred in it and how that stands to the whole picture: the
rank in reading order, and how many objects share the colour or the shape, are what captions and counts need.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from sandbox.tiny.scene import ALPHABET, BACKGROUNDS, COLORS, MOST_OBJECTS, PICTURE_SIZE, SHAPES, SIZES, Scene

PATCH = 14
GRID = PICTURE_SIZE // PATCH

PATCH_CLASSES: dict[str, int] = {
    "shape": 1 + len(SHAPES),
    "color": 1 + len(COLORS),
    "size": 1 + len(SIZES),
    "cell": 10,
    "rank": 1 + MOST_OBJECTS,
    "same_color": 1 + MOST_OBJECTS,
    "same_shape": 1 + MOST_OBJECTS,
    "character": 1 + len(ALPHABET),
    "character_index": 6,
}
"""Classes of each head at a patch; class 0 is "nothing is centred here"."""

PICTURE_CLASSES: dict[str, int] = {"count": 1 + MOST_OBJECTS, "background": len(BACKGROUNDS), "text_length": 6}
"""Classes that every patch must tell about the whole picture."""

_SHAPE = {name: 1 + index for index, name in enumerate(SHAPES)}
_COLOR = {name: 1 + index for index, name in enumerate(COLORS)}
_SIZE = {name: 1 + index for index, name in enumerate(SIZES)}
_CHARACTER = {name: 1 + index for index, name in enumerate(ALPHABET)}
_BACKGROUND = {name: index for index, name in enumerate(BACKGROUNDS)}


def patch_of(x: float, y: float) -> int:
    """Index of the patch at a point in pixels, row by row."""
    return min(GRID - 1, int(y // PATCH)) * GRID + min(GRID - 1, int(x // PATCH))


def dense_labels(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of one scene.

    Returns:
        Classes per patch, int64 of shape (9, 64); classes of the picture, int64 of shape (3,); offsets of the centre in
        each patch, float32 of shape (64, 2) in patches from the patch's middle (zero where nothing is centred).
    """
    patches = np.zeros((len(PATCH_CLASSES), GRID * GRID), np.int64)
    offsets = np.zeros((GRID * GRID, 2), np.float32)
    colors = Counter(thing.color for thing in scene.objects)
    shapes = Counter(thing.shape for thing in scene.objects)
    for rank, thing in enumerate(scene.objects):
        patch = patch_of(thing.x, thing.y)
        patches[:7, patch] = (
            _SHAPE[thing.shape],
            _COLOR[thing.color],
            _SIZE[thing.size],
            1 + thing.cell,
            1 + rank,
            colors[thing.color],
            shapes[thing.shape],
        )
        offsets[patch] = thing.x / PATCH % 1 - 0.5, thing.y / PATCH % 1 - 0.5
    length = 0
    if scene.text is not None:
        length = len(scene.text.characters)
        for index, (character, (x, y)) in enumerate(zip(scene.text.characters, scene.text.centers, strict=True)):
            patches[7:, patch_of(x, y)] = _CHARACTER[character], 1 + index
    picture = np.array((len(scene.objects), _BACKGROUND[scene.background], length), np.int64)
    return patches, picture, offsets
