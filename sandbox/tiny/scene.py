"""What a picture of the world holds: sampled first, drawn and asked about afterwards.

A scene is fully described by its frozen dataclass, so its questions can be answered without looking at a pixel, and
two equal scenes give the same picture. Not covered: overlap, perspective, photographs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

PICTURE_SIZE = 112
"""Side of a picture in pixels, the vision tower's input."""

RGB = tuple[int, int, int]

COLORS: dict[str, tuple[RGB, ...]] = {
    "red": ((220, 40, 40), (255, 0, 0), (200, 16, 46)),
    "orange": ((245, 140, 30), (255, 165, 0), (255, 127, 14)),
    "yellow": ((245, 220, 50), (255, 255, 0), (255, 235, 59)),
    "green": ((45, 165, 65), (0, 128, 0), (0, 200, 0), (34, 139, 34), (0, 255, 0)),
    "cyan": ((60, 210, 220), (0, 255, 255), (0, 188, 212)),
    "blue": ((45, 80, 220), (0, 0, 255), (30, 100, 230), (31, 119, 180)),
    "purple": ((140, 60, 195), (128, 0, 128), (103, 58, 183)),
    "pink": ((247, 135, 190), (255, 192, 203), (255, 105, 180)),
    "brown": ((125, 75, 35), (139, 69, 19), (160, 95, 50)),
    "black": ((0, 0, 0), (22, 22, 22), (35, 35, 35)),
    "gray": ((128, 128, 128), (80, 80, 80), (160, 160, 160), (185, 185, 185)),
    "white": ((255, 255, 255), (245, 245, 245), (230, 230, 230)),
}
"""Named object colours as anchors, from common palettes (CSS, matplotlib, Material) and our own.

Grey reaches close to black and to white on purpose: a wrong contrast of the input (mean and std) then changes answers.
"""

BACKGROUNDS: dict[str, tuple[RGB, ...]] = {
    "white": ((255, 255, 255), (255, 255, 255), (244, 244, 244), (232, 232, 232)),
    "black": ((0, 0, 0), (20, 20, 20), (34, 34, 34)),
    "gray": ((128, 128, 128), (85, 85, 85), (150, 150, 150), (180, 180, 180)),
    "beige": ((232, 216, 182), (245, 222, 179), (222, 205, 165)),
    "navy": ((22, 32, 84), (0, 0, 128), (15, 20, 70)),
    "mint": ((185, 232, 205), (170, 240, 209), (200, 240, 215)),
}
"""Named ground colours as anchors."""

SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross", "ring", "rectangle", "oval")
SIZES = ("small", "large")
POSITIONS = (
    "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right",
)  # fmt: skip
"""Names of the nine cells of a 3 x 3 grid, in reading order."""

MOST_OBJECTS = 5
ALPHABET = "ACDEFHJKLMNPRTUVXY23456789"
"""Characters that stay distinct at 17 pixels: no B/8, G/C, I/1, O/0/Q, S/5, W or Z/2 pairs."""
WORDS = (
    "CAT", "HAT", "TEN", "MAP", "LAMP", "CAR", "TREE", "FLAME", "PEN", "CUP", "RED", "EXAM", "DATA", "LAKE", "PARK",
    "MATH", "HUMAN", "PLAN", "TRUCK", "CARD", "FARM", "YARD", "LUNA", "MEAL", "PLANE", "MARCH", "MAY", "JUNE", "HELP",
    "EAT", "TEA", "TEAM", "HEAT", "LEAF", "ARM", "LEFT", "UP", "TENT",
)  # fmt: skip
"""Words of the alphabet's letters, at most five."""
FONTS = ("DejaVuSans-Bold", "DejaVuSansMono-Bold", "DejaVuSerif-Bold", "DejaVuSans", "DejaVuSansCondensed-Bold")

_SMALL_RADIUS = (6.5, 9.5)
_LARGE_RADIUS = (13.0, 17.0)
_HUGE_RADIUS = (17.0, 28.0)
_CELL = PICTURE_SIZE / 3
_CELL_MARGIN = 2.0  # a centre closer to a cell's border has no clear position
LEAST_CONTRAST = 75.0
"""Least RGB distance between an object and its ground."""


@dataclass(frozen=True)
class Object:
    """One flat shape.

    `x`, `y` are its centre and `radius` its half extent, in pixels; `angle` is in radians, `stretch` the ratio of the
    short to the long side or the width of an arm, according to the shape; `variant` picks among drawings of one shape.
    """

    shape: str
    color: str
    rgb: RGB
    size: str
    x: float
    y: float
    radius: float
    angle: float = 0.0
    stretch: float = 0.6
    variant: int = 0
    hollow: bool = False
    outline: RGB | None = None

    @property
    def cell(self) -> int:
        """Index into `POSITIONS` of the cell that holds the centre."""
        return min(2, int(self.y / _CELL)) * 3 + min(2, int(self.x / _CELL))

    @property
    def position(self) -> str:
        """Name of the cell that holds the centre."""
        return POSITIONS[self.cell]

    @property
    def name(self) -> str:
        """Colour and shape, such as "red circle"."""
        return f"{self.color} {self.shape}"


@dataclass(frozen=True)
class Text:
    """One line of characters: `centers` are the characters' centres in pixels, `size` the font's size in pixels."""

    characters: str
    font: str
    size: int
    rgb: RGB
    centers: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scene:
    """Everything a picture shows, and how it is drawn.

    `objects` are in reading order (cell by cell, left to right within a cell). `supersampling` is the factor at which
    it is drawn before it is reduced (1: hard edges), `grain` the amplitude of pixel noise, `slope` the brightness that
    the ground gains from left to right and from top to bottom, `jpeg` a JPEG quality or 0.
    """

    background: str
    ground: RGB
    objects: tuple[Object, ...]
    text: Text | None
    seed: int = 0
    supersampling: int = 2
    grain: int = 0
    slope: tuple[float, float] = (0.0, 0.0)
    jpeg: int = 0


def contrast(first: RGB, second: RGB) -> float:
    """Euclidean distance of two colours, 0 to 441."""
    return math.dist(first, second)


def shade(rng: random.Random, anchors: Sequence[RGB], spread: int = 9) -> RGB:
    """A colour near one of the anchors."""
    red, green, blue = (max(0, min(255, channel + rng.randint(-spread, spread))) for channel in rng.choice(anchors))
    return red, green, blue


def gray_shade(rng: random.Random, anchors: Sequence[RGB], spread: int = 9) -> RGB:
    """Like `shade`, with one shift for all channels, so that grey stays grey."""
    shift = rng.randint(-spread, spread)
    level = max(0, min(255, rng.choice(anchors)[0] + shift))
    return level, level, level


def sample_scene(rng: random.Random, *, count: int | None = None, text: bool | None = None) -> Scene:
    """Draw a scene from the world.

    Args:
        rng: The only source of chance.
        count: Number of objects, 0 to 5; sampled if None. Fewer where no more find a place.
        text: Whether there is a line of text; sampled if None.
    """
    background = rng.choice(tuple(BACKGROUNDS))
    ground = _ground(rng, background)
    line = _sample_text(rng, ground) if (rng.random() < 0.55 if text is None else text) else None
    wanted = rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5)) if count is None else count
    objects: list[Object] = []
    for _ in range(4):
        objects = _sample_objects(rng, wanted, ground, line)
        if len(objects) == wanted:
            break
    objects.sort(key=lambda thing: (thing.cell, thing.x))
    return Scene(
        background=background,
        ground=ground,
        objects=tuple(objects),
        text=line,
        seed=rng.getrandbits(32),
        supersampling=rng.choice((1, 1, 2, 2, 2, 3, 4)),
        grain=rng.choice((0, 0, 2, 4, 8)),
        slope=(rng.uniform(-9, 9), rng.uniform(-9, 9)) if rng.random() < 0.15 else (0.0, 0.0),
        jpeg=rng.randint(45, 95) if rng.random() < 0.2 else 0,
    )


def _ground(rng: random.Random, background: str) -> RGB:
    anchors = BACKGROUNDS[background]
    if background in {"white", "black", "gray"}:
        return gray_shade(rng, anchors, spread=0 if rng.random() < 0.4 else 8)
    return shade(rng, anchors, spread=7)


def color_shade(rng: random.Random, color: str) -> RGB:
    """One shade of a named object colour; a third of them are an anchor itself."""
    spread = 0 if rng.random() < 0.33 else 10
    pick = gray_shade if color in {"black", "gray", "white"} else shade
    return pick(rng, COLORS[color], spread)


def _sample_text(rng: random.Random, ground: RGB) -> Text:
    if rng.random() < 0.2:
        characters = rng.choice(WORDS)
    else:
        characters = "".join(rng.choice(ALPHABET) for _ in range(rng.choice((2, 3, 3, 4, 4, 5, 5))))
    advance = rng.uniform(15.0, 18.0)
    size = rng.randint(17, 21)
    half = advance * len(characters) / 2
    x = rng.uniform(3 + half, PICTURE_SIZE - 3 - half)
    y = rng.uniform(12, PICTURE_SIZE - 12)
    dark = sum(ground) / 3 < 128
    rgb: RGB = (245, 245, 245) if dark else (12, 12, 12)
    if rng.random() < 0.25:
        for _ in range(8):
            candidate = color_shade(rng, rng.choice(tuple(COLORS)))
            if contrast(candidate, ground) > 190:
                rgb = candidate
                break
    centers = tuple((x - half + (index + 0.5) * advance, y) for index in range(len(characters)))
    return Text(characters, rng.choice(FONTS), size, rgb, centers)


def _sample_objects(rng: random.Random, wanted: int, ground: RGB, text: Text | None) -> list[Object]:
    colors = list(COLORS) if rng.random() < 0.6 else rng.sample(list(COLORS), 3)
    shapes = list(SHAPES) if rng.random() < 0.6 else rng.sample(SHAPES, 2)
    one_per_cell = rng.random() < 0.85
    sizes = sorted(rng.choice(SIZES) for _ in range(wanted))  # "large" comes first in the alphabet, and is placed first
    placed: list[Object] = []
    for size in sizes:
        radius = rng.uniform(*(_LARGE_RADIUS if size == "large" else _SMALL_RADIUS))
        if size == "large" and wanted <= 3 and rng.random() < 0.4:
            radius = rng.uniform(*_HUGE_RADIUS)
        spot = _find_place(rng, radius, placed, text, one_per_cell)
        if spot is None and size == "large":
            radius = _LARGE_RADIUS[0]
            spot = _find_place(rng, radius, placed, text, one_per_cell)
        if spot is None:
            continue
        placed.append(_sample_object(rng, colors, shapes, size, radius, spot, ground))
    return placed


def _find_place(
    rng: random.Random, radius: float, placed: Sequence[Object], text: Text | None, one_per_cell: bool
) -> tuple[float, float] | None:
    taken = {thing.cell for thing in placed} if one_per_cell else set()
    free = [cell for cell in range(9) if cell not in taken]
    for _ in range(24):
        cell = rng.choice(free)
        row, column = divmod(cell, 3)
        x = _within(rng, column, radius)
        y = _within(rng, row, radius)
        if x is None or y is None:
            continue
        if any(math.dist((x, y), (o.x, o.y)) < 1.08 * (radius + o.radius) + 1.5 for o in placed):
            continue
        if text is not None and _hits_text(x, y, radius, text):
            continue
        return x, y
    return None


def _within(rng: random.Random, index: int, radius: float) -> float | None:
    """A coordinate in the row or column `index` at which the object stays inside the picture."""
    low = max(index * _CELL + _CELL_MARGIN, 1.02 * radius + 1)
    high = min((index + 1) * _CELL - _CELL_MARGIN, PICTURE_SIZE - 1.02 * radius - 1)
    return rng.uniform(low, high) if low <= high else None


def _hits_text(x: float, y: float, radius: float, text: Text) -> bool:
    left, right = text.centers[0][0] - 9, text.centers[-1][0] + 9
    height = text.size * 0.5 + 1.5
    dx = max(left - x, 0.0, x - right)
    dy = max(abs(y - text.centers[0][1]) - height, 0.0)
    return math.hypot(dx, dy) < 1.05 * radius


def _sample_object(
    rng: random.Random,
    colors: Sequence[str],
    shapes: Sequence[str],
    size: str,
    radius: float,
    spot: tuple[float, float],
    ground: RGB,
) -> Object:
    color, rgb = _visible_color(rng, colors, ground)
    shape = rng.choice(shapes)
    hollow = shape in {"square", "rectangle", "triangle", "diamond", "star"} and radius > 12 and rng.random() < 0.1
    outline: RGB | None = None
    if not hollow and radius > 9 and shape != "ring" and rng.random() < 0.2:
        outline = rng.choice(((0, 0, 0), (255, 255, 255), (60, 60, 60), (20, 20, 20)))
    return Object(
        shape=shape,
        color=color,
        rgb=rgb,
        size=size,
        x=spot[0],
        y=spot[1],
        radius=radius,
        angle=0.0 if rng.random() < 0.4 else rng.uniform(-0.22, 0.22),
        stretch=rng.random(),
        variant=rng.randrange(8),
        hollow=hollow,
        outline=outline,
    )


def _visible_color(rng: random.Random, colors: Sequence[str], ground: RGB) -> tuple[str, RGB]:
    for source in (colors, colors, colors, colors, tuple(COLORS)):
        for _ in range(4):
            color = rng.choice(source)
            rgb = color_shade(rng, color)
            if contrast(rgb, ground) > LEAST_CONTRAST:
                return color, rgb
    color = "yellow" if sum(ground) < 384 else "red"
    return color, COLORS[color][0]
