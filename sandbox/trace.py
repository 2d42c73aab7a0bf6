"""What each stage of an answer took in, gave out and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from PIL import Image

from sandbox.cache import CacheUse
from sandbox.receipt import Receipt

STAGES = ("open", "preprocess", "encode", "select", "reduce", "project", "prompt", "merge", "generate")
"""Names of the stages, in order."""

StageOutput = np.ndarray | list[np.ndarray]
"""An array, or one for each picture."""


@dataclass(frozen=True)
class ArraySummary:
    """What an array, or a list of things, looks like without its numbers."""

    shape: tuple[int, ...]
    dtype: str
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None

    @classmethod
    def of(cls, value: Any) -> ArraySummary:
        """Summarize an array; of a list of arrays, all rows as one; of pictures or text, the number and kind."""
        if isinstance(value, np.ndarray):
            return cls._of_array(value.shape, value)
        if isinstance(value, str):
            return cls((len(value),), "characters")
        if isinstance(value, list | tuple) and value and all(isinstance(item, np.ndarray) for item in value):
            if len({item.shape for item in value}) == 1:
                return cls._of_array((len(value), *value[0].shape), np.stack(value))
            rows = np.concatenate(value)
            return cls._of_array(rows.shape, rows)
        if isinstance(value, list | tuple) and value and all(isinstance(item, int) for item in value):
            return cls._of_array((len(value),), np.asarray(value, np.int64))
        kinds = {item.mode if isinstance(item, Image.Image) else type(item).__name__ for item in value}
        return cls((len(value),), " ".join(sorted(kinds)) or "nothing")

    @classmethod
    def _of_array(cls, shape: tuple[int, ...], array: np.ndarray) -> ArraySummary:
        if not array.size:
            return cls(shape, str(array.dtype))
        return cls(shape, str(array.dtype), float(array.min()), float(array.max()), float(array.mean()))


@dataclass(frozen=True)
class StageRecord:
    """One stage of one answer."""

    name: str
    seconds: float
    input: ArraySummary
    output: ArraySummary
    note: str = ""
    replaced: bool = False
    """Whether a given function stood in the stage's place."""


@dataclass(frozen=True)
class Segment:
    """A stretch of the prompt's tokens: text, or one picture's."""

    kind: Literal["text", "image"]
    start: int
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    """Each token as text; empty for a picture."""
    image: int | None = None
    """Which picture, counted from 0."""

    @property
    def count(self) -> int:
        """Number of tokens."""
        return len(self.ids)


@dataclass(frozen=True)
class Trace:
    """The course of one answer. Times are seconds by a monotonic clock."""

    model: str
    device: str
    dtype: str
    stages: tuple[StageRecord, ...]
    tokens: tuple[Segment, ...]
    """The prompt's tokens in order, text and pictures."""
    answer_pieces: tuple[str, ...]
    """The answer's tokens as text, the end token included."""
    finish: Literal["end", "length", "stopped"]
    """Why the answer ended: the model's end token, the longest allowed, or somebody stopped it."""
    seconds: float
    """From the call to the whole answer, waiting for the model included."""
    first_token_seconds: float
    """From the call to the first token."""
    token_seconds: tuple[float, ...]
    """Of each token: the first from the start of prefill, the others from the token before."""
    batch: int
    """Most answers that were under way together in one of its steps, itself included."""
    seed: int | None
    patch_grid: tuple[int, int] | None
    """Rows and columns of patches in a processed picture; None without pictures."""
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    pixels: np.ndarray | None = field(repr=False, compare=False)
    """What the vision tower saw, float32 (T, 3, H, W), a picture's tiles together; None without pictures."""
    tiles: tuple[int, ...] = ()
    """Squares of each picture that the vision tower saw: 1, or an overview and its tiles."""
    server: str = ""
    """Which server answered, where none of the model's stages can be seen."""
    server_counts: tuple[int, int] | None = None
    """Tokens of prompt and answer as that server counts them."""
    arrays: Mapping[str, StageOutput] = field(default_factory=dict, repr=False, compare=False)
    """What each stage gave out, by name, where the request asked for it with `keep`; never part of the summary.

    open: one uint8 (H, W, 3) for each picture; preprocess float32 (T, 3, S, S), T the tiles of all pictures; encode
    (T, t, d); select (T, P, d); reduce one (P_i, d) for each tile; project one (rows, D) for each picture; prompt int64
    (L,); merge float32 (L, D); generate int64 (n,), the answer's tokens. Stages that were passed over are absent.
    """

    waited_seconds: float = 0.0
    """Of the first token's: until there was room for the request, and a slot for its answer."""
    caches: tuple[CacheUse, ...] = ()
    """What the caches gave, of those that were asked."""
    receipt: Receipt | None = None
    """What it was computed with, and the digest of its numbers; None where a function stood in `generate`'s place."""
    logits: np.ndarray | None = field(default=None, repr=False, compare=False)
    """float32 (n, vocabulary), of each step, where the request asked for them with `keep`."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens that the language model read before the answer, pictures included."""
        if self.server_counts:
            return self.server_counts[0]
        return sum(segment.count for segment in self.tokens)

    @property
    def image_tokens(self) -> int:
        """Tokens of the pictures among them."""
        return sum(segment.count for segment in self.tokens if segment.kind == "image")

    @property
    def new_tokens(self) -> int:
        """Tokens of the answer."""
        if self.server_counts:
            return self.server_counts[1]
        return len(self.answer_pieces)

    @property
    def tokens_per_second(self) -> float | None:
        """Speed after the first token; None for an answer of one token, or where a server didn't count them."""
        if self.server_counts:
            seconds = self.seconds - self.first_token_seconds
            return (self.new_tokens - 1) / seconds if self.new_tokens > 1 and seconds > 0 else None
        rest = self.token_seconds[1:]
        return len(rest) / sum(rest) if rest else None

    def stage(self, name: str) -> StageRecord:
        """Return the record of a stage; KeyError if there is none of this name."""
        for record in self.stages:
            if record.name == name:
                return record
        raise KeyError(name)

    def processed_image(self, index: int = 0) -> Image.Image:
        """Return a picture as the vision tower saw it; `patch_grid` says how it is cut.

        Args:
            index: Which square: a picture, or a tile where pictures are cut.

        Returns:
            RGB; normalisation undone as `255 * (pixel * std + mean)`, clipped to 0..255.

        Raises:
            IndexError: There is no such square.
        """
        if self.pixels is None or not 0 <= index < len(self.pixels):
            raise IndexError(index)
        mean, std = (np.reshape(values, (3, 1, 1)) for values in (self.image_mean, self.image_std))
        levels = np.rint(255 * (self.pixels[index] * std + mean)).clip(0, 255).astype(np.uint8)
        return Image.fromarray(levels.transpose(1, 2, 0))

    def summary(self) -> dict[str, Any]:
        """Return the trace as JSON-able data, without pixels and without the ids of picture tokens."""
        return {
            "model": self.model,
            "server": self.server,
            "device": self.device,
            "dtype": self.dtype,
            "stages": [asdict(record) for record in self.stages],
            "tokens": [_segment_summary(segment) for segment in self.tokens],
            "answer_pieces": list(self.answer_pieces),
            "finish": self.finish,
            "seconds": self.seconds,
            "first_token_seconds": self.first_token_seconds,
            "token_seconds": list(self.token_seconds),
            "tokens_per_second": self.tokens_per_second,
            "batch": self.batch,
            "seed": self.seed,
            "patch_grid": list(self.patch_grid) if self.patch_grid else None,
            "tiles": list(self.tiles),
            "waited_seconds": self.waited_seconds,
            "caches": [asdict(use) for use in self.caches],
            "receipt": self.receipt.summary() if self.receipt else None,
            "prompt_tokens": self.prompt_tokens,
            "image_tokens": self.image_tokens,
            "new_tokens": self.new_tokens,
        }


def segments(ids: Sequence[int], pieces: Sequence[str], image_token: int, counts: Sequence[int]) -> tuple[Segment, ...]:
    """Split a prompt into stretches of text and pictures.

    Args:
        ids: The prompt's tokens, pictures expanded.
        pieces: Each token as text.
        image_token: Id of a picture's tokens.
        counts: Tokens of each picture, in order; their sum is the number of `image_token` in `ids`.
    """
    found: list[Segment] = []
    start, image = 0, 0
    while start < len(ids):
        if ids[start] == image_token and image < len(counts) and counts[image]:
            end = start + counts[image]
            found.append(Segment("image", start, tuple(ids[start:end]), (), image))
            image += 1
        else:
            end = start + 1
            while end < len(ids) and ids[end] != image_token:
                end += 1
            found.append(Segment("text", start, tuple(ids[start:end]), tuple(pieces[start:end])))
        start = end
    return tuple(found)


def to_output(value: Any) -> StageOutput:
    """Return what a stage gave out as arrays of its own: pictures as uint8 (H, W, 3), token ids as int64."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if all(isinstance(item, int) for item in value):
        return np.asarray(value, np.int64)
    return [np.array(item) for item in value]


def _segment_summary(segment: Segment) -> dict[str, Any]:
    summary: dict[str, Any] = {"kind": segment.kind, "start": segment.start, "count": segment.count}
    if segment.kind == "image":
        return {**summary, "image": segment.image}
    return {**summary, "ids": list(segment.ids), "pieces": list(segment.pieces)}
