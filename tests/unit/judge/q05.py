"""Solutions of q05."""

from tests.unit.judge.faults import Fault

RIGHT = """
import numpy as np
from PIL import Image, ImageOps


def preprocess(image, *, size, mean, std, fit):
    image = ImageOps.exif_transpose(image)
    image = image.convert("RGB")
    width, height = image.size
    short, long = min(width, height), max(width, height)
    if fit == "squash":
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    elif fit == "crop":
        side = int(size * long / short)
        new = (size, side) if width <= height else (side, size)
        image = image.resize(new, Image.Resampling.BICUBIC)
        left, top = (new[0] - size) // 2, (new[1] - size) // 2
        image = image.crop((left, top, left + size, top + size))
    elif fit == "pad":
        color = tuple(int(255 * m) for m in mean)
        square = Image.new("RGB", (long, long), color)
        square.paste(image, ((long - width) // 2, (long - height) // 2))
        image = square.resize((size, size), Image.Resampling.BICUBIC)
    else:
        raise ValueError(f"no fit {fit!r}")
    pixels = np.asarray(image, np.float32) / 255
    pixels = (pixels - np.array(mean, np.float32)) / np.array(std, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)


def patchify(pixels, patch):
    channels, height, width = pixels.shape
    if patch < 1 or height % patch or width % patch:
        raise ValueError("these pixels can't be cut")
    grid = pixels.reshape(channels, height // patch, patch, width // patch, patch)
    return grid.transpose(1, 3, 0, 2, 4).reshape(-1, channels * patch * patch)
"""

OTHER_RIGHT = '''
from PIL import Image
import numpy as np

TURNS = {2: [0], 3: [3], 4: [1], 5: [5], 6: [4], 7: [6], 8: [2]}


def upright(image):
    for turn in TURNS.get(image.getexif().get(0x0112, 1), []):
        image = image.transpose(Image.Transpose(turn))
    return image.convert("RGB")


def preprocess(image, *, size, mean, std, fit):
    """Crop and pad by boxes and arrays instead of by Pillow."""
    image = upright(image)
    if fit not in {"squash", "crop", "pad"}:
        raise ValueError(fit)
    if fit == "pad":
        array = np.asarray(image)
        side = max(array.shape[:2])
        square = np.empty((side, side, 3), np.uint8)
        square[:] = [int(255 * m) for m in mean]
        top, left = (side - array.shape[0]) // 2, (side - array.shape[1]) // 2
        square[top:top + array.shape[0], left:left + array.shape[1]] = array
        image = Image.fromarray(square)
    target = (size, size)
    if fit == "crop":
        ratio = max(image.size) / min(image.size)
        target = tuple(size if edge == min(image.size) else int(size * max(image.size) / min(image.size))
                       for edge in image.size)
    resized = np.array(image.resize(target, Image.BICUBIC))
    top, left = (resized.shape[0] - size) // 2, (resized.shape[1] - size) // 2
    resized = resized[top:top + size, left:left + size]
    result = np.empty((3, size, size), np.float32)
    for channel in range(3):
        result[channel] = (resized[:, :, channel] / 255.0 - mean[channel]) / std[channel]
    return result


def patchify(pixels, patch):
    if patch <= 0 or pixels.shape[1] % patch != 0 or pixels.shape[2] % patch != 0:
        raise ValueError("patch")
    rows = []
    for y in range(0, pixels.shape[1], patch):
        for x in range(0, pixels.shape[2], patch):
            rows.append(pixels[:, y:y + patch, x:x + patch].flatten())
    return np.stack(rows)
'''

BICUBIC_SQUARE = '    if fit == "squash":\n        image = image.resize((size, size), Image.Resampling.BICUBIC)'
FAULTS = [
    Fault("EXIF ignored", "    image = ImageOps.exif_transpose(image)\n", "", "EXIF orientation"),
    Fault(
        "turned after the conversion that drops EXIF",
        '    image = ImageOps.exif_transpose(image)\n    image = image.convert("RGB")\n',
        '    image = image.convert("RGB").copy()\n    image.info.clear()\n    image = ImageOps.exif_transpose(image)\n',
        "EXIF orientation",
    ),
    Fault(
        "alpha composited on white",
        '    image = image.convert("RGB")\n',
        '    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), '
        'image.convert("RGBA")).convert("RGB")\n',
        "alpha",
    ),
    Fault(
        "palette taken for gray",
        '    image = image.convert("RGB")\n',
        '    image = Image.fromarray(np.asarray(image)).convert("RGB") if image.mode == "P" else '
        'image.convert("RGB")\n',
        "palette",
    ),
    Fault(
        "16 bits scaled instead of clipped",
        '    image = image.convert("RGB")\n',
        '    if image.mode.startswith("I"):\n'
        "        image = Image.fromarray((np.asarray(image) / 257).astype(np.uint8))\n"
        '    image = image.convert("RGB")\n',
        "16 bit",
    ),
    Fault(
        "CMYK taken for RGBA",
        '    image = image.convert("RGB")\n',
        '    image = Image.frombytes("RGBA", image.size, image.tobytes()) if image.mode == "CMYK" else image\n'
        '    image = image.convert("RGB")\n',
        "CMYK",
    ),
    Fault(
        "gray left as it is",
        '    image = image.convert("RGB")\n',
        '    image = image if image.mode == "L" else image.convert("RGB")\n',
        "gray",
    ),
    Fault("nearest neighbour", BICUBIC_SQUARE, BICUBIC_SQUARE.replace("BICUBIC", "NEAREST"), "squash"),
    Fault("bilinear", BICUBIC_SQUARE, BICUBIC_SQUARE.replace("BICUBIC", "BILINEAR"), "squash"),
    Fault(
        "blue first", "np.asarray(image, np.float32) / 255", "np.asarray(image, np.float32)[..., ::-1] / 255", "squash"
    ),
    Fault("not divided by 255", "np.asarray(image, np.float32) / 255", "np.asarray(image, np.float32)", "squash"),
    Fault("mean not subtracted", "(pixels - np.array(mean, np.float32))", "pixels", "squash"),
    Fault("divided by the variance", "np.array(std, np.float32)", "np.array(std, np.float32) ** 2", "squash"),
    Fault(
        "CLIP's own mean and std",
        "(pixels - np.array(mean, np.float32)) / np.array(std, np.float32)",
        "(pixels - np.float32([0.4815, 0.4578, 0.4082])) / np.float32([0.2686, 0.2613, 0.2758])",
        "squash",
    ),
    Fault("channels last", "np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)", "pixels", "form"),
    Fault(
        "a view that isn't contiguous",
        "np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)",
        "pixels.transpose(2, 0, 1)",
        "form",
    ),
    Fault("float64", "pixels.transpose(2, 0, 1), np.float32", "pixels.transpose(2, 0, 1), np.float64", "form"),
    Fault("rows and columns exchanged", "pixels.transpose(2, 0, 1), ", "pixels.transpose(2, 1, 0), ", "crop"),
    Fault(
        "cropped at the corner", "left, top = (new[0] - size) // 2, (new[1] - size) // 2", "left, top = 0, 0", "crop"
    ),
    Fault("cropped two pixels off", "left, top = (new[0] - size) // 2", "left, top = (new[0] - size) // 2 + 2", "crop"),
    Fault(
        "the longer edge resized to size",
        "new = (size, side) if width <= height else (side, size)",
        "new = (size, side) if width > height else (side, size)",
        "crop",
    ),
    Fault("padded black", "tuple(int(255 * m) for m in mean)", "(0, 0, 0)", "pad"),
    Fault("padded at the corner", "((long - width) // 2, (long - height) // 2)", "(0, 0)", "pad"),
    Fault("any fit is padded", 'elif fit == "pad":', "elif True:", "unknown fit"),
    Fault("fails on one row", "    color = tuple(", "    assert height > 1\n        color = tuple(", "extreme ratios"),
    Fault("patches by columns", "grid.transpose(1, 3, 0, 2, 4)", "grid.transpose(3, 1, 0, 2, 4)", "patches"),
    Fault("patches channel last", "grid.transpose(1, 3, 0, 2, 4)", "grid.transpose(1, 3, 2, 4, 0)", "patches"),
    Fault("square patches assumed", "width // patch, patch)\n", "height // patch, patch)\n", "patches"),
    Fault(
        "patches as float32", "channels * patch * patch)\n", "channels * patch * patch).astype(np.float32)\n", "patches"
    ),
    Fault(
        "the rest cut off",
        "    if patch < 1 or height % patch or width % patch:",
        "    if patch > 0:\n"
        "        pixels = pixels[:, : height - height % patch, : width - width % patch]\n"
        "    if patch < 1:",
        "what can't be cut",
    ),
    Fault("patch of 0", "if patch < 1 or height", "if height", "what can't be cut"),
    Fault(
        "pixels changed in place",
        "    grid = pixels.reshape(",
        "    pixels *= 1\n    pixels += 1\n    grid = pixels.reshape(",
        "arguments",
    ),
]
