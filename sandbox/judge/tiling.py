"""q14: `load_bounded` and `encode_tiled`, on files that are too large and pictures that are cut into tiles."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from sandbox.jail import Callback, CallFailed, Limits, Picture
from sandbox.judge import live
from sandbox.judge.arrays import difference, expect_array
from sandbox.judge.bench import ARGUMENTS, Bad, Bench, Exercise, Probe, Wrong, show
from sandbox.judge.pictures import drawn, encoded, in_mode, upright

MEGABYTE = 1_000_000
LARGE = (8000, 6000)
PEAKS = {"JPEG": 150 * MEGABYTE, "PNG": 450 * MEGABYTE}
HEADER_PEAK = 40 * MEGABYTE
"""What looking at a header may take; a picture of 48 megapixels takes 144 MB and more once it is decoded."""
GRAY_LEVELS = 3.0
TILE_LEVELS = 2.0
"""Largest difference of a tile's pixels; the reference's resampling is Pillow's own."""
QUESTIONS = 24
GRAIN = 24


def loaded(bench: Bench, picture: Picture, max_pixels: int, max_side: int, what: str) -> Image.Image:
    """Return what the candidate's function makes of a file; `Wrong` if it is no RGB picture."""
    value = bench.call("load_bounded", picture.data, max_pixels=max_pixels, max_side=max_side).value
    if not isinstance(value, Picture):
        raise Wrong(f"On {what}, a PIL image is expected; {show(value)} came.")
    image = value.image()
    if image.mode != "RGB":
        raise Wrong(f"On {what}, a picture in mode RGB is expected; it is in {image.mode}.")
    return image


def expect_loaded(bench: Bench, picture: Picture, max_side: int, what: str, max_pixels: int = 10**7) -> float:
    """Return the mean error of a loaded picture in grey levels; `Wrong` if size or content isn't right."""
    whole = upright(picture)
    got = loaded(bench, picture, max_pixels, max_side, what)
    scale = min(1.0, max_side / max(whole.size))
    long, wanted = max(got.size), round(scale * max(whole.size))
    short = scale * min(whole.size)
    where = f"{what} of {whole.width} x {whole.height} with max_side={max_side}"
    if (whole.width > whole.height) != (got.width > got.height) and abs(whole.width - whole.height) * scale > 2:
        raise Wrong(f"{where} came as {got.width} x {got.height}: it lies on its side.")
    if long > max_side or long < wanted - 1:
        raise Wrong(f"{where} should have a longer side of {wanted}; it came as {got.width} x {got.height}.")
    if abs(min(got.size) - short) > 1:
        raise Wrong(f"{where} should have a shorter side of {short:.1f}; it came as {got.width} x {got.height}.")
    expected = np.asarray(whole.resize(got.size, Image.Resampling.BICUBIC), np.float64)
    pixels = np.asarray(got, np.float64)
    off = float(np.abs(pixels - expected).mean())
    if off > GRAY_LEVELS:
        raise Wrong(
            f"{where} is {off:.1f} grey levels off in the mean; {GRAY_LEVELS:g} are allowed.",
            difference(expected, pixels),
        )
    return off


def grainy(image: Image.Image, numbers: np.random.Generator) -> Image.Image:
    """Return a picture with grain, which a reduction averages and skipping pixels doesn't."""
    pixels = np.asarray(image, np.int16)
    grain = numbers.integers(-GRAIN, GRAIN + 1, pixels.shape[:2], np.int16)[..., None]
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def small(bench: Bench) -> str:
    """Pictures of several formats and modes, scaled down and never up."""
    numbers = bench.numbers("small")
    errors = []
    for format, mode in (("JPEG", "RGB"), ("PNG", "RGB"), ("WEBP", "RGB"), ("JPEG", "L")):
        width, height = (int(side) for side in numbers.integers(500, 1500, 2))
        image = grainy(drawn(numbers, width, height), numbers).convert(mode)
        side = int(numbers.integers(150, 450))
        errors.append(expect_loaded(bench, encoded(image, format), side, f"a {format} in mode {mode}"))
    return f"At most {max(errors):.2f} grey levels off a bicubic reduction (at most {GRAY_LEVELS:g})."


def never_up(bench: Bench) -> str:
    """Pictures that are small already."""
    numbers = bench.numbers("never up")
    for format in ("PNG", "JPEG"):
        width, height = (int(side) for side in numbers.integers(60, 200, 2))
        picture = encoded(drawn(numbers, width, height), format)
        for side in (max(width, height), max(width, height) + int(numbers.integers(1, 400))):
            got = loaded(bench, picture, 10**6, side, f"a {format} of {width} x {height} with max_side={side}")
            if got.size != (width, height):
                raise Wrong(
                    f"A {format} of {width} x {height} with max_side={side} came as {got.width} x {got.height}."
                )
            expect_loaded(bench, picture, side, f"a {format}")
    return "A picture that is small enough keeps its size."


def modes(bench: Bench) -> str:
    """Modes that aren't RGB."""
    numbers = bench.numbers("modes")
    errors = []
    for mode in ("L", "P", "CMYK", "RGBA", "LA"):
        width, height = (int(side) for side in numbers.integers(400, 800, 2))
        image = drawn(numbers, width, height)
        if mode in ("RGBA", "LA"):
            image = image.convert(mode[:-1])
            image.putalpha(Image.fromarray(numbers.integers(200, 256, (4, 3), np.uint8)).resize(image.size))
            picture = encoded(image)
        else:
            picture = in_mode(image, mode, numbers)
        errors.append(expect_loaded(bench, picture, 200, f"a picture in mode {mode}"))
    return f"RGB from L, P, CMYK, RGBA and LA, at most {max(errors):.2f} grey levels off."


def turned(bench: Bench) -> str:
    """EXIF orientations."""
    numbers = bench.numbers("turned")
    for orientation in (int(number) for number in numbers.choice(np.arange(2, 9), 4, replace=False)):
        width, height = (int(side) for side in numbers.permutation([900, 640]))
        format = "JPEG" if numbers.random() < 0.7 else "PNG"
        picture = encoded(drawn(numbers, width, height), format, orientation=orientation)
        expect_loaded(bench, picture, 320, f"a {format} with EXIF orientation {orientation}")
    return "Four orientations are turned upright."


def claims(width: int, height: int) -> Picture:
    """Return a PNG that is all zero and claims so many pixels."""
    rows = zlib.compress(bytes(1 + (width + 7) // 8) * height, 1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return Picture(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def too_many(bench: Bench) -> str:
    """Files that claim too many pixels, a decompression bomb among them."""
    numbers = bench.numbers("too many")
    width, height = (int(side) for side in numbers.integers(200, 600, 2))
    near = encoded(drawn(numbers, width, height), "JPEG")
    bomb = claims(20_000, 20_000 + int(numbers.integers(100)))
    huge = claims(7_000, 7_000)

    def bad(why: str, picture: Picture, most: int) -> Bad:
        return Bad(why, "load_bounded", (picture.data,), {"max_pixels": most, "max_side": 256})

    return bench.refuses(
        [
            bad(f"{width} x {height} pixels with max_pixels={width * height - 1}", near, width * height - 1),
            bad("49 megapixels with max_pixels=1,000,000", huge, 10**6),
            bad("400 megapixels, which Pillow itself calls a bomb", bomb, 50 * 10**6),
        ]
    )


def exactly(bench: Bench) -> str:
    """Exactly as many pixels as are allowed."""
    numbers = bench.numbers("exactly")
    width, height = (int(side) for side in numbers.integers(200, 600, 2))
    expect_loaded(bench, encoded(drawn(numbers, width, height)), 150, "a PNG of exactly max_pixels", width * height)
    return f"{width} x {height} pixels pass with max_pixels={width * height}."


def before_decoding(bench: Bench) -> str:
    """The memory that a refusal takes."""
    worst = 0
    for picture in (claims(8_000, 6_000), large(bench, "PNG")):
        result = None
        try:
            bench.try_call("load_bounded", picture.data, max_pixels=47_999_999, max_side=512)
            raise Wrong("48,000,000 pixels with max_pixels=47,999,999 should raise ValueError; a picture came.")
        except CallFailed as error:
            if not error.is_a("ValueError"):
                raise Wrong(f"48,000,000 pixels with max_pixels=47,999,999 raised {error.kind}.") from None
            result = error.peak_bytes
        if result is not None:
            worst = max(worst, result)
            if result > HEADER_PEAK:
                raise Wrong(
                    f"Refusing 48 megapixels took {result / MEGABYTE:.0f} MB, so the picture was decoded first; its "
                    "header says how large it is."
                )
    return f"Refusing a picture of 48 megapixels took {worst / MEGABYTE:.0f} MB."


def no_image(bench: Bench) -> str:
    """Bytes that are no picture."""
    numbers = bench.numbers("no image")
    cases = {
        "no bytes": b"",
        "a text": b"What is in the image?\n" * 20,
        "noise": numbers.bytes(2_000),
        "a PNG's first eight bytes and noise": b"\x89PNG\r\n\x1a\n" + numbers.bytes(200),
        "a PDF's beginning": b"%PDF-1.7\n" + numbers.bytes(400),
    }
    return bench.refuses(
        Bad(why, "load_bounded", (data,), {"max_pixels": 10**7, "max_side": 256}) for why, data in cases.items()
    )


def truncated(bench: Bench) -> str:
    """Files that end too early."""
    numbers = bench.numbers("truncated")
    cases = []
    for format in ("JPEG", "PNG", "WEBP"):
        data = encoded(drawn(numbers, *(int(side) for side in numbers.integers(500, 900, 2))), format).data
        for cut in (0.06, float(numbers.uniform(0.2, 0.6))):
            end = int(len(data) * (1 - cut))
            why = f"a {format} without its last {cut:.0%}"
            cases.append(Bad(why, "load_bounded", (data[:end],), {"max_pixels": 10**7, "max_side": 200}))
    return bench.refuses(cases)


def large(bench: Bench, kind: str) -> Picture:
    """Return a picture of 8000 x 6000 as a file."""

    def make() -> Picture:
        numbers = bench.numbers(f"large {kind}")
        image = drawn(numbers, 1000, 750).resize(LARGE, Image.Resampling.NEAREST)
        if kind == "JPEG":
            return Picture.of(image, "JPEG", quality=80)
        image.putalpha(Image.new("L", LARGE, int(numbers.integers(200, 256))))
        return Picture.of(image, "PNG", compress_level=1)

    return bench.once(f"large {kind}", make)


def peak(kind: str, bench: Bench) -> str:
    """The memory that 8000 x 6000 pixels take over what was there before."""
    side = bench.random(f"peak {kind}").randint(500, 1000)
    result = bench.call("load_bounded", large(bench, kind).data, max_pixels=LARGE[0] * LARGE[1], max_side=side)
    if not isinstance(result.value, Picture):
        raise Wrong(f"A PIL image is expected; {show(result.value)} came.")
    got = result.value.image()
    if max(got.size) != side and abs(max(got.size) - side) > 1:
        raise Wrong(f"The longer side should be {side}; the picture came as {got.width} x {got.height}.")
    if result.peak_bytes is None:
        bench.notes.append("This system doesn't tell how much memory a process takes, so the peak was not judged.")
        return "Not judged: the system doesn't tell."
    said = (
        f"A {kind} of {LARGE[0]} x {LARGE[1]} took {result.peak_bytes / MEGABYTE:.0f} MB at its peak; "
        f"{PEAKS[kind] / MEGABYTE:.0f} MB are allowed."
    )
    if result.peak_bytes >= PEAKS[kind]:
        raise Wrong(said)
    return said


@dataclass(frozen=True)
class Cut:
    """A picture to cut, and how."""

    picture: Picture
    tile: int
    max_tiles: int
    batch: int

    @property
    def where(self) -> str:
        """The input in words."""
        width, height = upright(self.picture).size
        return f"{width} x {height} with tile={self.tile}, max_tiles={self.max_tiles}, batch={self.batch}"

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns, by transformers' own choice."""
        from transformers.image_processing_utils import select_best_resolution

        width, height = upright(self.picture).size
        counts = range(1, self.max_tiles + 1)
        sizes = [(r * self.tile, c * self.tile) for r in counts for c in counts if r * c <= self.max_tiles]
        best = select_best_resolution((height, width), sizes)
        return best[0] // self.tile, best[1] // self.tile

    @property
    def tiles(self) -> list[np.ndarray]:
        """The overview and the tiles that transformers' LLaVA-NeXT makes, each (tile, tile, 3)."""
        from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

        rows, columns = self.grid
        pixels = np.asarray(upright(self.picture)).transpose(2, 0, 1)
        cut = LlavaNextImageProcessorPil().get_image_patches(
            pixels,
            [[rows * self.tile, columns * self.tile]],
            size=(self.tile, self.tile),
            patch_size=self.tile,
            resample=Image.Resampling.BICUBIC,
        )
        return [np.asarray(each).transpose(1, 2, 0).astype(np.float64) for each in cut]


class Encoder:
    """An `encode` that gives each picture features of its own and remembers whose they are."""

    def __init__(self, numbers: np.random.Generator, tile: int) -> None:
        self._numbers, self._tile = numbers, tile
        self.tokens, self.width = int(numbers.integers(2, 6)), int(numbers.integers(3, 9))
        self.seen: list[np.ndarray] = []
        self.given: list[np.ndarray] = []
        self.sizes: list[int] = []
        self.faults: list[str] = []

    def __call__(self, pictures: Any = None) -> np.ndarray:
        """Return features, float32 (n, tokens, width); TypeError for what is no list of pictures."""
        if not isinstance(pictures, list) or not all(isinstance(each, Picture) for each in pictures):
            self.faults.append(
                f"encode should be called with a list of PIL images; it was called with {show(pictures)}."
            )
            raise TypeError("encode takes a list of PIL images")
        self.sizes.append(len(pictures))
        images = [each.image() for each in pictures]
        for image in images:
            if image.size != (self._tile, self._tile) or image.mode != "RGB":
                self.faults.append(
                    f"encode should get RGB pictures of {self._tile} x {self._tile}; it got one of {image.width} x "
                    f"{image.height} in mode {image.mode}."
                )
        given = self._numbers.standard_normal((len(images), self.tokens, self.width)).astype(np.float32)
        self.seen += [np.asarray(image.convert("RGB"), np.float64) for image in images]
        self.given += list(given)
        return given


def cuts(bench: Bench) -> list[Cut]:
    """Return pictures of several shapes, shared by the checks."""
    numbers = bench.numbers("cuts")

    def make() -> list[Cut]:
        found = []
        for ratio, max_tiles in ((1.0, 4), (1.7, 6), (0.45, 5), (3.4, 4), (0.3, 9), (1.3, 1), (1.0, 7)):
            height = int(numbers.integers(120, 420))
            width = max(30, int(height * ratio * numbers.uniform(0.93, 1.07)))
            picture = encoded(drawn(numbers, width, height))
            found.append(Cut(picture, int(numbers.integers(40, 90)), max_tiles, int(numbers.integers(1, 5))))
        return found

    return bench.once("cuts", make)


def tiled(bench: Bench, cut: Cut) -> tuple[Any, Encoder]:
    """Have the candidate cut and encode a picture; return its result and what `encode` saw."""

    def make() -> tuple[Any, Encoder]:
        encoder = Encoder(bench.numbers(f"features {cut.where}"), cut.tile)
        callback = Callback(encoder, max_calls=200)
        try:
            value = bench.call(
                "encode_tiled",
                cut.picture,
                callback,
                tile=cut.tile,
                max_tiles=cut.max_tiles,
                batch=cut.batch,
            ).value
        except Wrong as wrong:
            raise Wrong(" ".join([f"On {cut.where}: {wrong}", *encoder.faults[:1]])) from None
        if any(kwargs or len(args) != 1 for args, kwargs in callback.calls):
            encoder.faults.append("encode should be called as encode(list of images), with nothing else.")
        return value, encoder

    return bench.once(f"tiled {cut.where}", make)


def batched(bench: Bench) -> str:
    """What `encode` is called with."""
    for cut in cuts(bench):
        _, encoder = tiled(bench, cut)
        if encoder.faults:
            raise Wrong(f"On {cut.where}: {encoder.faults[0]}")
        if max(encoder.sizes, default=0) > cut.batch:
            raise Wrong(f"On {cut.where}: encode was called with {max(encoder.sizes)} pictures at once.")
        if min(encoder.sizes, default=0) < 1:
            raise Wrong(f"On {cut.where}: encode was called with no pictures, or not at all.")
    return "encode gets lists of at most batch pictures, each RGB and tile x tile."


def shaped(bench: Bench) -> str:
    """As many rows as the overview and the tiles of the best grid."""
    seen = []
    for cut in cuts(bench):
        value, encoder = tiled(bench, cut)
        rows, columns = cut.grid
        got = expect_array(value, f"The result on {cut.where}", "float32")
        if got.ndim != 3 or got.shape[1:] != (encoder.tokens, encoder.width):
            raise Wrong(
                f"The result on {cut.where} should have shape (1 + tiles, {encoder.tokens}, {encoder.width}); it has "
                f"{got.shape}."
            )
        if len(got) != 1 + rows * columns:
            raise Wrong(
                f"On {cut.where}, the best grid has {rows} rows and {columns} columns, so {1 + rows * columns} rows of "
                f"features are expected; {len(got)} came."
            )
        seen.append(f"{rows} x {columns}")
    return f"Grids of {', '.join(seen)} tiles."


def _seen_at(value: Any, encoder: Encoder, row: int, where: str) -> np.ndarray:
    """Return the picture whose features stand in a row of the result."""
    for picture, features in zip(encoder.seen, encoder.given, strict=True):
        if np.array_equal(value[row], features):
            return picture
    raise Wrong(f"On {where}, row {row} of the result is not what encode gave for any picture.")


def compare(bench: Bench, cut: Cut, which: Sequence[int] | None = None) -> None:
    """`Wrong` unless rows of the result are of the pictures that they should be of; None compares the tiles."""
    value, encoder = tiled(bench, cut)
    expected = cut.tiles
    got = expect_array(value, f"The result on {cut.where}", None, (len(expected), None, None))
    rows, columns = cut.grid
    for row in which if which is not None else range(1, len(expected)):
        seen = _seen_at(got, encoder, row, cut.where)
        name = (
            "the overview" if row == 0 else f"tile {row - 1} (row {(row - 1) // columns}, column {(row - 1) % columns})"
        )
        if seen.shape != expected[row].shape:
            raise Wrong(f"On {cut.where}, {name} was encoded at {seen.shape[1]} x {seen.shape[0]}.")
        off = np.abs(seen - expected[row])
        if off.max() > TILE_LEVELS:
            other = next(
                (number for number, each in enumerate(expected) if number != row and np.abs(seen - each).max() <= 2),
                None,
            )
            hint = (
                ""
                if other is None
                else " It is the overview."
                if other == 0
                else f" It is the tile of row {(other - 1) // columns}, column {(other - 1) % columns}."
            )
            raise Wrong(
                f"On {cut.where}, grid {rows} x {columns}: {name} is {off.mean():.1f} grey levels off in the mean, "
                f"{off.max():.0f} at most ({TILE_LEVELS:g} are allowed).{hint}",
                difference(expected[row], seen),
            )


def overview(bench: Bench) -> str:
    """The first row."""
    for cut in cuts(bench):
        compare(bench, cut, [0])
    return "The first row is of the whole picture, squashed to tile x tile."


def placed(bench: Bench) -> str:
    """Every tile, as LLaVA-NeXT lays the picture on the grid."""
    for cut in cuts(bench):
        compare(bench, cut)
    return f"Every tile of {len(cuts(bench))} pictures is LLaVA-NeXT's, in row-major order."


def end_to_end(bench: Bench) -> str:
    """The live model's answers about large files that the candidate's `load_bounded` opens."""
    engine, chance = bench.engine, bench.random("live")
    asked = live.items(chance, QUESTIONS)
    side = engine.checkpoint.model.config.vision_config.image_size
    files, pictures = [], []
    for item in asked:
        picture = item.picture.resize((chance.randint(700, 1200),) * 2, Image.Resampling.BICUBIC)
        orientation = chance.choice((1, 3, 6, 8))
        turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
        stored = picture.transpose(turns[orientation]) if orientation in turns else picture
        files.append(encoded(stored, "JPEG", orientation=orientation))
        pictures.append(picture)

    def open_bounded(sources: list[bytes]) -> list[Image.Image]:
        return [loaded(bench, Picture(data), 10**7, 2 * side, "a JPEG of a scene") for data in sources]

    mine = live.answers(engine, asked, {"open": open_bounded}, images=[each.data for each in files])
    own = live.answers(engine, asked, images=pictures)
    return live.expect_as_well(live.right(mine, asked), live.right(own, asked), "your load_bounded")


EXERCISE = Exercise(
    "q14",
    ("load_bounded", "encode_tiled"),
    (
        Probe(
            "scaled down",
            "Pictures come as RGB, reduced to max_side, close to a bicubic reduction.",
            small,
            public=True,
        ),
        Probe("never scaled up", "A picture that is small enough keeps its size.", never_up, public=True),
        Probe("modes", "Every mode becomes RGB before it is reduced.", modes),
        Probe("EXIF orientation", "Turned pictures come upright.", turned),
        Probe("too many pixels", "What claims more than max_pixels raises ValueError.", too_many, public=True),
        Probe("exactly max_pixels", "Exactly max_pixels is allowed.", exactly),
        Probe("before decoding", "What is too large is refused before a pixel is decoded.", before_decoding),
        Probe("no image", "What is no image raises ValueError.", no_image, public=True),
        Probe("truncated", "What ends too early raises ValueError.", truncated),
        Probe("JPEG memory", "A JPEG of 8000 x 6000 takes less than 150 MB.", partial(peak, "JPEG")),
        Probe("PNG memory", "A PNG of 8000 x 6000 takes less than 450 MB.", partial(peak, "PNG")),
        Probe("encode's calls", "encode gets at most batch pictures, each tile x tile.", batched, public=True),
        Probe("grid", "The best grid is chosen, one row of the result for each tile.", shaped, public=True),
        Probe("overview", "The first row is of the whole picture, squashed.", overview, public=True),
        Probe("tiles", "The picture is laid on the grid as LLaVA-NeXT does.", placed),
        Probe("live answers", "The live model answers as well about what load_bounded opens.", end_to_end),
        ARGUMENTS,
    ),
    limits=Limits(seconds=12.0, total_seconds=90.0),
)
