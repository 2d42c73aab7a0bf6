"""Simple pictures by another hand, as someone makes them in a paint program: how far does the world's drawing carry?

Nothing here uses the world's drawing code: other sizes of picture, pure colours, hard edges, other proportions.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from sandbox.tiny.questions import Question

PURE = {
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "orange": (255, 165, 0),
    "purple": (128, 0, 128),
    "black": (0, 0, 0),
}
"""CSS colours that show on white."""

_CANVASES = ((320, 240), (512, 512), (256, 256), (640, 480), (300, 300))
_KINDS = ("circle", "square", "equilateral triangle", "right triangle", "rectangle")


@dataclass(frozen=True)
class Drawing:
    """A picture with the names and colours of its one to three shapes."""

    image: Image.Image
    shapes: tuple[str, ...]
    colors: tuple[str, ...]


def sketch(rng: random.Random) -> Drawing:
    """One to three shapes side by side in the middle square of a white picture, so that a centre crop keeps them."""
    width, height = rng.choice(_CANVASES)
    side = min(width, height)
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    number = rng.randint(1, 3)
    room = side / number
    names, colors = [], rng.sample(list(PURE), number)
    left = (width - side) / 2
    for index, color in enumerate(colors):
        kind = rng.choice(_KINDS)
        half = room * rng.uniform(0.24, 0.42)
        if number == 1:
            half = side * rng.uniform(0.12, 0.27)
        x = left + room * (index + 0.5)
        y = rng.uniform(half + 4, height - half - 4)
        _put(pen, kind, x, y, half, PURE[color])
        names.append("triangle" if "triangle" in kind else kind)
    return Drawing(image, tuple(names), tuple(colors))


def _put(pen: ImageDraw.ImageDraw, kind: str, x: float, y: float, half: float, fill: tuple[int, int, int]) -> None:
    match kind:
        case "circle":
            pen.ellipse([x - half, y - half, x + half, y + half], fill=fill)
        case "square":
            pen.rectangle([x - half, y - half, x + half, y + half], fill=fill)
        case "rectangle":
            pen.rectangle([x - half, y - half * 0.5, x + half, y + half * 0.5], fill=fill)
        case "equilateral triangle":
            top = math.sqrt(3) * half
            pen.polygon([(x - half, y + top / 2), (x + half, y + top / 2), (x, y - top / 2)], fill=fill)
        case _:
            pen.polygon([(x - half, y - half), (x - half, y + half), (x + half, y + half)], fill=fill)


def ask_about(rng: random.Random, drawing: Drawing, task: str) -> Question | None:
    """A question of one of the tasks `color`, `shape`, `count`; None where it would be ambiguous."""
    index = rng.randrange(len(drawing.shapes))
    shape, color = drawing.shapes[index], drawing.colors[index]
    if task == "color":
        if drawing.shapes.count(shape) > 1:
            return None
        return Question(task, f"What color is the {shape}?", color, f"The {shape} is {color}.")
    if task == "shape":
        return Question(task, f"What shape is {color}?", shape, f"The {color} shape is a {shape}.")
    number = len(drawing.shapes)
    return Question(task, "How many shapes are there?", str(number), f"There are {number} shapes.")
