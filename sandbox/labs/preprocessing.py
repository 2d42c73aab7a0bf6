"""Other ways to turn a picture into what the vision tower takes: resolution, fit and normalization, one by one.

Written in Pillow and numpy, so that each choice can be read; tests hold them against transformers' image processors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from sandbox.errors import BadOption

Fit = Literal["crop", "squash", "pad"]
Normalization = Literal["clip", "imagenet", "half", "none"]
FITS: tuple[Fit, ...] = get_args(Fit)
NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)

MEANS_AND_STDS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    # transformers.image_utils: OPENAI_CLIP_*, IMAGENET_DEFAULT_*, IMAGENET_STANDARD_* (SigLIP's)
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""Mean and standard deviation of each channel, for values from 0 to 1."""

LARGEST_SIDE = 1344


def own_fit(processor: Any) -> Fit:
    """Return how a checkpoint's image processor fits a picture into its square."""
    if getattr(processor, "do_pad", False):
        return "pad"
    return "crop" if processor.do_center_crop else "squash"


def own_side(processor: Any) -> int:
    """Return the side of the square, in pixels, that a checkpoint's image processor makes."""
    size = processor.crop_size if processor.do_center_crop else processor.size
    return int(size["height"])


def own_mean_and_std(processor: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return a checkpoint's mean and standard deviation of each channel."""
    return tuple(processor.image_mean), tuple(processor.image_std)


def preprocessing(
    side: int,
    fit: Fit,
    mean_and_std: tuple[Sequence[float], Sequence[float]],
    *,
    resample: int = Image.Resampling.BICUBIC,
) -> Callable[[list[Image.Image]], np.ndarray]:
    """Return a function for the place of the stage `preprocess`.

    Args:
        side: Side of the square that it gives, in pixels; 1 to `LARGEST_SIDE`.
        fit: `crop` resizes the shorter side and cuts the middle out, `squash` forgets the proportions, `pad` first
            fills up to a square with the mean color (LLaVA-1.5's own way).
        mean_and_std: Of each channel, for values from 0 to 1: the result is (value - mean) / std.
        resample: Pillow's filter.

    Returns:
        A function from N RGB images to float32 (N, 3, side, side).

    Raises:
        BadOption: The side is out of range.
    """
    if not 1 <= side <= LARGEST_SIDE:
        raise BadOption(f"A picture's side is 1 to {LARGEST_SIDE} pixels; {side} was given.")
    mean, std = (np.asarray(values, np.float32) for values in mean_and_std)
    filler = tuple(int(255 * level) for level in mean_and_std[0])
    fitted = {
        "crop": lambda image: crop(image, side, resample),
        "squash": lambda image: image.resize((side, side), resample),
        "pad": lambda image: pad(image, filler).resize((side, side), resample),
    }[fit]

    def preprocess(images: list[Image.Image]) -> np.ndarray:
        pixels = np.stack([np.asarray(fitted(image), np.float32) for image in images]) / 255
        return np.ascontiguousarray(((pixels - mean) / std).transpose(0, 3, 1, 2), np.float32)

    return preprocess


def crop(image: Image.Image, side: int, resample: int = Image.Resampling.BICUBIC) -> Image.Image:
    """Return the middle of the picture, its shorter side resized to `side`."""
    short = min(image.size)
    width, height = (int(side * length / short) if length != short else side for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((width, height), resample).crop((left, top, left + side, top + side))


def pad(image: Image.Image, color: tuple[int, ...]) -> Image.Image:
    """Return the picture in the middle of the smallest square that holds it."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), color)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
