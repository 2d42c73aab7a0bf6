"""The engine: a loaded LLaVA whose pipeline is open to view and to change, stage by stage.

One thread owns the model; any thread may ask. Stages that are plain numpy, and functions that take a stage's place, run
in the thread that asks, so that a slow one holds up nobody else. `encode`, `project` and `generate` wait their turn.
Requests of one `answer_many` are generated as one batch; those of different callers are answered one after the other.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from sandbox.checkpoint import Checkpoint, load_checkpoint
from sandbox.device import choose_placement, limit_threads
from sandbox.errors import BadInput, BadOption, StageFailed
from sandbox.images import ImageSource
from sandbox.request import Event, Reply, Request
from sandbox.settings import SandboxSettings
from sandbox.stages import encode, generate, merge, open, preprocess, project, prompt, reduce, select
from sandbox.trace import STAGES, ArraySummary, Segment, StageRecord, Trace, segments

T = TypeVar("T")

ANSWER_LENGTH = 128
"""Longest answer in tokens where neither the request nor the checkpoint says."""
MODEL_STAGES = frozenset({"encode", "project"})
"""Stages that run in the model's thread; `generate` does too, for a batch at a time."""
MAX_BATCH = 16
"""Requests that are generated together; more are taken in turns, which bounds the memory of the KV cache."""


@dataclass
class _Run:
    """A request on its way through the stages."""

    request: Request
    started: float
    records: list[StageRecord] = field(default_factory=list)
    pixels: np.ndarray | None = None
    layout: tuple[Segment, ...] = ()
    answer: generate.Answer = field(init=False)

    def note(self, text: str) -> None:
        """Say more about the stage that ran last."""
        self.records[-1] = replace(self.records[-1], note=text)


class Engine:
    """Answers prompts about pictures. Made by `load_engine`."""

    def __init__(self, checkpoint: Checkpoint, settings: SandboxSettings) -> None:
        """Take a loaded checkpoint; the settings' limits hold for every request."""
        self.checkpoint = checkpoint
        self.settings = settings
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    @property
    def description(self) -> str:
        """The model and where it runs, in words."""
        placement = self.checkpoint.placement
        millions = self.checkpoint.parameters / 1e6
        size = f"{millions:.1f} million" if millions < 1000 else f"{millions / 1000:.1f} billion"
        return (
            f"{self.checkpoint.name}, {size} parameters, on {placement.device} in {placement.dtype_name} "
            f"({placement.reason})"
        )

    def answer(self, prompt: str, images: Sequence[ImageSource] = (), **options: Any) -> Reply:
        """Answer one prompt; safe to call from several threads.

        Args:
            prompt: The user's turn. `<image>` marks where a picture stands; without any, the pictures come first.
            images: Pillow images, encoded files as bytes, or paths; up to the settings' `max_images`.
            options: The further fields of `Request`.

        Raises:
            BadInput: Prompt, pictures, options or a replaced stage are wrong; its text is the sentence for people.
        """
        return self.answer_many([Request(prompt, images, **options)])[0]

    def answer_many(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer several prompts as one batch. Greedy answers are the ones that `answer` gives.

        Everything up to `generate` is done request by request, so that a picture's features don't depend on its
        neighbours.

        Raises:
            BadInput: One of the requests is wrong; none is answered.
        """
        return self._answer(requests, stopped=bool)

    def stream(self, prompt: str, images: Sequence[ImageSource] = (), **options: Any) -> Iterator[Event]:
        """Answer one prompt piece by piece.

        Closing the iterator stops the answer at the next token. A slow reader holds up nobody else.

        Args:
            prompt: As in `answer`.
            images: As in `answer`.
            options: As in `answer`.

        Yields:
            Events with new text, then one with the reply.

        Raises:
            BadInput: As `answer`; options at the call, the rest at the first step.
        """
        request = Request(prompt, images, **options)
        pieces: SimpleQueue[str | None] = SimpleQueue()

        def on_token(piece: str) -> None:
            pieces.put(piece)
            if request.on_token:
                request.on_token(piece)

        return self._events(replace(request, on_token=on_token), pieces)

    def _events(self, request: Request, pieces: SimpleQueue[str | None]) -> Iterator[Event]:
        stopped, result = threading.Event(), Future[Reply]()

        def work() -> None:
            try:
                result.set_result(self._answer([request], stopped.is_set)[0])
            except BaseException as error:  # belongs to the reader, whatever it is
                result.set_exception(error)
            finally:
                pieces.put(None)

        threading.Thread(target=work, name="stream", daemon=True).start()
        try:
            while (piece := pieces.get()) is not None:
                yield Event(piece)
            yield Event("", result.result())
        finally:
            stopped.set()

    def close(self) -> None:
        """Let the model's thread end once its work is done; the engine answers no more."""
        self._model_thread.shutdown(wait=False)

    def _answer(self, requests: Sequence[Request], stopped: Callable[[], bool]) -> list[Reply]:
        runs = [self._prepare(request) for request in requests]
        together = [run for run in runs if "generate" not in run.request.replace]
        batches = [together[start : start + MAX_BATCH] for start in range(0, len(together), MAX_BATCH)]
        sizes = {id(run): len(batch) for batch in batches for run in batch}
        for run in runs:
            run.answer.stopped = stopped
        for batch in batches:
            self._generate(batch)
        for run in runs:
            if "generate" in run.request.replace:
                self._replace_generate(run)
        return [self._reply(run, sizes.get(id(run), 1)) for run in runs]

    def _prepare(self, request: Request) -> _Run:
        """Run every stage before `generate`."""
        run = _Run(request, time.perf_counter())
        limit = self._answer_limit(request)
        prompt.check_prompt(request.prompt, len(request.images), self.settings)
        features = self._see(run) if request.images else self._see_nothing(run)
        counts = [len(rows) for rows in features]
        language = self.checkpoint.model.config.text_config

        ids = self._stage(
            run,
            "prompt",
            partial(prompt.prompt, checkpoint=self.checkpoint),
            partial(prompt.accept, vocabulary=language.vocab_size),
            request.prompt,
            counts,
        )
        prompt.check_length(ids, self.checkpoint.context)
        embeddings = self._stage(
            run,
            "merge",
            partial(merge.merge, image_token=self.checkpoint.image_token),
            partial(merge.accept, length=len(ids), width=language.hidden_size),
            ids,
            self._model_thread.submit(self.checkpoint.embed, ids).result(),
            features,
        )
        pieces = prompt.token_pieces(ids.tolist(), self.checkpoint.tokenizer)
        run.layout = segments(ids.tolist(), pieces, self.checkpoint.image_token, counts)
        run.answer = generate.Answer(
            embeddings,
            limit=min(limit, self.checkpoint.context - len(ids)),
            temperature=request.temperature,
            seed=secrets.randbits(62) if request.seed is None else request.seed,
            on_text=request.on_token,
        )
        return run

    def _see(self, run: _Run) -> list[np.ndarray]:
        """Turn the pictures into features in the language model's space, float32 (rows, D) each."""
        checkpoint, count = self.checkpoint, len(run.request.images)
        images = self._stage(
            run,
            "open",
            partial(open.open_sources, settings=self.settings),
            partial(open.accept, count=count),
            list(run.request.images),
        )
        run.note(", ".join(f"{image.width} x {image.height}" for image in images))
        run.pixels = self._stage(
            run,
            "preprocess",
            partial(preprocess.preprocess, processor=checkpoint.processor.image_processor),
            partial(preprocess.accept, count=count),
            images,
        )
        layer = checkpoint.feature_layer if run.request.feature_layer is None else run.request.feature_layer
        hidden = self._stage(
            run,
            "encode",
            partial(encode.encode, checkpoint=checkpoint, layer=layer),
            partial(encode.accept, count=count),
            run.pixels,
        )
        run.note(f"layer {layer}")
        selected = self._stage(
            run,
            "select",
            partial(select.select, strategy=checkpoint.strategy),
            partial(select.accept, count=count),
            hidden,
        )
        run.note(checkpoint.strategy)
        reduced = self._stage(run, "reduce", reduce.reduce, partial(reduce.accept, count=count), selected)
        return self._stage(
            run,
            "project",
            partial(project.project, checkpoint=checkpoint),
            partial(project.accept, count=count, width=checkpoint.model.config.text_config.hidden_size),
            reduced,
        )

    def _see_nothing(self, run: _Run) -> list[np.ndarray]:
        nothing = ArraySummary.of([])
        run.records += [StageRecord(name, 0.0, nothing, nothing, note="no pictures") for name in STAGES[:6]]
        return []

    def _stage(self, run: _Run, name: str, own: Callable[..., T], accept: Callable[[Any], T], *inputs: Any) -> T:
        """Run a stage, or what the request puts in its place, and write down what it took, gave and cost."""
        given = run.request.replace.get(name)
        if given is not None:
            output, seconds = _timed(_guarded, name, given, *inputs)
            output = accept(output)
        elif name in MODEL_STAGES:
            output, seconds = self._model_thread.submit(_timed, own, *inputs).result()
        else:
            output, seconds = _timed(own, *inputs)
        summaries = ArraySummary.of(inputs[0]), ArraySummary.of(output)
        run.records.append(StageRecord(name, seconds, *summaries, replaced=given is not None))
        return output

    def _generate(self, runs: list[_Run]) -> None:
        answers = [run.answer for run in runs]
        _, seconds = self._model_thread.submit(_timed, generate.generate, answers, self.checkpoint).result()
        padded = max(len(answer.embeddings) for answer in answers)
        note = f"batch of {len(runs)}, padded to {padded} tokens" if len(runs) > 1 else ""
        for run in runs:
            summaries = ArraySummary.of(run.answer.embeddings), ArraySummary.of(run.answer.tokens)
            run.records.append(StageRecord("generate", seconds, *summaries, note=note))

    def _replace_generate(self, run: _Run) -> None:
        accept = partial(generate.accept, vocabulary=self.checkpoint.model.config.text_config.vocab_size)
        answer = run.answer
        answer.moments.append(time.perf_counter())
        answer.tokens = self._stage(run, "generate", accept, accept, answer.embeddings)
        answer.moments += [time.perf_counter()] * len(answer.tokens)
        answer.text = generate.decode(answer.tokens, self.checkpoint)
        answer.finish = "end"

    def _answer_limit(self, request: Request) -> int:
        most = self.settings.max_new_tokens
        if request.max_new_tokens is None:
            return min(most, self.checkpoint.answer_length or ANSWER_LENGTH)
        if request.max_new_tokens > most:
            raise BadOption(f"An answer may have at most {most} tokens; {request.max_new_tokens} were asked for.")
        return request.max_new_tokens

    def _reply(self, run: _Run, batch: int) -> Reply:
        checkpoint, answer, now = self.checkpoint, run.answer, time.perf_counter()
        steps = tuple(np.diff(answer.moments).tolist())
        trace = Trace(
            model=checkpoint.name,
            device=checkpoint.placement.device,
            dtype=checkpoint.placement.dtype_name,
            stages=tuple(run.records),
            tokens=run.layout,
            answer_pieces=prompt.token_pieces(answer.tokens, checkpoint.tokenizer),
            finish=answer.finish or "stopped",
            seconds=now - run.started,
            first_token_seconds=answer.moments[min(1, len(answer.moments) - 1)] - run.started,
            token_seconds=steps,
            batch=batch,
            seed=answer.seed if answer.temperature else None,
            patch_grid=None if run.pixels is None else self._grid(run.pixels),
            image_mean=tuple(checkpoint.processor.image_processor.image_mean),
            image_std=tuple(checkpoint.processor.image_processor.image_std),
            pixels=run.pixels,
        )
        return Reply(answer.text, tuple(answer.tokens), trace)

    def _grid(self, pixels: np.ndarray) -> tuple[int, int]:
        return pixels.shape[2] // self.checkpoint.patch_size, pixels.shape[3] // self.checkpoint.patch_size


def open_engine(name: str, device: str, settings: SandboxSettings, progress: Callable[[str], None]) -> Engine:
    """Load a checkpoint and answer once, so that the first person doesn't pay for what is set up lazily."""
    limit_threads()
    engine = Engine(load_checkpoint(name, choose_placement(device), progress), settings)
    progress(f"Warming up {engine.checkpoint.name}")
    engine.answer("What is this?", [Image.new("RGB", (64, 64), "gray")][: settings.max_images], max_new_tokens=2)
    progress(f"Ready: {engine.description}")
    return engine


def _timed(function: Callable[..., T], *inputs: Any) -> tuple[T, float]:
    started = time.perf_counter()
    return function(*inputs), time.perf_counter() - started


def _guarded(name: str, function: Callable[..., Any], *inputs: Any) -> Any:
    try:
        return function(*inputs)
    except BadInput:
        raise
    except Exception as error:
        raise StageFailed(f"The function in the place of '{name}' failed: {type(error).__name__}: {error}") from error
