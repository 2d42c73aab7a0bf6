import numpy as np
from PIL import Image, ImageOps


def preprocess(
    image: Image.Image, *, size: int, mean: tuple[float, ...], std: tuple[float, ...], fit: str
) -> np.ndarray:
    """Return the picture as the encoder wants it: float32, shape (3, size, size), normalised."""
    raise NotImplementedError("orientation, RGB, fit, resize, divide by 255, normalise, channels first")


def patchify(pixels: np.ndarray, patch: int) -> np.ndarray:
    """Return the patches of (3, H, W) pixels, row-major, as (number of patches, 3 * patch * patch)."""
    raise NotImplementedError("cut without overlap, flatten channel first")
