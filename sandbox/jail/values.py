"""What only the host knows how to send and take: pictures and callbacks."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from sandbox.jail.inside import wire

# Bits of a pixel by Pillow's mode; rows of mode 1 are padded to whole bytes.
_BITS = {"1": 1, "L": 8, "P": 8, "LA": 16, "PA": 16, "I;16": 16, "RGB": 24, "YCbCr": 24, "HSV": 24, "LAB": 24}
_BITS |= {"RGBA": 32, "RGBX": 32, "RGBa": 32, "La": 16, "CMYK": 32, "I": 32, "F": 32}

MAX_PIXELS = 1 << 26
"""Of a picture that comes back: Pillow takes up to 32 times the memory of the bytes that arrive."""


@dataclass(frozen=True)
class Picture:
    """A picture that crosses the border.

    Given as an argument it is an encoded file (`Picture(data)`), which arrives as the PIL image that `Image.open`
    gives. A PIL image that comes back has no file; it is raw pixels, and `data` is ''.
    """

    data: bytes
    _raw: Image.Image | None = None

    @classmethod
    def of(cls, image: Image.Image, format: str = "PNG", **options: Any) -> Picture:
        """Return an image as a file."""
        file = io.BytesIO()
        image.save(file, format, **options)
        return cls(file.getvalue())

    @classmethod
    def from_raw(cls, mode: object, width: object, height: object, pixels: bytes, palette: bytes) -> Picture:
        """Return a picture of raw pixels; wire.Malformed unless mode, sides and lengths agree."""
        if type(mode) is not str or mode not in _BITS:
            raise wire.Malformed("a picture of an unknown mode")
        if type(width) is not int or type(height) is not int:
            raise wire.Malformed("a picture without sides")
        if not (0 < width <= wire.MAX_SIDE and 0 < height <= wire.MAX_SIDE and width * height <= MAX_PIXELS):
            raise wire.Malformed("a picture of impossible sides")
        if len(pixels) != (width * _BITS[mode] + 7) // 8 * height:
            raise wire.Malformed("a picture whose pixels don't fill it")
        if palette and (mode not in ("P", "PA") or len(palette) % 3 or len(palette) > 768):
            raise wire.Malformed("a palette that is none")
        image = Image.frombytes(mode, (width, height), pixels)
        if palette:
            image.putpalette(palette, "RGB")
        return cls(b"", image)

    def image(self) -> Image.Image:
        """Return it as a PIL image."""
        return self._raw.copy() if self._raw is not None else Image.open(io.BytesIO(self.data))


@dataclass
class Callback:
    """A function of the host's that the candidate's code may call.

    It runs in the thread that made the call, on decoded arguments (images as `Picture`); its result goes back. What it
    raises is raised inside as well, as the built-in error of the same name or else RuntimeError.

    Attributes:
        function: What to run. Several threads at once where several calls are under way.
        max_calls: More calls than this raise RuntimeError inside and don't reach the function.
        calls: (arguments, keyword arguments) of every call that reached it, in order of arrival.
    """

    function: Callable[..., Any]
    max_calls: int = 10_000
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
