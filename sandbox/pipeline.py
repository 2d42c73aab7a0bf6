"""The stages before `generate`, in order, each written down and each replaceable."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from sandbox.admission import Cost
from sandbox.cache import CacheUse
from sandbox.caches import Caches, Features, Pixels
from sandbox.checkpoint import Checkpoint
from sandbox.errors import BadInput, StageFailed
from sandbox.images import content_key, upright_size
from sandbox.programs import Programs
from sandbox.request import Request, answer_limit, check_prompt
from sandbox.scheduler import Scheduler
from sandbox.settings import SandboxSettings
from sandbox.stages import encode, generate, merge, preprocess, project, prompt, reduce, select
from sandbox.stages import open as opening
from sandbox.tiles import Layout
from sandbox.trace import STAGES, ArraySummary, Segment, StageOutput, StageRecord, segments, to_output

T = TypeVar("T")

MODEL_STAGES = frozenset({"encode", "project"})
"""Stages that run in the vision tower's thread; `generate` runs in the language model's, a step at a time."""
LOOKING = ("encode", "select", "reduce", "project")
"""Stages that turn pixels into features."""
CACHED_STAGES = frozenset(STAGES[: STAGES.index("prompt")])
"""Stages whose results are cached. A request that replaces one neither reads nor fills a cache."""


@dataclass
class Run:
    """A request on its way through the stages."""

    request: Request
    started: float
    """By `time.perf_counter()`."""
    programs: Programs
    """What computes all of it."""
    records: list[StageRecord] = field(default_factory=list)
    arrays: dict[str, StageOutput] = field(default_factory=dict)
    """What the stages gave out, where the request keeps it."""
    pixels: np.ndarray | None = None
    tiles: tuple[int, ...] = ()
    """Squares of each picture, as they went through the vision tower."""
    tokens: tuple[Segment, ...] = ()
    answer: generate.Answer = field(init=False)
    """Set once every stage before `generate` has run."""
    uses: list[CacheUse] = field(default_factory=list)
    """What the caches gave."""
    waited: float = 0.0
    """Seconds until there was room for it."""

    def record(
        self, name: str, seconds: float, taken: Any, given: Any, *, note: str = "", replaced: bool = False
    ) -> None:
        """Write down a stage, and keep what it gave out if the request asks for it."""
        if self.request.keep and len(given):
            self.arrays[name] = to_output(given)
        before, after = (each if isinstance(each, ArraySummary) else ArraySummary.of(each) for each in (taken, given))
        self.records.append(StageRecord(name, seconds, before, after, note=note, replaced=replaced))

    def note(self, text: str) -> None:
        """Say more about the stage that ran last."""
        self.records[-1] = replace(self.records[-1], note=text)

    def replaced(self, name: str, accept: Callable[[Any], T], *inputs: Any) -> T:
        """Run what the request puts in a stage's place; StageFailed if it raises or breaks the stage's contract."""
        try:
            output, seconds = timed(self.request.replace[name], *map(_own, inputs))
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

    def __init__(self, checkpoint: Checkpoint, settings: SandboxSettings, scheduler: Scheduler, caches: Caches) -> None:
        """Take a model, the limits, what runs functions in the model's thread, and the caches."""
        self._checkpoint = checkpoint
        self._settings = settings
        self._scheduler = scheduler
        self._caches = caches
        self.group = 1
        """Pictures that are encoded together by the plain programs."""

    def cost(self, request: Request) -> Cost:
        """Return what a request takes, from its text and the headers of its pictures; nothing is decoded.

        Raises:
            BadInput: It can't be answered, as far as can be known from that.
        """
        checkpoint = self._checkpoint
        limit = answer_limit(request, self._checkpoint.answer_length, self._settings)
        check_prompt(request.prompt, len(request.images), self._settings)
        tokens = len(checkpoint.tokenizer(request.prompt.encode("utf-8", "replace").decode())["input_ids"])
        if not request.images or "open" in request.replace:
            return Cost(min(tokens + limit, self._scheduler.context), len(request.images))
        layouts = checkpoint.layouts(
            [upright_size(image) for image in opening.read_sources(request.images, self._settings)]
        )
        tokens += sum(layout.tokens for layout in layouts)
        if not request.replace:
            prompt.check_length(tokens, self._scheduler.context)
        return Cost(min(tokens + limit, self._scheduler.context), sum(layout.tiles for layout in layouts))

    def prepare(self, request: Request, started: float) -> Run:
        """Run every stage before `generate`; BadInput if a stage refuses what it gets."""
        run = Run(request, started, self._scheduler.programs)
        limit = answer_limit(request, self._checkpoint.answer_length, self._settings)
        prefix = b""
        if not request.images:
            features = self._see_nothing(run)
        elif self._cached(request) and (keys := self._keys(run)):
            features, prefix = self._see_cached(run, keys)
        else:
            features = self._see(run)
        ids = self._write(run, [len(rows) for rows in features])
        checkpoint = self._checkpoint
        split = self._split(ids)
        whole = prefix and not {"prompt", "merge"} & set(request.replace)
        run.answer = generate.Answer(
            self._stage(
                run,
                "merge",
                partial(merge.merge, image_token=checkpoint.image_token),
                partial(merge.accept, length=len(ids), width=checkpoint.width),
                ids,
                self._embed(ids, request),
                features,
            ),
            limit=min(limit, self._scheduler.context - len(ids)),
            temperature=request.temperature,
            seed=secrets.randbits(62) if request.seed is None else request.seed,
            split=split,
            prefix=hashlib.sha256(prefix + ids[:split].tobytes()).digest() if whole else None,
            logits=[] if request.keep else None,
        )
        return run

    def _split(self, ids: np.ndarray) -> int:
        """Return how many tokens reach up to the last picture; at least one follows."""
        places = np.flatnonzero(ids == self._checkpoint.image_token)
        return min(int(places[-1]) + 1, len(ids) - 1) if len(places) else 0

    def _embed(self, ids: np.ndarray, request: Request) -> np.ndarray:
        """Return the text's embeddings; on a CPU the lookup needs no turn, since it computes nothing."""
        if self._checkpoint.placement.device == "cpu":
            return self._checkpoint.embed(ids)
        return self._scheduler.call(self._checkpoint.embed, ids, user=request.user)

    def _cached(self, request: Request) -> bool:
        """Whether pictures may come from the caches: no stage that makes what they hold is replaced."""
        return request.cache and not request.keep and not CACHED_STAGES & set(request.replace)

    def _keys(self, run: Run) -> list[bytes]:
        """Return what tells the request's pictures from all others; nothing if one can't be told."""
        keys = [content_key(source) for source in run.request.images]
        return [key for key in keys if key] if all(keys) else []

    def _see_cached(self, run: Run, keys: list[bytes]) -> tuple[list[np.ndarray], bytes]:
        """Turn the pictures into features, each taken from a cache if it is there.

        Returns:
            The features, float32 (rows, D) for each picture, and what they are made of.
        """
        checkpoint, request, caches = self._checkpoint, run.request, self._caches
        several = checkpoint.tiled and len(keys) > 1  # LLaVA-OneVision then takes one square of each
        keys = [hashlib.sha256(caches.pixels_key + bytes([several]) + key).digest() for key in keys]
        seconds = {"open": 0.0, "preprocess": 0.0}

        def open_and_preprocess(indexes: list[int]) -> list[Pixels]:
            started = time.perf_counter()
            opened = list(range(len(keys))) if several else indexes  # of several, each one's tiles depend on the number
            images = opening.open_sources(request.images, self._settings, opened)
            between = time.perf_counter()
            layouts = checkpoint.layouts([image.size for image in images])
            made = []
            for place in map(opened.index, indexes):
                pixels = self._preprocess(images, layouts, place)
                pixels.flags.writeable = False
                made.append(Pixels(pixels, layouts[place]))
            seconds["open"] += between - started
            seconds["preprocess"] += time.perf_counter() - between
            return made

        pictures, use = caches.pixels.get_many(keys, open_and_preprocess)
        run.uses.append(use)
        sizes = ", ".join(f"{picture.layout.size[0]} x {picture.layout.size[1]}" for picture in pictures)
        upright = ArraySummary((len(keys),), "RGB")
        run.record("open", seconds["open"], list(request.images), upright, note=_with_use(sizes, use))
        run.pixels = np.concatenate([picture.pixels for picture in pictures])
        run.tiles = tuple(picture.layout.tiles for picture in pictures)
        layouts = [picture.layout for picture in pictures]
        note = "; ".join(map(str, layouts)) if checkpoint.tiled else ""
        run.record("preprocess", seconds["preprocess"], upright, run.pixels, note=_with_use(note, use))

        layer = checkpoint.feature_layer if request.feature_layer is None else request.feature_layer
        made_by = caches.features_key + repr((layer, run.programs.compiled)).encode()
        keys = [hashlib.sha256(key + made_by).digest() for key in keys]
        costs = dict.fromkeys(LOOKING, 0.0)

        def look(indexes: list[int]) -> list[Features]:
            chosen = [pictures[index] for index in indexes]
            pixels, layouts = np.concatenate([each.pixels for each in chosen]), [each.layout for each in chosen]
            made = self._scheduler.see(self._look, pixels, layouts, layer, run.programs, user=request.user)
            costs.update({name: cost for name, (_, cost) in made.items()})
            shapes = {name: made[name][0][0].shape for name in LOOKING[:-1]}
            features: list[np.ndarray] = made["project"][0]
            for rows in features:
                rows.flags.writeable = False
            return [Features(rows, shapes, sum(costs.values()) / len(features)) for rows in features]

        seen, use = caches.features.get_many(keys, look)
        run.uses.append(use)
        tiles = len(run.pixels)
        taken = ArraySummary.of(run.pixels)
        notes = {"encode": f"layer {layer}", "select": checkpoint.strategy, "reduce": ""}
        for name, text in notes.items():
            given = ArraySummary((tiles, *seen[0].shapes[name]), "float32")
            run.record(name, costs[name], taken, given, note=_with_use(text, use))
            taken = given
        features = [each.rows for each in seen]
        note = _packings(layouts, features) if checkpoint.tiled else ""
        run.record("project", costs["project"], taken, features, note=_with_use(note, use))
        return features, b"".join(keys)

    def _preprocess(self, images: list[Image.Image], layouts: list[Layout], index: int) -> np.ndarray:
        """Return the tiles of one of the pictures, float32 (t, 3, S, S)."""
        processor = self._checkpoint.processor.image_processor
        if layouts[index].grid is None and layouts[index].newlines:  # how it is cut depends on there being others
            start = sum(layout.tiles for layout in layouts[:index])
            return preprocess.preprocess(images, processor, layouts)[start : start + layouts[index].tiles].copy()
        return preprocess.preprocess([images[index]], processor, [layouts[index]])

    def _look(
        self, pixels: np.ndarray, layouts: list[Layout], layer: int | list[int], programs: Programs
    ) -> dict[str, tuple[Any, float]]:
        """Run the stages from `encode` to `project`; return what each gave and the seconds it took.

        All in one turn of the vision tower's thread, so that who came first is done first.
        """
        checkpoint = self._checkpoint
        hidden = timed(encode.encode, pixels, checkpoint, layer, self.group, programs)
        selected = timed(select.select, hidden[0], checkpoint.strategy)
        reduced = timed(reduce.reduce, selected[0])
        projected = timed(project.project, reduced[0], checkpoint, layouts)
        return {"encode": hidden, "select": selected, "reduce": reduced, "project": projected}

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
        if not set(LOOKING) & set(run.request.replace):
            return self._seen(run, run.pixels, layouts, layer)
        hidden = self._stage(
            run,
            "encode",
            partial(encode.encode, checkpoint=checkpoint, layer=layer, group=self.group, programs=run.programs),
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
            run.note(_packings(layouts, features))
        return features

    def _seen(self, run: Run, pixels: np.ndarray, layouts: list[Layout], layer: int | list[int]) -> list[np.ndarray]:
        """Run the stages from `encode` to `project` as they are, and write them down."""
        made = self._scheduler.see(self._look, pixels, layouts, layer, run.programs, user=run.request.user)
        notes = {"encode": f"layer {layer}", "select": self._checkpoint.strategy}
        taken: Any = pixels
        for name, (given, seconds) in made.items():
            run.record(name, seconds, taken, given, note=notes.get(name, ""))
            taken = given
        features: list[np.ndarray] = made["project"][0]
        if self._checkpoint.tiled:
            run.note(_packings(layouts, features))
        return features

    def _packed(self, value: Any, layouts: list[Layout], squares: int) -> list[np.ndarray]:
        """Check what a function in the place of `project` returned for each tile, and pack each picture's tiles."""
        tiles = project.accept(value, squares, self._checkpoint.width)
        return self._scheduler.see(project.pack, tiles, self._checkpoint, layouts) if self._checkpoint.tiled else tiles

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
        prompt.check_length(len(ids), self._scheduler.context)
        pieces = prompt.token_pieces(ids.tolist(), checkpoint.tokenizer)
        run.tokens = segments(ids.tolist(), pieces, checkpoint.image_token, counts)
        return ids

    def _stage(self, run: Run, name: str, own: Callable[..., T], accept: Callable[[Any], T], *inputs: Any) -> T:
        """Run a stage, or what the request puts in its place, and write down what it took, gave and cost."""
        if name in run.request.replace:
            return run.replaced(name, accept, *inputs)
        if name in MODEL_STAGES:
            output, seconds = self._scheduler.see(timed, own, *inputs, user=run.request.user)
        else:
            output, seconds = timed(own, *inputs)
        run.record(name, seconds, inputs[0], output)
        return output


def _packings(layouts: list[Layout], features: list[np.ndarray]) -> str:
    """Return in words where the tokens of each picture come from."""
    return "; ".join(_packing(layout, len(rows)) for layout, rows in zip(layouts, features, strict=True))


def _packing(layout: Layout, rows: int) -> str:
    """Return in words where a picture's tokens come from."""
    if rows == layout.tokens and layout.grid:
        return f"{rows} tokens: {layout.base} + {layout.rows} rows of {layout.columns} and a newline"
    return f"{rows} tokens with one newline"


def _own(value: Any) -> Any:
    """Return a stage's input for a function of somebody's: of what the caches share with others, a copy."""
    if isinstance(value, list):
        return [_own(each) for each in value]
    return value.copy() if isinstance(value, np.ndarray) and not value.flags.writeable else value


def _with_use(note: str, use: CacheUse) -> str:
    """Add to a stage's note how many pictures came from a cache."""
    if not use.hits:
        return note
    told = "from the cache" if not use.misses else f"{use.hits} of {use.hits + use.misses} from the cache"
    return f"{note}; {told}" if note else told


def timed(function: Callable[..., T], *inputs: Any) -> tuple[T, float]:
    """Return what a function gives, and the seconds it took."""
    started = time.perf_counter()
    return function(*inputs), time.perf_counter() - started
