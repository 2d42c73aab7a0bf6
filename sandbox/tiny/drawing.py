"""Turns a scene into a picture, with Pillow alone and the fonts beside this file."""

from __future__ import annotations

import functools
import io
import math
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sandbox.tiny.scene import PICTURE_SIZE, Object, Scene, Text

_FONTS = Path(__file__).parent / "fonts"

Point = tuple[float, float]


def draw(scene: Scene) -> Image.Image:
    """The scene's picture, RGB, 112 x 112 pixels; equal scenes give equal pixels."""
    scale = scene.supersampling
    side = PICTURE_SIZE * scale
    image = Image.new("RGB", (side, side), scene.ground)
    pen = ImageDraw.Draw(image)
    for thing in scene.objects:
        _draw_object(pen, thing, scene, scale)
    if scene.text is not None:
        _draw_text(pen, scene.text, scale)
    if scale > 1:
        image = image.reduce(scale)
    if scene.grain or any(scene.slope):
        image = _roughen(image, scene)
    if scene.jpeg:
        image = _through_jpeg(image, scene.jpeg)
    return image


def outline_points(thing: Object) -> list[Point]:
    """Corners of the object's shape in pixels (a fine polygon for an oval); circles and rings have none."""
    r, s = thing.radius, thing.stretch
    points: list[Point]
    match thing.shape:
        case "square":
            half = 0.84 * r
            points = [(-half, -half), (half, -half), (half, half), (-half, half)]
        case "rectangle":
            wide, high = r, r * (0.42 + 0.22 * s)
            points = [(-wide, -high), (wide, -high), (wide, high), (-wide, high)]
        case "oval":
            high = r * (0.45 + 0.2 * s)
            turns = [index * math.tau / 40 for index in range(40)]
            points = [(r * math.cos(turn), high * math.sin(turn)) for turn in turns]
        case "triangle":
            points = _triangle(thing)
        case "diamond":
            wide = r * (0.6 + 0.4 * s)
            points = [(0, -r), (wide, 0), (0, r), (-wide, 0)]
        case "star":
            inner = r * (0.38 + 0.12 * s)
            spokes = [(r if index % 2 == 0 else inner, index * math.pi / 5) for index in range(10)]
            points = [(length * math.sin(turn), -length * math.cos(turn)) for length, turn in spokes]
        case "cross":
            a = r * (0.24 + 0.14 * s)
            points = [
                (-a, -r), (a, -r), (a, -a), (r, -a), (r, a), (a, a),
                (a, r), (-a, r), (-a, a), (-r, a), (-r, -a), (-a, -a),
            ]  # fmt: skip
        case _:
            return []
    if thing.shape in {"rectangle", "oval"} and thing.variant % 2:
        points = [(-y, x) for x, y in points]
    cos, sin = math.cos(thing.angle), math.sin(thing.angle)
    return [(thing.x + x * cos - y * sin, thing.y + x * sin + y * cos) for x, y in points]


def _triangle(thing: Object) -> list[Point]:
    """Isosceles, equilateral or right-angled, mostly standing on a side."""
    r, s = thing.radius, thing.stretch
    points: list[Point]
    if thing.variant in {0, 1}:
        half = 0.8 * r
        points = [(-half, -half), (-half, half), (half, half)]
        if thing.variant == 1:
            points = [(-x, y) for x, y in points]
    elif thing.variant in {2, 3}:
        points = [(0, -r), (0.866 * r, 0.5 * r), (-0.866 * r, 0.5 * r)]
    else:
        wide = r * (0.7 + 0.3 * s)
        points = [(0, -0.9 * r), (wide, 0.75 * r), (-wide, 0.75 * r)]
    if thing.variant in {3, 4}:
        points = [(x, -y) for x, y in points]
    return points


def _draw_object(pen: ImageDraw.ImageDraw, thing: Object, scene: Scene, scale: int) -> None:
    x, y, r = thing.x * scale, thing.y * scale, thing.radius * scale
    edge = max(1, round((1.0 + 0.06 * thing.radius) * scale))
    if thing.shape in {"circle", "ring"}:
        r *= 0.96
        box = (x - r, y - r, x + r, y + r)
        pen.ellipse(box, fill=thing.rgb, outline=thing.outline, width=edge if thing.outline else 0)
        if thing.shape == "ring":
            hole = r * (0.48 + 0.27 * thing.stretch)
            pen.ellipse((x - hole, y - hole, x + hole, y + hole), fill=scene.ground)
        return
    points = [(px * scale, py * scale) for px, py in outline_points(thing)]
    if thing.hollow:
        pen.polygon(points, outline=thing.rgb, width=max(2 * scale, round(0.2 * r)))
    elif thing.outline:
        pen.polygon(points, fill=thing.rgb, outline=thing.outline, width=edge)
    else:
        pen.polygon(points, fill=thing.rgb)


def _draw_text(pen: ImageDraw.ImageDraw, text: Text, scale: int) -> None:
    face = _font(text.font, text.size * scale)
    for character, (x, y) in zip(text.characters, text.centers, strict=True):
        pen.text((x * scale, y * scale), character, fill=text.rgb, font=face, anchor="mm")


@functools.lru_cache(maxsize=256)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    # The basic layout needs no libraqm, so that every machine draws the same pixels.
    return ImageFont.truetype(str(_FONTS / f"{name}.ttf"), size, layout_engine=ImageFont.Layout.BASIC)


def _roughen(image: Image.Image, scene: Scene) -> Image.Image:
    pixels = np.asarray(image, np.int16)
    if any(scene.slope):
        line = np.linspace(-0.5, 0.5, PICTURE_SIZE)
        plane = line[None, :] * scene.slope[0] + line[:, None] * scene.slope[1]
        pixels = pixels + plane[..., None].astype(np.int16)
    if scene.grain:
        source = np.frombuffer(random.Random(scene.seed).randbytes(pixels.size), np.uint8).reshape(pixels.shape)
        pixels = pixels + (source.astype(np.int16) * (2 * scene.grain + 1) >> 8) - scene.grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as reread:
        return reread.convert("RGB")
