"""Scenes that a person puts together: shapes on the 3 x 3 grid and one line of text, drawn as the model knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sandbox.errors import BadOption
from sandbox.tiny.scene import (
    ALPHABET,
    BACKGROUNDS,
    COLORS,
    LEAST_CONTRAST,
    MOST_OBJECTS,
    PICTURE_SIZE,
    POSITIONS,
    SHAPES,
    SIZES,
    Object,
    Scene,
    Text,
    contrast,
)

SHORTEST_TEXT, LONGEST_TEXT = 2, 5
ROWS = ("top", "middle", "bottom")

_CELL = PICTURE_SIZE / 3
_RADIUS = {"small": 8.0, "large": 15.0}  # the middles of what the world samples
_ADVANCE, _FONT_SIZE = 16.5, 19  # of a character, in pixels; as above
_LIGHT, _DARK = (245, 245, 245), (12, 12, 12)


class Placed(NamedTuple):
    """A shape in a cell; `cell` is an index into `POSITIONS`."""

    shape: str
    color: str
    size: str
    cell: int


def compose(background: str, placed: Sequence[Placed], text: str = "", row: str = "bottom") -> Scene:
    """Return the scene, its shapes in the middles of their cells and the text across its row.

    Raises:
        BadOption: The world has nothing like it, two things are in one place, or a shape can't be seen on its ground.
    """
    if background not in BACKGROUNDS:
        raise BadOption(f"There is no ground {background!r}. Choose {', '.join(BACKGROUNDS)}.")
    ground = BACKGROUNDS[background][0]
    if len(placed) > MOST_OBJECTS:
        raise BadOption(f"A scene has at most {MOST_OBJECTS} shapes, as those that the model learned from. Remove one.")
    if len({thing.cell for thing in placed}) < len(placed):
        raise BadOption("Two shapes are in one cell. Move one of them.")
    line = _line(text.strip().upper(), row, dark=sum(ground) / 3 < 128)
    if line is not None and any(thing.cell // 3 == ROWS.index(row) for thing in placed):
        raise BadOption(f"The text takes the whole {row} row. Put the shapes or the text elsewhere.")
    objects = tuple(_object(thing, background) for thing in sorted(placed, key=lambda thing: thing.cell))
    return Scene(background, ground, objects, line)


def _object(thing: Placed, background: str) -> Object:
    if thing.shape not in SHAPES or thing.color not in COLORS or thing.size not in SIZES:
        raise BadOption(f"The model knows no {thing.size} {thing.color} {thing.shape}. Choose from the lists.")
    if not 0 <= thing.cell < len(POSITIONS):
        raise BadOption("A shape's place is one of the nine cells.")
    ground = BACKGROUNDS[background][0]
    rgb = max(COLORS[thing.color], key=lambda shade: contrast(shade, ground))
    if contrast(rgb, ground) <= LEAST_CONTRAST:
        raise BadOption(f"A {thing.color} {thing.shape} can hardly be seen on {background}. Choose another color.")
    row, column = divmod(thing.cell, 3)
    return Object(
        shape=thing.shape,
        color=thing.color,
        rgb=rgb,
        size=thing.size,
        x=(column + 0.5) * _CELL,
        y=(row + 0.5) * _CELL,
        radius=_RADIUS[thing.size],
    )


def _line(text: str, row: str, *, dark: bool) -> Text | None:
    if not text:
        return None
    if row not in ROWS:
        raise BadOption(f"There is no row {row!r}. Choose {', '.join(ROWS)}.")
    if unknown := sorted(set(text) - set(ALPHABET)):
        raise BadOption(f"The model can't read {' '.join(unknown)}. It knows the characters {ALPHABET}.")
    if not SHORTEST_TEXT <= len(text) <= LONGEST_TEXT:
        raise BadOption(
            f"A text has {SHORTEST_TEXT} to {LONGEST_TEXT} characters, as those that the model learned from; "
            f"this one has {len(text)}."
        )
    left = (PICTURE_SIZE - _ADVANCE * len(text)) / 2
    y = (ROWS.index(row) + 0.5) * _CELL
    centers = tuple((left + (index + 0.5) * _ADVANCE, y) for index in range(len(text)))
    return Text(text, "DejaVuSans-Bold", _FONT_SIZE, _LIGHT if dark else _DARK, centers)
