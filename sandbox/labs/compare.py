"""Two settings of anything, side by side: how far apart the stages come, and whether the answers do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sandbox.errors import BadOption
from sandbox.images import ImageSource
from sandbox.labs.preprocessing import (
    FITS,
    MEANS_AND_STDS,
    NORMALIZATIONS,
    Fit,
    Normalization,
    own_fit,
    own_mean_and_std,
    own_side,
    preprocessing,
)
from sandbox.request import Reply, Request
from sandbox.trace import STAGES, StageOutput

if TYPE_CHECKING:
    from sandbox.checkpoint import Checkpoint
    from sandbox.engine import Engine


@dataclass(frozen=True)
class Variant:
    """One setting; what is None is as the checkpoint has it."""

    prompt: str
    side: int | None = None
    """Side of the processed picture, in pixels; a multiple of the patch."""
    fit: Fit | None = None
    normalization: Normalization | None = None
    feature_layer: int | None = None
    temperature: float = 0.0
    seed: int | None = None

    def request(self, images: Sequence[ImageSource], checkpoint: Checkpoint) -> Request:
        """Return what the engine is asked, with a function in the place of `preprocess` where that differs.

        Raises:
            BadOption: There is no such fit, normalization, side, layer or temperature.
        """
        replace: dict[str, Callable[..., Any]] = {}
        if (self.side, self.fit, self.normalization) != (None, None, None):
            replace["preprocess"] = self._preprocess(checkpoint)
        return Request(
            self.prompt,
            images,
            feature_layer=self.feature_layer,
            temperature=self.temperature,
            seed=self.seed,
            replace=replace,
            keep=True,
        )

    def _preprocess(self, checkpoint: Checkpoint) -> Callable[..., np.ndarray]:
        if checkpoint.tiled:
            raise BadOption(
                "This model cuts a picture into tiles; resolution, fit and normalization are compared where it sees "
                "one square. Leave them as the model's."
            )
        processor, patch = checkpoint.processor.image_processor, checkpoint.patch_size
        if self.side is not None and self.side % patch:
            raise BadOption(f"The resolution must be a multiple of the patch, {patch} pixels; {self.side} was given.")
        if self.fit not in (None, *FITS):
            raise BadOption(f"There is no fit {self.fit!r}. Choose {', '.join(FITS)}.")
        if self.normalization not in (None, *NORMALIZATIONS):
            raise BadOption(f"There is no normalization {self.normalization!r}. Choose {', '.join(NORMALIZATIONS)}.")
        return preprocessing(
            self.side or own_side(processor),
            self.fit or own_fit(processor),
            MEANS_AND_STDS[self.normalization] if self.normalization else own_mean_and_std(processor),
            resample=processor.resample,
        )


@dataclass(frozen=True)
class Difference:
    """How far apart two settings come at a stage. Figures are None where the shapes differ, or don't apply."""

    stage: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    """Of all pictures' rows together, where a stage gives one array for each picture."""
    max_abs: float | None = None
    mean_abs: float | None = None
    cosine: float | None = None
    """Of all values as one vector each."""
    unequal: int | None = None
    """Of token ids: how many places differ."""

    @property
    def same(self) -> bool:
        """Whether every value is equal."""
        return self.max_abs == 0 or self.unequal == 0


@dataclass(frozen=True)
class Comparison:
    """Both answers, and the stages in order; those that neither came through are left out."""

    replies: tuple[Reply, Reply]
    differences: tuple[Difference, ...]

    @property
    def same_answer(self) -> bool:
        """Whether both gave the same tokens."""
        return self.replies[0].tokens == self.replies[1].tokens

    @property
    def first_difference(self) -> str | None:
        """The first stage at which anything differs; None if nothing does."""
        return next((found.stage for found in self.differences if not found.same), None)


def compare(engine: Engine, first: Variant, second: Variant, images: Sequence[ImageSource]) -> Comparison:
    """Answer under both settings, together in one batch, and measure how far apart every stage comes.

    Raises:
        BadInput: As `Variant.request` and `Engine.answer_many`.
    """
    left, right = engine.answer_many([variant.request(images, engine.checkpoint) for variant in (first, second)])
    arrays = (left.trace.arrays, right.trace.arrays)
    differences = [
        difference(stage, arrays[0][stage], arrays[1][stage])
        for stage in STAGES
        if stage in arrays[0] and stage in arrays[1]
    ]
    return Comparison((left, right), tuple(differences))


def difference(stage: str, first: StageOutput, second: StageOutput) -> Difference:
    """Measure how far apart a stage's two outputs are.

    `max_abs` and `mean_abs` are of the element-wise difference, `cosine` is a.b / (|a| |b|) of all values as vectors.
    """
    shapes = (_shape(first), _shape(second))
    left, right = _flat(first), _flat(second)
    if shapes[0] != shapes[1] or left.shape != right.shape:
        return Difference(stage, shapes)
    if left.ndim == 1 and np.issubdtype(left.dtype, np.integer) and stage in ("prompt", "generate"):
        return Difference(stage, shapes, unequal=int((left != right).sum()))
    a, b = left.astype(np.float64), right.astype(np.float64)
    apart = np.abs(a - b)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    cosine = float(a @ b) / lengths if lengths else None
    return Difference(stage, shapes, float(apart.max()), float(apart.mean()), cosine)


def _shape(output: StageOutput) -> tuple[int, ...]:
    if isinstance(output, np.ndarray):
        return output.shape
    if len({array.shape for array in output}) == 1:
        return (len(output), *output[0].shape)
    return (sum(len(array) for array in output), *output[0].shape[1:])


def _flat(output: StageOutput) -> np.ndarray:
    return output.ravel() if isinstance(output, np.ndarray) else np.concatenate([array.ravel() for array in output])
