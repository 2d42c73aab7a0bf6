"""Video: a clip's frames, which of them to look at, and the chosen ones as pictures of one prompt.

Clips are animated pictures (GIF, WebP, PNG) or are drawn here. Sampling works on small gray thumbnails: `differences`
is the mean absolute difference of neighbours, 0 to 1.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from sandbox.errors import BadInput
from sandbox.tiny import draw, sample_scene

MOST_FRAMES = 600
MOST_PIXELS = 1_000_000  # of a frame
THUMBNAIL = 32  # pixels, the side of what frames are compared by
CUT = 0.15
"""Difference from which a step counts as a cut; within a shot of the drawn clips it stays under 0.03."""


class NotAClip(BadInput):
    """The file is no animated picture, or too large a one."""


@dataclass(frozen=True)
class Clip:
    """Frames as RGB, all of one size, and how many of them a second has."""

    frames: tuple[Image.Image, ...]
    fps: float

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return len(self.frames) / self.fps


def draw_clip(seed: int = 0, lengths: Sequence[int] = (40, 6, 30, 4, 16), fps: float = 10.0) -> Clip:
    """Draw a clip of shots of very uneven lengths, each a scene with a little noise that differs clearly from the last.

    Args:
        seed: Decides scenes and noise.
        lengths: Frames of each shot.
        fps: Frames a second.
    """
    chance, noise = Random(f"clip {seed}"), np.random.default_rng(seed)
    frames = list[Image.Image]()
    for length in lengths:
        picture = draw(sample_scene(chance, count=chance.randint(1, 3)))
        while frames and differences([frames[-1], picture])[0] < CUT + 0.05:
            picture = draw(sample_scene(chance, count=chance.randint(1, 3)))
        still = np.asarray(picture, np.int16)
        for _ in range(length):
            shaken = still + noise.integers(-5, 6, still.shape, np.int16)
            frames.append(Image.fromarray(shaken.clip(0, 255).astype(np.uint8)))
    return Clip(tuple(frames), fps)


def read_clip(data: bytes) -> Clip:
    """Read an animated picture.

    Raises:
        NotAClip: It is none, has one frame only, or too many or too large ones.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("GIF", "WEBP", "PNG")) as file:
            count = getattr(file, "n_frames", 1)
            if count < 2:
                raise NotAClip("This picture doesn't move. Give an animated GIF, WebP or PNG, or draw a clip.")
            if count > MOST_FRAMES or file.width * file.height > MOST_PIXELS:
                raise NotAClip(
                    f"This clip has {count} frames of {file.width} x {file.height}; at most {MOST_FRAMES} frames of "
                    f"{MOST_PIXELS / 1e6:g} megapixels are read here. Shorten it or scale it down."
                )
            milliseconds = float(file.info.get("duration") or 100)
            frames = tuple(frame.convert("RGB").copy() for frame in ImageSequence.Iterator(file))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise NotAClip("This file is no animated GIF, WebP or PNG, or it is cut off.") from error
    return Clip(frames, 1000 / max(10.0, milliseconds))


def differences(frames: Sequence[Image.Image]) -> np.ndarray:
    """Return the mean absolute difference of neighbouring frames' thumbnails, float32 (frames - 1,), 0 to 1."""
    side = (THUMBNAIL, THUMBNAIL)
    small = np.stack([np.asarray(frame.convert("L").resize(side, Image.Resampling.BOX)) for frame in frames])
    steps = np.abs(np.diff(small.astype(np.float32), axis=0)).mean(axis=(1, 2)) / 255
    return steps.astype(np.float32)


def first_frames(count: int, budget: int, steps: np.ndarray) -> list[int]:
    """Take the beginning."""
    return list(range(min(count, budget)))


def evenly(count: int, budget: int, steps: np.ndarray) -> list[int]:
    """Take the middles of equal stretches of time."""
    number = min(count, budget)
    return [int((part + 0.5) * count / number) for part in range(number)]


def largest_changes(count: int, budget: int, steps: np.ndarray) -> list[int]:
    """Take the first frame and those after the largest differences."""
    after = np.argsort(-steps, kind="stable")[: budget - 1] + 1
    return sorted({0, *(int(index) for index in after)})


def by_shot(count: int, budget: int, steps: np.ndarray) -> list[int]:
    """Take a frame from the middle of each shot, the longest first; what is left goes to the longest stretches."""
    starts = [0, *(int(cut) + 1 for cut in np.flatnonzero(steps >= CUT)), count]
    parts = [(start, end) for start, end in pairwise(starts) if end > start]
    parts = sorted(parts, key=lambda part: part[0] - part[1])[:budget]
    while len(parts) < min(count, budget):
        longest = max(parts, key=lambda part: part[1] - part[0])
        middle = sum(longest) // 2
        if middle == longest[0]:
            break
        parts.remove(longest)
        parts += [(longest[0], middle), (middle, longest[1])]
    return sorted((start + end) // 2 for start, end in parts)


STRATEGIES: dict[str, Callable[[int, int, np.ndarray], list[int]]] = {
    "evenly in time": evenly,
    "one a shot": by_shot,
    "largest changes": largest_changes,
    "the first frames": first_frames,
}


def sample(clip: Clip, strategy: str, budget: int) -> list[int]:
    """Return at most `budget` frame numbers by a strategy of `STRATEGIES`, rising; KeyError if there is no such one."""
    return STRATEGIES[strategy](len(clip.frames), budget, differences(clip.frames))


def shots_seen(clip: Clip, chosen: Sequence[int]) -> tuple[int, int]:
    """Return how many shots have a chosen frame, and how many there are."""
    shot = np.concatenate([[0], np.cumsum(differences(clip.frames) >= CUT)])
    return len({int(shot[index]) for index in chosen}), int(shot[-1]) + 1
