"""Solutions of q14."""

from tests.unit.judge.faults import Fault

RIGHT = """
import io
import math

import numpy as np
from PIL import Image, ImageOps

TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}


def load_bounded(data, *, max_pixels, max_side):
    try:
        image = Image.open(io.BytesIO(data))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("no image, or a bomb") from error
    if image.width * image.height > max_pixels:
        raise ValueError("too many pixels")
    try:
        image.draft("RGB", (max_side, max_side))
        image.load()
        turn = TURNS.get(image.getexif().get(0x0112))
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError("truncated") from error
    if image.mode != "RGB":
        image = image.convert("RGB")
    scale = max_side / max(image.size)
    if scale < 1:
        size = [max(1, round(edge * scale)) for edge in image.size]
        image = image.resize(size, Image.Resampling.BICUBIC)
    return image if turn is None else image.transpose(Image.Transpose(turn))


def best_grid(width, height, tile, max_tiles):
    best = None
    for rows in range(1, max_tiles + 1):
        for columns in range(1, max_tiles // rows + 1):
            scale = min(columns * tile / width, rows * tile / height)
            effective = min(int(width * scale) * int(height * scale), width * height)
            wasted = rows * columns * tile * tile - effective
            if best is None or (-effective, wasted) < best[0]:
                best = ((-effective, wasted), rows, columns)
    return best[1:]


def encode_tiled(image, encode, *, tile, max_tiles, batch):
    image = ImageOps.exif_transpose(image).convert("RGB")
    rows, columns = best_grid(*image.size, tile, max_tiles)
    width, height = columns * tile, rows * tile
    across, down = width / image.width, height / image.height
    if across < down:
        size = (width, min(math.ceil(image.height * across), height))
    else:
        size = (min(math.ceil(image.width * down), width), height)
    canvas = Image.new("RGB", (width, height))
    canvas.paste(image.resize(size, Image.Resampling.BICUBIC), ((width - size[0]) // 2, (height - size[1]) // 2))
    tiles = [image.resize((tile, tile), Image.Resampling.BICUBIC)]
    for row in range(rows):
        for column in range(columns):
            left, top = column * tile, row * tile
            tiles.append(canvas.crop((left, top, left + tile, top + tile)))
    parts = [encode(tiles[start : start + batch]) for start in range(0, len(tiles), batch)]
    return np.concatenate(parts)
"""

OTHER_RIGHT = '''
from io import BytesIO

import numpy
from PIL import Image, ImageOps
from PIL.Image import Resampling


def load_bounded(data: bytes, *, max_pixels: int, max_side: int) -> Image.Image:
    """Every error of Pillow's is a ValueError; thumbnail does the reduction."""
    try:
        with Image.open(BytesIO(data)) as image:
            if image.size[0] * image.size[1] > max_pixels:
                raise ValueError(f"{image.size} is more than {max_pixels} pixels")
            if image.mode in ("RGB", "L"):
                image.thumbnail((max_side, max_side), Resampling.LANCZOS, reducing_gap=3.0)
            else:
                ImageOps.exif_transpose(image, in_place=True)
                image = image.convert("RGB")
                image.thumbnail((max_side, max_side), Resampling.LANCZOS)
            image = ImageOps.exif_transpose(image)
            return image.convert("RGB")
    except ValueError:
        raise
    except Exception as problem:
        raise ValueError(str(problem)) from problem


def encode_tiled(image, encode, *, tile, max_tiles, batch):
    """With arrays."""
    rgb = image.convert("RGB")
    w, h = rgb.size
    options = []
    for r in range(1, max_tiles + 1):
        for c in range(1, max_tiles + 1):
            if r * c <= max_tiles:
                s = min(c * tile / w, r * tile / h)
                used = min(int(w * s) * int(h * s), w * h)
                options.append((used, used - r * c * tile * tile, -r, -c))
    _, _, r, c = max(options)
    r, c = -r, -c
    W, H = c * tile, r * tile
    if W / w < H / h:
        fitted = rgb.resize((W, min(-int(-(h * (W / w)) // 1), H)), Resampling.BICUBIC)
    else:
        fitted = rgb.resize((min(-int(-(w * (H / h)) // 1), W), H), Resampling.BICUBIC)
    canvas = numpy.zeros((H, W, 3), numpy.uint8)
    x, y = (W - fitted.width) // 2, (H - fitted.height) // 2
    canvas[y:y + fitted.height, x:x + fitted.width] = numpy.asarray(fitted)
    blocks = canvas.reshape(r, tile, c, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)
    waiting = [rgb.resize((tile, tile), Resampling.BICUBIC)] + [Image.fromarray(b) for b in blocks]
    found = []
    while waiting:
        found.extend(encode(waiting[:batch]))
        del waiting[:batch]
    return numpy.stack(found)
'''

_CATCH = "    except (OSError, SyntaxError, Image.DecompressionBombError) as error:\n"
_PIXELS = '    if image.width * image.height > max_pixels:\n        raise ValueError("too many pixels")\n'
FAULTS = [
    Fault(
        "nearest neighbour",
        "        image = image.resize(size, Image.Resampling.BICUBIC)\n",
        "        image = image.resize(size, Image.Resampling.NEAREST)\n",
        "scaled down",
    ),
    Fault(
        "squashed to a square",
        "size = [max(1, round(edge * scale)) for edge in image.size]",
        "size = (max_side, max_side)",
        "scaled down",
    ),
    Fault(
        "the shorter side bounded",
        "scale = max_side / max(image.size)",
        "scale = max_side / min(image.size)",
        "scaled down",
    ),
    Fault("scaled up", "    if scale < 1:\n", "    if scale:\n", "never scaled up"),
    Fault("gray left gray", '    if image.mode != "RGB":\n', '    if image.mode not in ("RGB", "L"):\n', "modes"),
    Fault(
        "EXIF ignored",
        "return image if turn is None else image.transpose(Image.Transpose(turn))",
        "return image",
        "EXIF orientation",
    ),
    Fault("6 and 8 exchanged", "6: 4, 7: 6, 8: 2}", "6: 2, 7: 5, 8: 4}", "EXIF orientation"),
    Fault("one pixel too many", "> max_pixels:\n", "> max_pixels + 1:\n", "too many pixels"),
    Fault("the limit excluded", "> max_pixels:\n", ">= max_pixels:\n", "exactly max_pixels"),
    Fault(
        "Pillow's bomb passed on",
        "    except (OSError, SyntaxError, Image.DecompressionBombError)",
        "    except (OSError, SyntaxError)",
        "too many pixels",
    ),
    Fault("decoded before checking", _PIXELS, "    image.load()\n" + _PIXELS, "before decoding"),
    Fault(
        "bytes counted instead of pixels",
        "if image.width * image.height > max_pixels:",
        "if len(data) > max_pixels:",
        "too many pixels",
    ),
    Fault(
        "UnidentifiedImageError passed on", _CATCH, "    except Image.DecompressionBombError as error:\n", "no image"
    ),
    Fault(
        "truncated files allowed",
        "TURNS = {",
        "from PIL import ImageFile\nImageFile.LOAD_TRUNCATED_IMAGES = True\nTURNS = {",
        "truncated",
    ),
    Fault(
        "OSError for truncated",
        "    except (OSError, SyntaxError, EOFError) as error:\n",
        "    except EOFError as error:\n",
        "truncated",
    ),
    Fault("no draft", '        image.draft("RGB", (max_side, max_side))\n', "", "JPEG memory"),
    Fault(
        "as a float array",
        "    scale = max_side / max(image.size)\n",
        "    pixels = np.asarray(image, np.float32)\n    scale = max_side / max(image.size)\n",
        "PNG memory",
    ),
    Fault(
        "all tiles at once",
        "range(0, len(tiles), batch)]",
        "range(0, len(tiles), 10**6)]\n    parts = [encode(tiles)]",
        "encode's calls",
    ),
    Fault("one more than batch", "tiles[start : start + batch]", "tiles[start : start + batch + 1]", "encode's calls"),
    Fault(
        "arrays instead of pictures",
        "encode(tiles[start : start + batch])",
        "encode([np.asarray(t) for t in tiles[start : start + batch]])",
        "encode's calls",
    ),
    Fault(
        "no overview",
        "    tiles = [image.resize((tile, tile), Image.Resampling.BICUBIC)]\n",
        "    tiles = []\n",
        "grid",
    ),
    Fault(
        "the overview last", "    parts = [encode", "    tiles = tiles[1:] + tiles[:1]\n    parts = [encode", "overview"
    ),
    Fault(
        "the overview fitted, not squashed",
        "tiles = [image.resize((tile, tile), Image.Resampling.BICUBIC)]",
        "tiles = [ImageOps.pad(image, (tile, tile), Image.Resampling.BICUBIC)]",
        "overview",
    ),
    Fault("the squarest grid", "(-effective, wasted) < best[0]", "(abs(rows - columns), wasted) < best[0]", "grid"),
    Fault("least waste first", "(-effective, wasted) < best[0]", "(wasted, -effective) < best[0]", "grid"),
    Fault(
        "column by column",
        "    for row in range(rows):\n        for column in range(columns):\n",
        "    for column in range(columns):\n        for row in range(rows):\n",
        "tiles",
    ),
    Fault("pasted at the corner", "((width - size[0]) // 2, (height - size[1]) // 2)", "(0, 0)", "tiles"),
    Fault(
        "stretched over the grid",
        "    canvas.paste(image.resize(size, ",
        "    size = (width, height)\n    canvas.paste(image.resize(size, ",
        "tiles",
    ),
    Fault("white padding", 'Image.new("RGB", (width, height))', 'Image.new("RGB", (width, height), "white")', "tiles"),
    Fault(
        "bilinear tiles",
        "canvas.paste(image.resize(size, Image.Resampling.BICUBIC)",
        "canvas.paste(image.resize(size, Image.Resampling.BILINEAR)",
        "tiles",
    ),
]
