"""The stages before `generate`, in order, each written down and each replaceable."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from sandbox.checkpoint import Checkpoint
from sandbox.errors import BadInput, BadOption, StageFailed
from sandbox.request import Request
from sandbox.settings import SandboxSettings
from sandbox.stages import encode, generate, merge, preprocess, project, prompt, reduce, select
from sandbox.stages import open as opening
from sandbox.tiles import Layout
from sandbox.trace import STAGES, ArraySummary, Segment, StageOutput, StageRecord, segments, to_output

T = TypeVar("T")

ANSWER_LENGTH = 128
"""Longest answer in tokens where neither the request nor the checkpoint says."""
MODEL_STAGES = frozenset({"encode", "project"})
"""Stages that run in the model's thread; `generate` does too, a batch at a time."""


@dataclass
class Run:
    """A request on its way through the stages."""

    request: Request
    started: float
    """By `time.perf_counter()`."""
    records: list[StageRecord] = field(default_factory=list)
    arrays: dict[str, StageOutput] = field(default_factory=dict)
    """What the stages gave out, where the request keeps it."""
    pixels: np.ndarray | None = None
    tiles: tuple[int, ...] = ()
    """Squares of each picture, as they went through the vision tower."""
    tokens: tuple[Segment, ...] = ()
    answer: generate.Answer = field(init=False)
    """Set once every stage before `generate` has run."""
    batch: int = 1
    """Number of requests generated together."""

    def record(
        self, name: str, seconds: float, taken: Any, given: Any, *, note: str = "", replaced: bool = False
    ) -> None:
        """Write down a stage, and keep what it gave out if the request asks for it."""
        if self.request.keep and len(given):
            self.arrays[name] = to_output(given)
        self.records.append(
            StageRecord(name, seconds, ArraySummary.of(taken), ArraySummary.of(given), note=note, replaced=replaced)
        )

    def note(self, text: str) -> None:
        """Say more about the stage that ran last."""
        self.records[-1] = replace(self.records[-1], note=text)

    def replaced(self, name: str, accept: Callable[[Any], T], *inputs: Any) -> T:
        """Run what the request puts in a stage's place; StageFailed if it raises or breaks the stage's contract."""
        try:
            output, seconds = timed(self.request.replace[name], *inputs)
        except BadInput:
            raise
        except Exception as error:
            raise StageFailed(
                f"The function in the place of '{name}' failed: {type(error).__name__}: {error}"
            ) from error
        accepted = accept(output)
        self.record(name, seconds, inputs[0], accepted, replaced=True)
        return accepted


class Pipeline:
    """Takes a request to where the language model begins to answer."""

    def __init__(self, checkpoint: Checkpoint, settings: SandboxSettings, in_turn: Callable[..., Any]) -> None:
        """Take a model, the limits, and `in_turn(function, *inputs)`, which runs a function in the model's thread."""
        self._checkpoint = checkpoint
        self._settings = settings
        self._in_turn = in_turn

    def prepare(self, request: Request) -> Run:
        """Run every stage before `generate`; BadInput if a stage refuses what it gets."""
        run = Run(request, time.perf_counter())
        limit = self._answer_limit(request)
        prompt.check_prompt(request.prompt, len(request.images), self._settings)
        features = self._see(run) if request.images else self._see_nothing(run)
        ids = self._write(run, [len(rows) for rows in features])
        checkpoint = self._checkpoint
        run.answer = generate.Answer(
            self._stage(
                run,
                "merge",
                partial(merge.merge, image_token=checkpoint.image_token),
                partial(merge.accept, length=len(ids), width=checkpoint.width),
                ids,
                self._in_turn(checkpoint.embed, ids),
                features,
            ),
            limit=min(limit, checkpoint.context - len(ids)),
            temperature=request.temperature,
            seed=secrets.randbits(62) if request.seed is None else request.seed,
            on_text=request.on_token,
        )
        return run

    def _see(self, run: Run) -> list[np.ndarray]:
        """Turn the pictures into features in the language model's space, float32 (rows, D) each."""
        checkpoint, count = self._checkpoint, len(run.request.images)
        images = self._stage(
            run,
            "open",
            partial(opening.open_sources, settings=self._settings),
            partial(opening.accept, count=count),
            list(run.request.images),
        )
        run.note(", ".join(f"{image.width} x {image.height}" for image in images))
        layouts = checkpoint.layouts([image.size for image in images])
        counts = [layout.tiles for layout in layouts]
        run.pixels = self._stage(
            run,
            "preprocess",
            partial(preprocess.preprocess, processor=checkpoint.processor.image_processor, layouts=layouts),
            partial(preprocess.accept, counts=counts),
            images,
        )
        squares = len(run.pixels)
        run.tiles = tuple(counts) if squares == sum(counts) else (1,) * count
        if checkpoint.tiled:
            run.note("; ".join(str(layout) for layout in layouts) if squares == sum(counts) else "1 square each")
        layer = checkpoint.feature_layer if run.request.feature_layer is None else run.request.feature_layer
        hidden = self._stage(
            run,
            "encode",
            partial(encode.encode, checkpoint=checkpoint, layer=layer),
            partial(encode.accept, count=squares),
            run.pixels,
        )
        run.note(f"layer {layer}")
        selected = self._stage(
            run,
            "select",
            partial(select.select, strategy=checkpoint.strategy),
            partial(select.accept, count=squares),
            hidden,
        )
        run.note(checkpoint.strategy)
        reduced = self._stage(run, "reduce", reduce.reduce, partial(reduce.accept, count=squares), selected)
        features = self._stage(
            run,
            "project",
            partial(project.project, checkpoint=checkpoint, layouts=layouts),
            partial(self._packed, layouts=layouts, squares=squares),
            reduced,
        )
        if checkpoint.tiled:
            run.note("; ".join(_packing(layout, len(rows)) for layout, rows in zip(layouts, features, strict=True)))
        return features

    def _packed(self, value: Any, layouts: list[Layout], squares: int) -> list[np.ndarray]:
        """Check what a function in the place of `project` returned for each tile, and pack each picture's tiles."""
        tiles = project.accept(value, squares, self._checkpoint.width)
        return self._in_turn(project.pack, tiles, self._checkpoint, layouts) if self._checkpoint.tiled else tiles

    def _see_nothing(self, run: Run) -> list[np.ndarray]:
        for name in STAGES[: STAGES.index("prompt")]:
            run.record(name, 0.0, [], [], note="no pictures")
        return []

    def _write(self, run: Run, counts: list[int]) -> np.ndarray:
        """Write the prompt as ids, int64 (L,), with `counts[i]` image tokens for picture i."""
        checkpoint = self._checkpoint
        ids = self._stage(
            run,
            "prompt",
            partial(prompt.prompt, checkpoint=checkpoint),
            partial(prompt.accept, vocabulary=checkpoint.vocabulary),
            run.request.prompt,
            counts,
        )
        prompt.check_length(ids, checkpoint.context)
        pieces = prompt.token_pieces(ids.tolist(), checkpoint.tokenizer)
        run.tokens = segments(ids.tolist(), pieces, checkpoint.image_token, counts)
        return ids

    def _stage(self, run: Run, name: str, own: Callable[..., T], accept: Callable[[Any], T], *inputs: Any) -> T:
        """Run a stage, or what the request puts in its place, and write down what it took, gave and cost."""
        if name in run.request.replace:
            return run.replaced(name, accept, *inputs)
        output, seconds = self._in_turn(timed, own, *inputs) if name in MODEL_STAGES else timed(own, *inputs)
        run.record(name, seconds, inputs[0], output)
        return output

    def _answer_limit(self, request: Request) -> int:
        most = self._settings.max_new_tokens
        if request.max_new_tokens is None:
            return min(most, self._checkpoint.answer_length or ANSWER_LENGTH)
        if request.max_new_tokens > most:
            raise BadOption(f"An answer may have at most {most} tokens; {request.max_new_tokens} were asked for.")
        return request.max_new_tokens


def _packing(layout: Layout, rows: int) -> str:
    """Return in words where a picture's tokens come from."""
    if rows == layout.tokens and layout.grid:
        return f"{rows} tokens: {layout.base} + {layout.rows} rows of {layout.columns} and a newline"
    return f"{rows} tokens with one newline"


def timed(function: Callable[..., T], *inputs: Any) -> tuple[T, float]:
    """Return what a function gives, and the seconds it took."""
    started = time.perf_counter()
    return function(*inputs), time.perf_counter() - started
