import numpy as np
from PIL import Image


def preprocess(
    image: Image.Image, *, size: int, mean: tuple[float, ...], std: tuple[float, ...], fit: str
) -> np.ndarray:
    """Return the picture as the encoder wants it: float32, shape (3, size, size), normalised."""
    # a beginning: squashed to the square and scaled to 0..1; orientation, the other fits and normalising are yours
    resized = image.convert("RGB").resize((size, size))
    return np.asarray(resized, np.float32).transpose(2, 0, 1) / 255


def patchify(pixels: np.ndarray, patch: int) -> np.ndarray:
    """Return the patches of (3, H, W) pixels, row-major, as (number of patches, 3 * patch * patch)."""
    # a beginning: the first patch alone; the others and what can't be cut are yours
    return pixels[:, :patch, :patch].reshape(1, -1)
