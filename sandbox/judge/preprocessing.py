"""q05: `preprocess` and `patchify`, against transformers' processors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from sandbox.jail import Picture
from sandbox.judge import live
from sandbox.judge.arrays import difference, expect_array, expect_contiguous
from sandbox.judge.bench import ARGUMENTS, Bad, Bench, Exercise, Probe, Wrong
from sandbox.judge.pictures import drawn, encoded, in_mode, upright

MEAN_ERROR, MAX_ERROR = 0.02, 0.15
"""In normalised units; room for another resampling path, not for another geometry."""
FITS = ("squash", "crop", "pad")
QUESTIONS = 48


@dataclass(frozen=True)
class Settings:
    """How a picture is to be prepared."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def drawn(cls, numbers: np.random.Generator) -> Settings:
        """Draw a size, means and deviations that are far apart between channels."""
        mean = tuple(float(level) for level in numbers.permutation([0.33, 0.45, 0.57]) + numbers.uniform(-0.04, 0.04))
        std = tuple(float(level) for level in numbers.permutation([0.21, 0.27, 0.34]) + numbers.uniform(-0.02, 0.02))
        return cls(int(numbers.integers(90, 190)), mean, std)  # type: ignore[arg-type]

    @property
    def keywords(self) -> dict[str, Any]:
        """As keyword arguments."""
        return {"size": self.size, "mean": self.mean, "std": self.std}


def reference(image: Image.Image, settings: Settings, fit: str) -> np.ndarray:
    """Return what transformers makes of an upright RGB picture, float32 (3, size, size)."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    side = settings.size
    square = {"height": side, "width": side}
    means: dict[str, Any] = {"image_mean": settings.mean, "image_std": settings.std}
    if fit == "crop":
        processor = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=square, **means)
    elif fit == "pad":
        processor = LlavaImageProcessorPil(do_pad=True, size=square, do_center_crop=False, **means)
    else:
        processor = CLIPImageProcessorPil(size=square, do_center_crop=False, **means)
    pixels: np.ndarray = processor(images=image, return_tensors="np")["pixel_values"][0]
    return pixels


def compare(bench: Bench, picture: Picture, settings: Settings, fit: str, what: str) -> float:
    """Return the mean error on one picture; `Wrong` if it is too large or the form isn't right."""
    image = upright(picture)
    where = f"{what}, {image.width} x {image.height}, fit={fit!r}, size={settings.size}"
    result = bench.call("preprocess", picture, **settings.keywords, fit=fit)
    got = expect_array(result.value, f"The result on {where}", None, (3, settings.size, settings.size))
    if got.dtype.kind not in "fiu":
        raise Wrong(f"The result on {where} should be float32; it is {got.dtype}.")
    expected = reference(image, settings, fit)
    off = np.abs(got.astype(np.float64) - expected)
    if off.mean() > MEAN_ERROR or off.max() > MAX_ERROR:
        raise Wrong(
            f"On {where}: the mean error is {off.mean():.3f} (at most {MEAN_ERROR}) and the largest {off.max():.2f} "
            f"(at most {MAX_ERROR}), in normalised units.{likely(got, image, settings, fit)}",
            difference(expected.transpose(1, 2, 0), got.astype(np.float64).transpose(1, 2, 0)),
        )
    return float(off.mean())


def likely(got: np.ndarray, image: Image.Image, settings: Settings, fit: str) -> str:
    """Return what it would match instead, as a sentence, or ''."""
    expected = reference(image, settings, fit)
    mean, std = (np.reshape(each, (3, 1, 1)) for each in (settings.mean, settings.std))
    bare = expected * std + mean
    backwards = Settings(settings.size, settings.mean[::-1], settings.std[::-1])
    others = {
        "the channels in the order blue, green, red": reference(image, backwards, fit)[::-1],
        "the channels swapped after normalising": expected[::-1],
        "rows and columns exchanged": expected.transpose(0, 2, 1),
        "values of 0 to 1, not normalised": bare,
        "values of 0 to 255": bare * 255,
        "a result that lacks the division by std": bare - mean,
        "a result that lacks the division by 255": (bare * 255 - mean) / std,
        "a result that lacks the mean": bare / std,
        **{f"fit={other!r}": reference(image, settings, other) for other in FITS if other != fit},
        "a black border": reference(_on_square(image, (0, 0, 0)), settings, "squash"),
        "a picture in the corner of the square": reference(_on_square(image, settings.mean, 0.0), settings, "squash"),
    }
    for what, other in others.items():
        off = np.abs(got - other)
        if off.mean() <= MEAN_ERROR / 2 and off.max() <= MAX_ERROR:
            return f" It matches {what}."
    return ""


def _on_square(image: Image.Image, color: Sequence[float], place: float = 0.5) -> Image.Image:
    side = max(image.size)
    square = Image.new("RGB", (side, side), tuple(int(255 * level) for level in color))
    square.paste(image, (int((side - image.width) * place), int((side - image.height) * place)))
    return square


def form(bench: Bench) -> str:
    """Dtype, shape and layout."""
    numbers = bench.numbers("form")
    for fit in FITS:
        settings = Settings.drawn(numbers)
        width, height = (int(side) for side in numbers.integers(60, 400, 2))
        name = f"The result on {width} x {height}, fit={fit!r}, size={settings.size}"
        result = bench.call("preprocess", encoded(drawn(numbers, width, height)), **settings.keywords, fit=fit)
        expect_array(result.value, name, "float32", (3, settings.size, settings.size))
        expect_contiguous(result, name)
    return "float32, (3, size, size), C-contiguous with every fit."


def fitted(fit: str) -> Any:
    """Return the check of one fit on pictures of odd sizes."""

    def check(bench: Bench) -> str:
        numbers = bench.numbers(fit)
        errors = []
        for wide in (True, False, numbers.random() < 0.5):
            short, long = (int(side) for side in sorted(numbers.choice(np.arange(101, 640, 2), 2, replace=False)))
            size = (long, short) if wide else (short, long)
            errors.append(compare(bench, encoded(drawn(numbers, *size)), Settings.drawn(numbers), fit, "a picture"))
        return f"Mean error {max(errors):.4f} at worst on {len(errors)} pictures (at most {MEAN_ERROR})."

    return check


def extremes(bench: Bench) -> str:
    """Ratios of up to 40 : 1, with every fit."""
    numbers = bench.numbers("extremes")
    errors = []
    for fit in FITS:
        ratio = int(numbers.integers(25, 41))
        short = int(numbers.integers(3, 2000 // ratio + 1))
        size = (short * ratio, short) if numbers.random() < 0.5 else (short, short * ratio)
        errors.append(compare(bench, encoded(drawn(numbers, *size)), Settings.drawn(numbers), fit, "a strip"))
    errors.append(compare(bench, encoded(drawn(numbers, 37, 1)), Settings.drawn(numbers), "pad", "a strip"))
    return f"Mean error {max(errors):.4f} at worst on {len(errors)} strips."


def modes(*names: str) -> Any:
    """Return the check of pictures in some modes."""

    def check(bench: Bench) -> str:
        numbers = bench.numbers("modes " + " ".join(names))
        errors = []
        for mode, fit in itertools.product(names, FITS):
            width, height = (int(side) for side in numbers.integers(120, 420, 2))
            picture = in_mode(drawn(numbers, width, height), mode, numbers)
            errors.append(compare(bench, picture, Settings.drawn(numbers), fit, f"a picture in mode {mode}"))
        return f"Mean error {max(errors):.4f} at worst, in {', '.join(names)}."

    return check


def turned(bench: Bench) -> str:
    """JPEGs with each of three EXIF orientations."""
    numbers = bench.numbers("turned")
    errors = []
    for orientation, fit in zip(numbers.choice(np.arange(2, 9), 3, replace=False), FITS, strict=True):
        width, height = (int(side) for side in numbers.choice(np.arange(121, 421, 3), 2, replace=False))
        picture = encoded(drawn(numbers, width, height), "JPEG", orientation=int(orientation))
        what = f"a JPEG with EXIF orientation {orientation}"
        errors.append(compare(bench, picture, Settings.drawn(numbers), fit, what))
    return f"Mean error {max(errors):.4f} at worst on {len(errors)} JPEGs."


def unknown_fit(bench: Bench) -> str:
    """Fits that there are none of."""
    numbers = bench.numbers("unknown fit")
    settings, picture = Settings.drawn(numbers), encoded(drawn(numbers, 40, 30))
    names = ("stretch", "", "Pad")
    return bench.refuses(
        Bad(f"fit={name!r}", "preprocess", (picture,), {**settings.keywords, "fit": name}) for name in names
    )


def patches(bench: Bench) -> str:
    """Rows of im2col, as torch's unfold gives them."""
    import torch

    numbers = bench.numbers("patches")
    cases = [(2, 2, "float32"), (3, 5, "float32"), (4, 1, "float64"), (2, 3, "uint8")]
    for rows, columns, dtype in cases:
        patch = int(numbers.integers(2, 17))
        pixels = (numbers.random((3, rows * patch, columns * patch)) * 255).astype(dtype)
        where = f"{dtype} pixels of {columns * patch} x {rows * patch} with patch={patch}"
        got = bench.call("patchify", pixels, patch).value
        expect_array(got, f"The result on {where}", dtype, (rows * columns, 3 * patch * patch))
        columns_first = torch.nn.functional.unfold(
            torch.from_numpy(pixels.astype(np.float64))[None], patch, stride=patch
        )
        expected = columns_first[0].T.numpy()
        if not np.array_equal(got, expected):
            raise Wrong(f"On {where}: {_patch_fault(got, expected, pixels, patch)}")
    return f"Equal to im2col on {len(cases)} arrays, non-square ones among them."


def _patch_fault(got: np.ndarray, expected: np.ndarray, pixels: np.ndarray, patch: int) -> str:
    _, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    by_column = expected.reshape(rows, columns, -1).transpose(1, 0, 2).reshape(expected.shape)
    channel_last = expected.reshape(-1, 3, patch, patch).transpose(0, 2, 3, 1).reshape(expected.shape)
    turned_patch = expected.reshape(-1, 3, patch, patch).transpose(0, 1, 3, 2).reshape(expected.shape)
    if rows > 1 and columns > 1 and np.array_equal(got, by_column):
        return "the patches come column by column; they should come row by row."
    if np.array_equal(got, channel_last):
        return "each patch is flattened as (y, x, C); it should be (C, y, x)."
    if np.array_equal(got, turned_patch):
        return "each patch is flattened as (C, x, y); it should be (C, y, x)."
    wrong = np.flatnonzero((got != expected).any(axis=1))
    return f"{len(wrong)} of {len(expected)} rows differ from im2col, the first is row {wrong[0]}."


def uncuttable(bench: Bench) -> str:
    """Pixels that a patch doesn't divide, and patches that are none."""
    numbers = bench.numbers("uncuttable")
    patch = int(numbers.integers(5, 15))

    def pixels(height: int, width: int) -> np.ndarray:
        return numbers.random((3, height, width)).astype(np.float32)

    return bench.refuses(
        [
            Bad("a height that the patch doesn't divide", "patchify", (pixels(2 * patch + 1, 2 * patch), patch)),
            Bad("a width that the patch doesn't divide", "patchify", (pixels(2 * patch, 2 * patch + 1), patch)),
            Bad("patch=0", "patchify", (pixels(patch, patch), 0)),
            Bad("patch=-1", "patchify", (pixels(patch, patch), -1)),
        ]
    )


def end_to_end(bench: Bench) -> str:
    """The live model's answers with the candidate's `preprocess` in its pipeline."""
    engine = bench.engine
    processor = engine.checkpoint.processor.image_processor
    side = engine.checkpoint.model.config.vision_config.image_size
    settings = Settings(side, tuple(processor.image_mean), tuple(processor.image_std))
    fit = "crop" if processor.do_center_crop else "pad" if getattr(processor, "do_pad", False) else "squash"
    chance = bench.random("live")
    asked = live.items(chance, QUESTIONS)
    images = [item.picture.resize((chance.randint(side, 3 * side),) * 2, Image.Resampling.BICUBIC) for item in asked]

    def preprocess(pictures: list[Image.Image]) -> np.ndarray:
        rows = [
            bench.call("preprocess", Picture.of(each, compress_level=1), **settings.keywords, fit=fit).value
            for each in pictures
        ]
        return np.stack([expect_array(row, "The result", None, (3, side, side)) for row in rows])

    def square(pictures: list[Image.Image]) -> np.ndarray:
        return np.stack([reference(each, settings, fit) for each in pictures])

    mine = live.answers(engine, asked, {"preprocess": preprocess}, images=images)
    # a model that cuts pictures into tiles sees more of its own than one square
    stage = {"preprocess": square} if engine.checkpoint.tiled else None
    own = live.answers(engine, asked, stage, images=images)
    return live.expect_as_well(live.right(mine, asked), live.right(own, asked), "your preprocess")


EXERCISE = Exercise(
    "q05",
    ("preprocess", "patchify"),
    (
        Probe("form", "The result is float32, (3, size, size) and C-contiguous.", form, public=True),
        Probe("squash", "fit='squash' resizes to the square, bicubic.", fitted("squash"), public=True),
        Probe("crop", "fit='crop' resizes the shorter edge and crops the centre.", fitted("crop"), public=True),
        Probe("pad", "fit='pad' pads to a square of the mean colour, then resizes.", fitted("pad"), public=True),
        Probe("extreme ratios", "Strips of up to 40 : 1 come out as the reference's.", extremes),
        Probe("gray", "Pictures in mode L become three equal channels.", modes("L")),
        Probe("alpha", "Alpha (RGBA, LA) is dropped, not composited.", modes("RGBA", "LA")),
        Probe("palette", "Pictures in mode P get their colours.", modes("P"), public=True),
        Probe("CMYK", "Pictures in mode CMYK are converted.", modes("CMYK")),
        Probe("16 bit", "Pictures in mode I;16 are clipped at 255, as Pillow does.", modes("I;16")),
        Probe("EXIF orientation", "A turned JPEG is turned back first.", turned),
        Probe("unknown fit", "Any other fit raises ValueError.", unknown_fit),
        Probe(
            "patches", "Patches come row by row, each flattened as (C, y, x), in the dtype of pixels.", patches, True
        ),
        Probe("what can't be cut", "Sizes that the patch doesn't divide raise ValueError.", uncuttable),
        Probe("live answers", "The live model answers as well with your preprocess.", end_to_end),
        ARGUMENTS,
    ),
)
