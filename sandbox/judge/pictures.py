"""Pictures that checks are made on: full of edges, so that a wrong geometry shows, and never the same."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from sandbox.jail import Picture

ORIENTATION = 0x0112


def drawn(numbers: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return an RGB picture of a soft ground with bold shapes on it, no side or corner like another."""
    corners = numbers.integers(0, 256, (3, 3, 3), np.uint8)
    image = Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    for _ in range(14):
        x, y = numbers.uniform(0, width), numbers.uniform(0, height)
        radius_x, radius_y = numbers.uniform(0.03, 0.2, 2) * (width, height) + 1
        color = tuple(int(level) for level in numbers.integers(0, 256, 3))
        shape = pen.ellipse if numbers.random() < 0.5 else pen.rectangle
        shape((x - radius_x, y - radius_y, x + radius_x, y + radius_y), fill=color)
    return image


def encoded(image: Image.Image, format: str = "PNG", *, orientation: int = 1) -> Picture:
    """Return a picture as a file, with an EXIF orientation if it isn't 1."""
    options: dict[str, object] = {"quality": 95} if format == "JPEG" else {}
    if orientation != 1:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    return Picture.of(image, format, **options)


def in_mode(image: Image.Image, mode: str, numbers: np.random.Generator) -> Picture:
    """Return a picture in a mode, as a file of a format that has it. Alpha, where there is one, is not flat."""
    if mode in ("RGBA", "LA"):
        image = image.convert("RGB" if mode == "RGBA" else "L")
        level = numbers.integers(0, 256, (5, 4), np.uint8)
        image.putalpha(Image.fromarray(level).resize(image.size, Image.Resampling.NEAREST))
    elif mode == "P":
        image = image.quantize(64)
    elif mode == "I;16":
        wide = np.asarray(image.convert("L"), np.uint16)
        spots = numbers.random(wide.shape) < 0.02  # a few beyond 255, where Pillow clips
        image = Image.fromarray(np.where(spots, 40_000, wide).astype(np.uint16))
    else:
        image = image.convert(mode)
    return encoded(image, "TIFF" if mode == "CMYK" else "PNG")


def upright(picture: Picture) -> Image.Image:
    """Return what a reference gets: the picture turned by its EXIF orientation, then RGB."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(picture.data))).convert("RGB")
