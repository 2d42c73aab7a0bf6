"""Opens the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from sandbox.errors import StageFailed
from sandbox.images import ImageSource, open_images, read_headers
from sandbox.settings import SandboxSettings


def open_sources(
    images: Sequence[ImageSource], settings: SandboxSettings, only: Sequence[int] | None = None
) -> list[Image.Image]:
    """Return every picture as upright RGB.

    Args:
        images: Pillow images, encoded files as bytes, or paths.
        settings: The limits on number and size.
        only: Indexes of those that are opened; None is all.

    Raises:
        BadInput: A picture can't be opened or is too large, or there are too many.
    """
    return open_images(images, max_images=settings.max_images, max_pixels=settings.max_image_pixels, only=only)


def read_sources(images: Sequence[ImageSource], settings: SandboxSettings) -> list[Image.Image]:
    """Return every picture not yet decoded, checked by its header; arguments and errors as `open_sources`."""
    return read_headers(images, max_images=settings.max_images, max_pixels=settings.max_image_pixels)


def accept(value: Any, count: int) -> list[Image.Image]:
    """Check what a function in this stage's place returned: a list of `count` RGB images."""
    if not isinstance(value, list) or len(value) != count:
        raise StageFailed(f"'open' must return a list of {count} pictures.")
    for image in value:
        if not isinstance(image, Image.Image) or image.mode != "RGB":
            raise StageFailed("'open' must return Pillow images in mode RGB.")
    return value
