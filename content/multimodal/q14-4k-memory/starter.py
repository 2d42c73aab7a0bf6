import io
from collections.abc import Callable

import numpy as np
from PIL import Image


def load_bounded(data: bytes, *, max_pixels: int, max_side: int) -> Image.Image:
    """Return the picture as RGB with its longer side at most `max_side`; as it stands, it decodes anything whole."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.thumbnail((max_side, max_side))
    return image


def encode_tiled(
    image: Image.Image,
    encode: Callable[[list[Image.Image]], np.ndarray],
    *,
    tile: int,
    max_tiles: int,
    batch: int,
) -> np.ndarray:
    """Return features of the overview and of each tile, (1 + tiles, tokens, d); as it stands, of the overview only."""
    return encode([image.resize((tile, tile))])
