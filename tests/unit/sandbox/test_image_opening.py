"""Whatever is uploaded is opened, or refused with a sentence that says what to do."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sandbox import (
    BadInput,
    ImageTooLarge,
    ImageTooNarrow,
    NotAnImage,
    TooManyImages,
    TruncatedImage,
    open_image,
)

LIMIT = 50_000_000
FORMATS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM"]


@pytest.fixture(scope="module")
def photo():
    """Noise on a gradient, so that every format needs many bytes."""
    rng = np.random.default_rng(0)
    levels = np.linspace(0, 200, 120)[:, None, None] + rng.integers(0, 55, (120, 160, 3))
    return Image.fromarray(levels.astype(np.uint8))


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width, height):
    """A PNG that claims a size and holds one empty chunk of pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_opens_as_rgb(photo, kind):
    image = open_image(encoded(photo, kind), max_pixels=LIMIT)
    assert (image.mode, image.size) == ("RGB", (160, 120))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_file_that_is_cut_off_is_named_as_that(photo, kind, share):
    data = encoded(photo, kind)
    with pytest.raises(TruncatedImage, match=r"cut off or damaged.*Save it again"):
        open_image(data[: int(share * len(data))], max_pixels=LIMIT)


@pytest.mark.parametrize("data", [b"", b"hello", b"%PDF-1.7\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_picture_is_named_as_that(data):
    with pytest.raises(NotAnImage, match="Use PNG, JPEG"):
        open_image(data, max_pixels=LIMIT)


def test_postscript_is_never_tried(photo):
    with pytest.raises(NotAnImage):
        open_image(encoded(photo, "EPS"), max_pixels=LIMIT)


@pytest.mark.parametrize("source", [None, 3, "picture.png"])
def test_what_is_neither_bytes_nor_a_path_nor_a_picture_is_refused(source):
    with pytest.raises(NotAnImage, match="Choose a file"):
        open_image(source, max_pixels=LIMIT)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(NotAnImage, match="can't be read"):
        open_image(tmp_path / "missing.png", max_pixels=LIMIT)


def test_a_path_is_read_and_closed(photo, tmp_path):
    path = tmp_path / "photo.png"
    photo.save(path)
    assert open_image(path, max_pixels=LIMIT).tobytes() == photo.tobytes()


@pytest.mark.parametrize("size", [(9000, 9000), (12_000, 12_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_by_its_header(size):
    with pytest.raises(ImageTooLarge, match="at most 50 megapixels"):
        open_image(png_header(*size), max_pixels=LIMIT)


def test_exactly_the_limit_is_allowed():
    image = Image.new("RGB", (40, 25))
    assert open_image(encoded(image), max_pixels=1000).size == (40, 25)
    with pytest.raises(ImageTooLarge):
        open_image(encoded(image), max_pixels=999)


def test_a_line_is_refused_since_its_resize_would_fill_the_memory():
    with pytest.raises(ImageTooNarrow, match="30,000 x 2 pixels"):
        open_image(Image.new("RGB", (30_000, 2)), max_pixels=LIMIT)
    assert open_image(Image.new("RGB", (200, 2)), max_pixels=LIMIT).size == (200, 2)


def test_a_rotated_photo_is_turned_upright(photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    upright = open_image(encoded(photo, "PNG", exif=exif), max_pixels=LIMIT)
    assert upright.tobytes() == photo.transpose(Image.Transpose.ROTATE_270).tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_becomes_rgb(photo, mode):
    source = Image.new("I;16", (9, 7), 90) if mode == "I;16" else photo.convert(mode)
    assert open_image(source, max_pixels=LIMIT).mode == "RGB"


def test_alpha_is_dropped_as_transformers_does():
    image = Image.new("RGBA", (4, 4), (200, 10, 30, 0))
    assert open_image(encoded(image), max_pixels=LIMIT).getpixel((0, 0)) == (200, 10, 30)


def test_a_given_picture_is_left_as_it_is(photo):
    before = photo.tobytes()
    open_image(photo, max_pixels=LIMIT).putpixel((0, 0), (1, 2, 3))
    assert photo.tobytes() == before


def test_thirty_pictures_are_too_many(engine, photo):
    with pytest.raises(TooManyImages, match=r"30 pictures were given, and at most 10 fit one question. Remove 20"):
        engine.answer("What?", [photo] * 30)


def test_the_sentence_says_which_picture_is_wrong(engine, photo):
    with pytest.raises(TruncatedImage, match=r"^Picture 2 is cut off"):
        engine.answer("What?", [photo, encoded(photo)[:200]])


@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_never_raise_anything_else(photo):
    rng = np.random.default_rng(1)
    for kind in FORMATS:
        data = np.frombuffer(encoded(photo, kind), np.uint8)
        for _ in range(25):
            damaged = data.copy()
            damaged[rng.integers(0, min(400, len(damaged)), 8)] = rng.integers(0, 256, 8)
            try:
                image = open_image(damaged.tobytes(), max_pixels=1_000_000)
            except BadInput:
                continue
            assert image.mode == "RGB"


def test_pictures_that_are_too_large_together_are_refused_before_any_is_decoded(engine):
    with pytest.raises(ImageTooLarge, match="have 192 megapixels together; at most 150 are accepted"):
        engine.answer("What?", [png_header(8000, 6000)] * 4)
