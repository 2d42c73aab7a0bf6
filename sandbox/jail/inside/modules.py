"""The modules that a candidate may import: loaded before the door to the disk closes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_ALLOWED = """
    __future__ abc array base64 binascii bisect cmath codecs collections colorsys concurrent contextlib copy dataclasses
    datetime decimal enum fractions functools graphlib hashlib heapq hmac html io itertools json logging math numbers
    numpy operator PIL pprint queue random re secrets statistics string struct sys textwrap threading time traceback
    types typing unicodedata uuid warnings weakref zlib
"""
ALLOWED = tuple(_ALLOWED.split())

SENTENCE = "answer.py may import numpy, PIL and these modules of the standard library: " + ", ".join(
    name for name in ALLOWED if name not in ("numpy", "PIL", "__future__")
)

# What those load only when it is first needed; by then no file can be opened.
_ALSO = """
    collections.abc concurrent.futures concurrent.futures.thread encodings.ascii encodings.latin_1 encodings.utf_16
    encodings.utf_16_le encodings.utf_16_be encodings.utf_32 encodings.utf_8_sig encodings.cp1252 encodings.hex_codec
    encodings.unicode_escape encodings.raw_unicode_escape encodings.idna _strptime linecache inspect tracemalloc
    numpy.char numpy.ctypeslib numpy.dtypes numpy.exceptions numpy.fft numpy.lib.format numpy.lib.stride_tricks
    numpy.lib.recfunctions numpy.linalg numpy.ma numpy.polynomial numpy.random numpy.rec numpy.strings numpy.testing
    numpy.typing
    PIL.Image PIL.ImageChops PIL.ImageCms PIL.ImageColor PIL.ImageDraw PIL.ImageEnhance PIL.ImageFile PIL.ImageFilter
    PIL.ImageFont PIL.ImageMath PIL.ImageMorph PIL.ImageOps PIL.ImagePalette PIL.ImageSequence PIL.ImageStat
    PIL.ImageTransform PIL.ExifTags PIL.TiffTags PIL.JpegPresets PIL.features
"""


class NotThere:
    """Answers an import of what isn't loaded with a sentence instead of a failure to open a file."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Refuse."""
        raise ModuleNotFoundError(f"there is no module {name!r} here. {SENTENCE}.", name=name)


def load() -> None:
    """Import everything that may be imported."""
    for name in (*ALLOWED, *_ALSO.split()):
        importlib.import_module(name)
    from PIL import Image

    Image.init()


def close() -> None:
    """Leave only what is loaded."""
    sys.meta_path[:] = [NotThere]


def importer(
    real: Callable[..., Any],
) -> Callable[[str, Mapping[str, Any] | None, Mapping[str, Any] | None, Sequence[str], int], Any]:
    """Return an `__import__` that tells a candidate what exists. Guidance, not a border."""

    def guided(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        # Names with an underscore are imported by C code (strptime) in the candidate's name.
        if level == 0 and name.split(".")[0] not in ALLOWED and not name.startswith("_"):
            raise ModuleNotFoundError(f"there is no module {name!r} here. {SENTENCE}.", name=name)
        return real(name, globals, locals, fromlist, level)

    return guided
