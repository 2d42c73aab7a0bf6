"""Opens pictures that nobody vouches for.

Covered: files that are no picture or are cut off, and those that claim too many pixels or extreme sides, which is seen
before a pixel is decoded. Formats that Pillow hands to other programs (EPS) are never tried. Not covered: faults in the
decoders themselves.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Sequence

from PIL import Image, ImageOps, UnidentifiedImageError

from sandbox.errors import ImageTooLarge, ImageTooNarrow, NotAnImage, TooManyImages, TruncatedImage

ImageSource = Image.Image | bytes | os.PathLike[str]

# JPEG opens MPO too, the form in which some phones write it.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
MAX_RATIO = 100
"""Longest side over the shortest. CLIP's resize of the shorter side to 336 makes 336 x 33,600 pixels at this limit."""

TOGETHER = 3
"""The pictures of a prompt may have so many times the pixels of the largest one: with the default, ten of a phone."""

ORIENTATION = 0x0112
"""EXIF tag of a picture's orientation."""

_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_DECODING = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def open_images(
    sources: Sequence[ImageSource], *, max_images: int, max_pixels: int, only: Sequence[int] | None = None
) -> list[Image.Image]:
    """Open pictures as upright RGB.

    Args:
        sources: Pillow images, encoded files as bytes, or paths, in the order of the prompt.
        max_images: Most pictures.
        max_pixels: Largest width times height of each; together they may have `TOGETHER` times as many.
        only: Indexes of those that are decoded; None is all.

    Returns:
        As many RGB images as are decoded, turned by their EXIF orientation.

    Raises:
        TooManyImages: There are more than `max_images`.
        ImageTooLarge: Together they have too many pixels.
        BadInput: What `open_image` raises; with several pictures the sentence says which one.
    """
    names = _names(sources)
    images = read_headers(sources, max_images=max_images, max_pixels=max_pixels)
    return [_decoded(images[n], sources[n], names[n]) for n in (range(len(sources)) if only is None else only)]


def read_headers(sources: Sequence[ImageSource], *, max_images: int, max_pixels: int) -> list[Image.Image]:
    """Check number and size of pictures, and return them not yet decoded. Arguments and errors as `open_images`."""
    if len(sources) > max_images:
        raise TooManyImages(
            f"{len(sources)} pictures were given, and at most {max_images} fit one question. "
            f"Remove {len(sources) - max_images}."
        )
    images = [_with_size(source, max_pixels, name) for source, name in zip(sources, _names(sources), strict=True)]
    total = sum(image.width * image.height for image in images)
    if total > TOGETHER * max_pixels:
        raise ImageTooLarge(
            f"These pictures have {total / 1e6:.0f} megapixels together; at most {TOGETHER * max_pixels / 1e6:g} are "
            "accepted. Remove some, or scale them down."
        )
    return images


def content_key(source: ImageSource) -> bytes | None:
    """Return what tells one picture from every other: a digest of the file, or of an open picture's content.

    An open picture is told by mode, size, palette, transparency, EXIF orientation and its bytes: two pictures of
    different shape or palette can have equal bytes. None if it can't be read; opening it then says why.
    """
    try:
        if not isinstance(source, Image.Image):
            data = source if isinstance(source, bytes | bytearray) else _read(source)
            return hashlib.sha256(b"file" + data).digest()
        source.load()
        palette = (source.palette.mode, source.palette.tobytes()) if source.palette else None
        kind = (source.mode, source.size, palette, source.info.get("transparency"), source.getexif().get(ORIENTATION))
        return hashlib.sha256(repr(kind).encode() + source.tobytes()).digest()
    except _DECODING:
        return None


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height once the EXIF orientation is applied, as far as it is known without decoding.

    A PNG may carry its EXIF after the pixels; Pillow would decode them to look, so such a one counts as upright.
    """
    if image.format == "PNG" and "exif" not in image.info:
        return image.size
    try:
        turned = image.getexif().get(ORIENTATION) in (5, 6, 7, 8)  # EXIF 2.32, 4.6.4: these exchange rows and columns
    except _DECODING:
        turned = False
    return (image.height, image.width) if turned else image.size


def _names(sources: Sequence[ImageSource]) -> list[str]:
    return ["This file"] if len(sources) == 1 else [f"Picture {number}" for number in range(1, len(sources) + 1)]


def open_image(source: ImageSource, *, max_pixels: int, name: str = "This file") -> Image.Image:
    """Open one picture as upright RGB.

    Args:
        source: A Pillow image, an encoded file as bytes, or a path.
        max_pixels: Largest width times height, checked on the header.
        name: What the sentences call it.

    Returns:
        RGB, turned by its EXIF orientation; alpha is dropped, not composited, as transformers does.

    Raises:
        NotAnImage: It holds no supported picture format, or can't be read.
        ImageTooLarge: It claims more than `max_pixels`.
        ImageTooNarrow: One side is more than `MAX_RATIO` times the other.
        TruncatedImage: It can't be decoded to its end.
    """
    return _decoded(_with_size(source, max_pixels, name), source, name)


def _with_size(source: ImageSource, max_pixels: int, name: str) -> Image.Image:
    """Return the picture, not yet decoded, if its size is allowed."""
    image = source if isinstance(source, Image.Image) else _read_header(source, max_pixels, name)
    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(name, max_pixels, f"{width:,} x {height:,} pixels")
    if min(width, height) < 1:
        raise NotAnImage(f"{name} is a picture without pixels. Choose another one.")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise ImageTooNarrow(
            f"{name} is {width:,} x {height:,} pixels; its longer side may be at most {MAX_RATIO} times the shorter. "
            "Crop it and add it again."
        )
    return image


def _decoded(image: Image.Image, source: ImageSource, name: str) -> Image.Image:
    """Return the picture decoded, upright and RGB, in as few copies as it takes: each is 4 bytes a pixel."""
    try:
        upright = image.copy() if image is source else image
        ImageOps.exif_transpose(upright, in_place=True)
        return upright if upright.mode == "RGB" else upright.convert("RGB")
    except _DECODING as error:
        raise _truncated(name) from error


def _read_header(source: bytes | os.PathLike[str], max_pixels: int, name: str) -> Image.Image:
    if not isinstance(source, bytes | bytearray | os.PathLike):
        raise NotAnImage(f"{name} is not a picture: nothing was given, or a {type(source).__name__}. Choose a file.")
    try:
        data = source if isinstance(source, bytes | bytearray) else _read(source)
    except OSError as error:
        raise NotAnImage(f"{name} can't be read. Choose it again.") from error
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except _BOMB as error:
        raise _too_large(name, max_pixels, "far too many pixels") from error
    except UnidentifiedImageError as error:
        if data.startswith(_SIGNATURES) or data[4:8] == b"ftyp":
            raise _truncated(name) from error
        raise NotAnImage(
            f"{name} is not a picture that can be opened here. Use PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF."
        ) from error
    except _DECODING as error:
        raise _truncated(name) from error


def _read(path: os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _too_large(name: str, max_pixels: int, found: str) -> ImageTooLarge:
    return ImageTooLarge(
        f"{name} has {found}; at most {max_pixels / 1e6:g} megapixels are accepted. Scale it down and add it again."
    )


def _truncated(name: str) -> TruncatedImage:
    return TruncatedImage(
        f"{name} is cut off or damaged: the picture in it is not complete. Save it again and add it once more."
    )
