"""The engine: a loaded LLaVA whose pipeline is open to view and to change, stage by stage.

One thread owns the language model; any thread may ask. Stages that are plain numpy, and functions that take a stage's
place, run in the thread that asks, so that a slow one holds up nobody else. `encode` and `project` run in the vision
tower's thread (on a GPU in the model's), and the answers of everybody are stepped together in slots: who comes joins,
who is done leaves.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from queue import SimpleQueue
from typing import Any, TypeVar, get_args

import numpy as np
import torch
import transformers
from PIL import Image

from sandbox.admission import Admission
from sandbox.attention import attention
from sandbox.batches import Batch, BatchReport, Strategy, latencies, plan
from sandbox.cache import CacheReport, together
from sandbox.caches import Caches
from sandbox.checkpoint import Checkpoint, load_checkpoint
from sandbox.compiling import Compiler, Plan
from sandbox.device import choose_placement, choose_threads
from sandbox.errors import BadOption
from sandbox.identity import fingerprint
from sandbox.images import ImageSource
from sandbox.pipeline import Pipeline, Run
from sandbox.receipt import Receipt
from sandbox.request import Event, Reply, Request
from sandbox.scheduler import Scheduler
from sandbox.scoring import Score, score
from sandbox.selftest import encode_group
from sandbox.settings import SandboxSettings
from sandbox.slots import table_lengths
from sandbox.stages import generate, prompt
from sandbox.ticket import Ticket
from sandbox.trace import Trace

T = TypeVar("T")

AT_ONCE = 8
"""Requests of one `answer_many` that are prepared at once: of a crowd some are soon ready, rather than all late."""


@dataclass(eq=False)
class _Asked:
    """A request that is being answered."""

    run: Run
    ticket: Ticket | None
    """None where a function stands in the place of `generate`."""
    spelling: generate.Spelling
    on_text: Callable[[str], None] | None
    read: int = 0
    """Tokens that were spelled."""

    def spell(self) -> str:
        """Return the text that is new, and tell it to who listens."""
        tokens = self.run.answer.tokens
        count = len(tokens)
        piece = self.spelling.add(tokens[self.read : count]) if count > self.read else ""
        self.read = count
        if self.ticket is None or self.ticket.done.done():
            piece += self.spelling.finish()
        if piece and self.on_text:
            self.on_text(piece)
        return piece


class Engine:
    """Answers prompts about pictures. Made by `load_engine`."""

    def __init__(self, checkpoint: Checkpoint, settings: SandboxSettings) -> None:
        """Take a loaded checkpoint; the settings' limits hold for every request."""
        self.checkpoint = checkpoint
        self.settings = settings
        self._weights = fingerprint(checkpoint)
        self._caches = Caches(checkpoint, settings, self._weights)
        self._admission = Admission(settings.sandbox_tokens, settings.sandbox_tiles, settings.sandbox_waiting)
        self._scheduler = Scheduler(
            checkpoint,
            slots=settings.sandbox_slots,
            positions=settings.sandbox_kv_tokens,
            threads=settings.sandbox_threads or choose_threads(checkpoint.parameters),
            prefixes=self._caches.prefixes,
            graphs=settings.sandbox_compile,
        )
        scheduler = self._scheduler
        rows = {length: scheduler.rows(length) for length in table_lengths(scheduler.context)}
        plan = Plan(scheduler.context, rows, scheduler.threads)
        self._compiler = Compiler(checkpoint, self._weights, plan) if settings.sandbox_compile else None
        self._pipeline = Pipeline(checkpoint, settings, self._scheduler, self._caches)
        self._pipeline.group = self._scheduler.see(encode_group, checkpoint)
        if self._compiler:
            self._compiler.begin(partial(setattr, scheduler, "programs"))
        # An engine that nobody holds any more frees its model; at the end of Python the scheduler sees to that itself.
        weakref.finalize(self, _end, scheduler, self._compiler).atexit = False

    @property
    def description(self) -> str:
        """The model and where it runs, in words."""
        placement = self.checkpoint.placement
        millions = self.checkpoint.parameters / 1e6
        size = f"{millions:.1f} million" if millions < 1000 else f"{millions / 1000:.1f} billion"
        return (
            f"{self.checkpoint.name}, {size} parameters, on {placement.device} in {placement.dtype_name} "
            f"({placement.reason}){self._slowed}"
        )

    @property
    def _slowed(self) -> str:
        if not self.settings.sandbox_deterministic:
            return ". Fast mode: the last bits of its numbers depend on the company"
        alone = self._scheduler.alone
        return ". Answers are given one at a time: on this machine company changes their numbers" if alone else ""

    @property
    def compiling(self) -> str:
        """Whether the model's programs are compiled, in words: what is being done, how long it took, or why not."""
        return self._compiler.state if self._compiler else "not compiled: SANDBOX_COMPILE is off"

    @property
    def tables(self) -> list[tuple[int, int, bool, bool]]:
        """Of each length of slots in use: the length, the slots, whether compiled, whether the self-test passed."""
        return self._scheduler.tables()

    @property
    def load(self) -> tuple[int, int]:
        """How many answers are under way, and how many requests wait for room or for a slot."""
        going, waiting = self._scheduler.load
        return going, waiting + self._admission.waiting

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
        """Answer several prompts together; each answer, and in deterministic mode each number, is as if asked alone.

        Raises:
            BadInput: One of the requests is wrong; the others are stopped.
        """
        return [self._reply(each) for each in self._answered(requests)]

    def _answered(self, requests: Sequence[Request]) -> list[_Asked]:
        """Answer several prompts together and return once all have ended; errors as `answer_many`."""
        stop = threading.Event()
        news: SimpleQueue[_Asked | BaseException] = SimpleQueue()

        def ask(request: Request) -> _Asked:
            try:
                return self._ask(request, news.put, stop.is_set, every=request.on_token is not None)
            except BaseException as error:
                news.put(error)
                raise

        pool = ThreadPoolExecutor(AT_ONCE, "asking")
        asked: dict[int, Future[_Asked]] = {}
        try:
            here = [len(requests) == 1 or bool(request.replace) for request in requests]
            for number, request in enumerate(requests):
                if not here[number]:
                    asked[number] = pool.submit(ask, request)
            for number, request in enumerate(requests):
                if here[number]:  # functions of somebody's run in this thread, one after the other
                    begun = ask(request)
                    asked[number] = Future()
                    asked[number].set_result(begun)
            going = len(requests)
            while going:
                heard = news.get()
                if isinstance(heard, BaseException):
                    raise heard
                going -= _hear(heard)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            for each in asked.values():
                if not each.cancelled() and not each.exception() and (ticket := each.result().ticket):
                    self._scheduler.withdraw(ticket)
            raise
        pool.shutdown()
        return [asked[number].result() for number in range(len(requests))]

    def stream(self, prompt: str, images: Sequence[ImageSource] = (), **options: Any) -> Iterator[Event]:
        """Answer one prompt piece by piece.

        Closing the iterator stops the answer at the next token and frees its slot. A slow reader holds up nobody else.

        Args:
            prompt: As in `answer`.
            images: As in `answer`.
            options: As in `answer`.

        Yields:
            Events with new text, then one with the reply.

        Raises:
            BadInput: As `answer`; options at the call, the rest at the first step.
        """
        return self._events(Request(prompt, images, **options))

    def _events(self, request: Request) -> Iterator[Event]:
        stop = threading.Event()
        news: SimpleQueue[_Asked] = SimpleQueue()
        asked = self._ask(request, news.put, stop.is_set, every=True)
        try:
            done = False
            while not done:
                news.get()
                done = asked.ticket is None or asked.ticket.done.done()
                if piece := asked.spell():
                    yield Event(piece)
            if asked.ticket:
                asked.ticket.done.result()
            yield Event("", self._reply(asked))
        finally:
            stop.set()
            if asked.ticket:
                self._scheduler.withdraw(asked.ticket)

    def run_static(self, requests: Sequence[Request], strategy: Strategy = "padded", *, size: int = 8) -> BatchReport:
        """Answer several requests in one of the ways that the batching lab compares; other users' answers go on.

        Args:
            requests: What is asked; functions in the place of `generate` are passed over.
            strategy: `sequential`, `padded` or `sorted` batches of fixed membership, or `slots`.
            size: Most requests of a batch.

        Raises:
            BadOption: There is no such strategy, or a batch would have no rows.
            BadInput: As `answer_many`.
        """
        if strategy not in get_args(Strategy) or size < 1:
            raise BadOption(f"Batches of at least 1 are {', '.join(get_args(Strategy))}; {strategy}, {size} was given.")
        started = time.perf_counter()
        if strategy == "slots":
            asked = self._answered(requests)
            seconds = time.perf_counter() - started
            moments = [each.run.answer.moments for each in asked]
            return BatchReport(
                strategy, [self._reply(each) for each in asked], seconds, [], latencies(moments, started)
            )
        asked, leaves = [], []
        try:
            for request in requests:
                leaves.append(self._admission.enter(request.user, self._pipeline.cost(request)))
                run = self._pipeline.prepare(replace(request, on_token=None), time.perf_counter())
                asked.append(_Asked(run, None, generate.Spelling(self.checkpoint), None))
            answers = [each.run.answer for each in asked]
            lengths = [len(answer.embeddings) for answer in answers]
            batches = []
            for rows in plan(lengths, [answer.limit for answer in answers], strategy, size):
                began = time.perf_counter()
                chosen = [answers[index] for index in rows]
                self._scheduler.run_batch(generate.steps(chosen, self.checkpoint))
                seconds = time.perf_counter() - began
                width, steps = max(lengths[index] for index in rows), max(len(answer.tokens) for answer in chosen) - 1
                note = f"batch of {len(rows)}, padded to {width} tokens"
                for index in rows:
                    asked[index].run.record(
                        "generate", seconds, answers[index].embeddings, answers[index].tokens, note=note
                    )
                real, new = sum(lengths[index] for index in rows), sum(len(answer.tokens) for answer in chosen)
                batches.append(Batch(tuple(rows), width, real, steps, new, seconds))
        finally:
            for leave in leaves:
                leave()
        seconds = time.perf_counter() - started
        replies = [self._reply(each) for each in asked]
        for batch in batches:
            for index in batch.rows:
                replies[index] = replace(replies[index], trace=replace(replies[index].trace, batch=len(batch.rows)))
        return BatchReport(strategy, replies, seconds, batches, latencies([a.moments for a in answers], started))

    def compute(self, function: Callable[..., T], *inputs: Any) -> T:
        """Run a function in the model's thread, between two steps of the answers, and return what it gives.

        Nothing else uses the model meanwhile, so it may change for a moment how the model computes.
        """
        return self._scheduler.alone_with_model(function, *inputs)

    def cache_report(self) -> list[CacheReport]:
        """Return how the caches of pictures, features and prompts stand."""
        return self._caches.report()

    def clear_caches(self) -> None:
        """Forget everything that the caches keep."""
        self._caches.clear()

    def attention(
        self,
        request: Request,
        reply: Reply,
        *,
        layers: Sequence[int] | None = None,
        images_only: bool = True,
        token: int | None = None,
    ) -> np.ndarray:
        """Return how much each answer token looked at the prompt, computed again for a finished answer.

        The stages before `generate` run once more, unless the reply was kept (`Request(keep=True)`).

        Args:
            request: What was asked.
            reply: What was answered; at least one token.
            layers: Layers of the language model, from 0 or from the end; None is all.
            images_only: Only the image tokens, in the prompt's order (the trace's segments say whose each is); else all
                tokens of the prompt.
            token: Which token of the answer, counted from 0; None is all.

        Returns:
            float32 (layers, heads, answer tokens, prompt tokens or image tokens); of one answer token, without that
            axis. Row t is of the step that chose token t.

        Raises:
            BadOption: There is no such layer, no answer, or no picture; or too much is asked for at once.
            BadInput: As `answer`.
        """
        if not reply.tokens:
            raise BadOption("This answer has no tokens, so none looked at anything. Ask something else.")
        if token is not None and not 0 <= token < len(reply.tokens):
            raise BadOption(f"This answer has tokens 0 to {len(reply.tokens) - 1}; {token} was given.")
        kinds = np.concatenate([np.full(part.count, part.kind == "image") for part in reply.trace.tokens])
        columns = np.flatnonzero(kinds) if images_only else np.arange(len(kinds))
        if not len(columns):
            raise BadOption("This prompt has no picture to look at. Add one, or ask for the attention over the text.")
        embeddings = reply.trace.arrays.get("merge")
        if embeddings is None:
            embeddings = self._embeddings(request)
        tokens = reply.tokens if token is None else reply.tokens[: token + 1]
        weights = self.compute(attention, self.checkpoint, embeddings, tokens, columns, layers, token is not None)
        return weights if token is None else weights[:, :, 0]

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
        return self._scheduler.call(score, [self._embeddings(request) for request in requests], tokens, self.checkpoint)

    def close(self) -> None:
        """Let the model's thread end once its work is done; the engine answers no more."""
        _end(self._scheduler, self._compiler)

    def _embeddings(self, request: Request) -> np.ndarray:
        """Return the language model's input of a request, float32 (L, D)."""
        leave = self._admission.enter(request.user, self._pipeline.cost(request))
        try:
            return self._pipeline.prepare(replace(request, on_token=None), time.perf_counter()).answer.embeddings
        finally:
            leave()

    def _ask(
        self, request: Request, news: Callable[[_Asked], None], stopped: Callable[[], bool], *, every: bool
    ) -> _Asked:
        """Take a request up to its slot.

        Args:
            request: What is asked.
            news: Told when the answer has ended; from the model's thread.
            stopped: Asked before every step; True ends the answer.
            every: Whether `news` is told of every token too.

        Raises:
            BadInput: As `answer`.
        """
        started = time.perf_counter()
        leave = self._admission.enter(request.user, self._pipeline.cost(request), stopped)
        try:
            admitted = time.perf_counter()
            with nullcontext() if request.replace else self._scheduler.expecting():
                run = self._pipeline.prepare(request, started)
                run.waited = admitted - started
                asked = _Asked(run, None, generate.Spelling(self.checkpoint), request.on_token)
                if "generate" in request.replace:
                    self._replace_generate(run)
                    leave()
                    news(asked)
                    return asked
                repeat = self.settings.sandbox_deterministic if request.deterministic is None else request.deterministic
                ticket = asked.ticket = Ticket(run.answer, run.programs, request.user, stopped, repeat=repeat)
                if every:
                    ticket.told = partial(news, asked)

                def ended(_: Any) -> None:
                    leave()
                    news(asked)

                ticket.done.add_done_callback(ended)
                self._scheduler.submit(ticket)
        except BaseException:
            leave()
            raise
        return asked

    def _replace_generate(self, run: Run) -> None:
        answer = run.answer
        answer.moments.append(time.perf_counter())
        accept = partial(generate.accept, vocabulary=self.checkpoint.vocabulary)
        answer.tokens = run.replaced("generate", accept, answer.embeddings)
        answer.moments += [time.perf_counter()] * len(answer.tokens)
        answer.finish = "end"

    def _reply(self, asked: _Asked) -> Reply:
        checkpoint, run, ticket, now = self.checkpoint, asked.run, asked.ticket, time.perf_counter()
        answer, patch = run.answer, self.checkpoint.patch_size
        if asked.read < len(answer.tokens):  # nobody listened
            asked.spelling.add(answer.tokens)
            asked.spelling.finish()
        if ticket:
            began = answer.moments[0] if answer.moments else now
            note = f"in {ticket.slots} slots of {ticket.length}" if ticket.slots else "stopped before it began"
            seconds = (answer.moments[-1] if answer.moments else now) - began
            run.record("generate", seconds, answer.embeddings, answer.tokens, note=note)
        moments = answer.moments or [now]
        trace = Trace(
            model=checkpoint.name,
            device=checkpoint.placement.device,
            dtype=checkpoint.placement.dtype_name,
            stages=tuple(run.records),
            tokens=run.tokens,
            answer_pieces=prompt.token_pieces(answer.tokens, checkpoint.tokenizer),
            finish=answer.finish or "stopped",
            seconds=now - run.started,
            first_token_seconds=moments[min(1, len(moments) - 1)] - run.started,
            token_seconds=tuple(after - before for before, after in pairwise(moments)),
            batch=ticket.company if ticket else 1,
            seed=answer.seed if answer.temperature else None,
            patch_grid=None if run.pixels is None else (run.pixels.shape[2] // patch, run.pixels.shape[3] // patch),
            image_mean=tuple(checkpoint.processor.image_processor.image_mean),
            image_std=tuple(checkpoint.processor.image_processor.image_std),
            pixels=run.pixels,
            tiles=run.tiles,
            arrays=run.arrays,
            waited_seconds=run.waited + (moments[0] - ticket.submitted if ticket else 0.0),
            caches=together([*run.uses, *(ticket.uses if ticket else [])]),
            receipt=self._receipt(answer, ticket) if ticket and ticket.slots else None,
            logits=np.stack(answer.logits) if answer.logits else None,
        )
        return Reply(asked.spelling.text, tuple(answer.tokens), trace)

    def _receipt(self, answer: generate.Answer, ticket: Ticket) -> Receipt:
        placement = self.checkpoint.placement
        return Receipt(
            logits=answer.digest.hexdigest(),
            steps=len(answer.tokens),
            model=self.checkpoint.name,
            weights=self._weights,
            device=placement.device,
            dtype=placement.dtype_name,
            attention=placement.attention,
            threads=self._scheduler.threads,
            slots=ticket.slots,
            length=ticket.length,
            prefill=ticket.prefill,
            compiled=ticket.programs.compiled,
            deterministic=ticket.repeatable,
            torch=torch.__version__,
            transformers=transformers.__version__,
        )


def open_engine(name: str, device: str, settings: SandboxSettings, progress: Callable[[str], None]) -> Engine:
    """Load a checkpoint and answer once, so that the first person doesn't pay for what is set up lazily."""
    engine = Engine(load_checkpoint(name, choose_placement(device), progress, settings), settings)
    progress(f"Warming up {engine.checkpoint.name}")
    picture = [Image.new("RGB", (1, 1))][: settings.max_images]
    events = engine.stream("?", picture)  # of the usual length, so that the usual slots are made and tested
    for _ in events:
        break
    del events  # stops the answer
    progress(f"Ready: {engine.description}")
    return engine


def _end(scheduler: Scheduler, compiler: Compiler | None) -> None:
    scheduler.close()
    if compiler:
        compiler.close()


def _hear(asked: _Asked) -> bool:
    """Pass on what is new of an answer; return whether it has ended. What went wrong with it is raised."""
    ended = asked.ticket is None or asked.ticket.done.done()
    if ended and asked.ticket:
        asked.ticket.done.result()
    if asked.on_text:
        asked.spell()
    return ended
