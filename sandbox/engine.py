"""The engine: a loaded LLaVA whose pipeline is open to view and to change, stage by stage.

One thread owns the model; any thread may ask. Stages that are plain numpy, and functions that take a stage's place, run
in the thread that asks, so that a slow one holds up nobody else. `encode`, `project` and `generate` wait their turn.
Requests of one `answer_many` are generated as one batch; those of different callers are answered one after the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from sandbox.attention import attention
from sandbox.checkpoint import Checkpoint, load_checkpoint
from sandbox.device import choose_placement, choose_threads
from sandbox.errors import BadOption
from sandbox.images import ImageSource
from sandbox.pipeline import Pipeline, Run, timed
from sandbox.request import Event, Reply, Request
from sandbox.scoring import Score, score
from sandbox.settings import SandboxSettings
from sandbox.stages import generate, prompt
from sandbox.trace import Trace

T = TypeVar("T")

BATCH_TOKENS = 16_384
"""Most tokens that are generated together, padding and answers included.

It bounds the KV cache: at the half MiB a token of a 7B model in half precision, to 8 GiB.
"""


class Engine:
    """Answers prompts about pictures. Made by `load_engine`."""

    def __init__(self, checkpoint: Checkpoint, settings: SandboxSettings) -> None:
        """Take a loaded checkpoint; the settings' limits hold for every request."""
        self.checkpoint = checkpoint
        self.settings = settings
        self._model_thread = ThreadPoolExecutor(
            1, "model", initializer=torch.set_num_threads, initargs=(choose_threads(checkpoint.parameters),)
        )
        self._pipeline = Pipeline(checkpoint, settings, self._in_turn)

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

    def attention(
        self,
        request: Request,
        reply: Reply,
        *,
        layers: Sequence[int] | None = None,
        images_only: bool = True,
    ) -> np.ndarray:
        """Return how much each answer token looked at the prompt, computed again for a finished answer.

        The stages before `generate` run once more, unless the reply was kept (`Request(keep=True)`).

        Args:
            request: What was asked.
            reply: What was answered; at least one token.
            layers: Layers of the language model, from 0 or from the end; None is all.
            images_only: Only the image tokens, in the prompt's order (the trace's segments say whose each is); else all
                tokens of the prompt.

        Returns:
            float32 (layers, heads, answer tokens, prompt tokens or image tokens). Row t is of the step that chose
            token t.

        Raises:
            BadOption: There is no such layer, no answer, or no picture; or too much is asked for at once.
            BadInput: As `answer`.
        """
        if not reply.tokens:
            raise BadOption("This answer has no tokens, so none looked at anything. Ask something else.")
        kinds = np.concatenate([np.full(part.count, part.kind == "image") for part in reply.trace.tokens])
        columns = np.flatnonzero(kinds) if images_only else np.arange(len(kinds))
        if not len(columns):
            raise BadOption("This prompt has no picture to look at. Add one, or ask for the attention over the text.")
        embeddings = reply.trace.arrays.get("merge")
        if embeddings is None:
            embeddings = self._pipeline.prepare(replace(request, on_token=None)).answer.embeddings
        return self._in_turn(attention, self.checkpoint, embeddings, reply.tokens, columns, layers)

    def score(self, requests: Sequence[Request], tokens: Sequence[int]) -> list[Score]:
        """Return how likely one answer is after each of several prompts, in one batch, without generating.

        Args:
            requests: What is asked; options on how to answer are passed over.
            tokens: The answer's tokens, such as a reply's; at least one.

        Raises:
            BadOption: There are no tokens.
            BadInput: As `answer`.
        """
        if not tokens:
            raise BadOption("This answer has no tokens, so it has no probability. Ask something else.")
        prompts = [self._pipeline.prepare(replace(request, on_token=None)).answer.embeddings for request in requests]
        return self._in_turn(score, prompts, tokens, self.checkpoint)

    def compute(self, function: Callable[..., T], *inputs: Any) -> T:
        """Run a function of the host's own in the model's thread and return what it gives."""
        return self._in_turn(function, *inputs)

    def close(self) -> None:
        """Let the model's thread end once its work is done; the engine answers no more."""
        self._model_thread.shutdown(wait=False)

    def _in_turn(self, function: Callable[..., T], *inputs: Any) -> T:
        return self._model_thread.submit(function, *inputs).result()

    def _answer(self, requests: Sequence[Request], stopped: Callable[[], bool]) -> list[Reply]:
        runs = [self._pipeline.prepare(request) for request in requests]
        for batch in _batches([run for run in runs if "generate" not in run.request.replace]):
            self._generate(batch, stopped)
        for run in runs:
            if "generate" in run.request.replace:
                self._replace_generate(run)
        return [self._reply(run) for run in runs]

    def _generate(self, batch: list[Run], stopped: Callable[[], bool]) -> None:
        answers = [run.answer for run in batch]
        _, seconds = self._in_turn(timed, generate.generate, answers, self.checkpoint, stopped)
        padded = max(len(answer.embeddings) for answer in answers)
        note = f"batch of {len(batch)}, padded to {padded} tokens" if len(batch) > 1 else ""
        for run in batch:
            run.batch = len(batch)
            run.record("generate", seconds, run.answer.embeddings, run.answer.tokens, note=note)

    def _replace_generate(self, run: Run) -> None:
        answer = run.answer
        answer.moments.append(time.perf_counter())
        accept = partial(generate.accept, vocabulary=self.checkpoint.vocabulary)
        answer.tokens = run.replaced("generate", accept, answer.embeddings)
        answer.moments += [time.perf_counter()] * len(answer.tokens)
        answer.text = generate.decode(answer.tokens, self.checkpoint)
        answer.finish = "end"

    def _reply(self, run: Run) -> Reply:
        checkpoint, answer, now = self.checkpoint, run.answer, time.perf_counter()
        patch = checkpoint.patch_size
        trace = Trace(
            model=checkpoint.name,
            device=checkpoint.placement.device,
            dtype=checkpoint.placement.dtype_name,
            stages=tuple(run.records),
            tokens=run.tokens,
            answer_pieces=prompt.token_pieces(answer.tokens, checkpoint.tokenizer),
            finish=answer.finish or "stopped",
            seconds=now - run.started,
            first_token_seconds=answer.moments[min(1, len(answer.moments) - 1)] - run.started,
            token_seconds=tuple(after - before for before, after in pairwise(answer.moments)),
            batch=run.batch,
            seed=answer.seed if answer.temperature else None,
            patch_grid=None if run.pixels is None else (run.pixels.shape[2] // patch, run.pixels.shape[3] // patch),
            image_mean=tuple(checkpoint.processor.image_processor.image_mean),
            image_std=tuple(checkpoint.processor.image_processor.image_std),
            pixels=run.pixels,
            tiles=run.tiles,
            arrays=run.arrays,
        )
        return Reply(answer.text, tuple(answer.tokens), trace)


def open_engine(name: str, device: str, settings: SandboxSettings, progress: Callable[[str], None]) -> Engine:
    """Load a checkpoint and answer once, so that the first person doesn't pay for what is set up lazily."""
    engine = Engine(load_checkpoint(name, choose_placement(device), progress), settings)
    progress(f"Warming up {engine.checkpoint.name}")
    picture = [Image.new("RGB", (1, 1))][: settings.max_images]
    engine.answer("?", picture, max_new_tokens=min(2, settings.max_new_tokens))
    progress(f"Ready: {engine.description}")
    return engine


def _batches(runs: list[Run]) -> Iterator[list[Run]]:
    """Split into batches of at most `BATCH_TOKENS`, in order; one that is longer stands alone."""
    batch: list[Run] = []
    for run in runs:
        longest = max(len(each.answer.embeddings) + each.answer.limit for each in [*batch, run])
        if batch and longest * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(run)
    if batch:
        yield batch
