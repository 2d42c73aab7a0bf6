"""The loop of a confined process: takes a candidate's module, runs its functions, tells what came out.

What is observed here (an array's order, an argument that was changed) is observed with functions that were taken before
the candidate's module is loaded, so that replacing numpy's or Python's own changes nothing. A module that takes the
interpreter apart can still lie about its own arrays; it can't reach anything that isn't its own.
"""

from __future__ import annotations

import builtins
import io
import linecache
import os
import sys
import threading
import traceback
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any
from zlib import crc32

import numpy as np
from PIL import Image

from . import modules, wire

# A private copy: a candidate who replaces len() or isinstance() does not replace them here.
globals()["__builtins__"] = dict(vars(builtins))

JOB, REPLY = 3, 4
"""File descriptors: the host's frames come in by the one, answers go out by the other."""

FILE = "answer.py"
MAX_CALLS_AT_ONCE = 16
SMALL_PICTURE = 4_000_000
"""Pixels up to which a picture is compared with its file after the call; of a larger one only mode and size are."""

_ndarray, _picture, _open, _tobytes = np.ndarray, Image.Image, Image.open, Image.Image.tobytes


class CallFailedInside(Exception):
    """A call that can't be made; the text says why."""


class Worker:
    """Serves one run."""

    def __init__(self, result_bytes: int) -> None:
        self.result_bytes = result_bytes
        self.module = types.ModuleType("answer")
        self.handles: dict[str, Any] = {}
        self.calls: dict[str, Call] = {}
        self.writing = threading.Lock()
        self.local = threading.local()
        self.pool = ThreadPoolExecutor(MAX_CALLS_AT_ONCE)
        self.output = sys.stdout

    def serve(self) -> None:
        """Take frames until the host closes the pipe."""
        while True:
            head, body = read_frame()
            token = head["id"]
            if head["op"] in ("load", "has", "call", "make"):
                try:
                    call = self.calls[token] = Call(self, token, head, body)
                    self.pool.submit(call.run)
                except (MemoryError, RuntimeError) as error:  # no room for the arguments, or for one more thread
                    self.calls.pop(token, None)
                    body.drop()
                    self.write({"id": token, "kind": "error", **told(error)})
                continue
            value = self.value(head.get("value"), body)
            if waiting := self.calls.get(token):
                waiting.take(head, value)

    def value(self, node: Any, body: wire.Body) -> Any:
        """Decode what the host sent."""
        return wire.Decoder(self.special, body).value(node)

    def special(self, tag: str, rest: list[Any], body: wire.Body) -> Any:
        """Decode a picture or a callback."""
        if tag == "p":
            return _open(io.BytesIO(body.take(rest[0])))
        if tag == "c":
            return self.callback(rest[0])
        raise wire.Malformed("an unknown node")

    def callback(self, number: int) -> Callable[..., Any]:
        """Return a function that the host runs."""

        def ask_the_host(*args: Any, **kwargs: Any) -> Any:
            call = getattr(self.local, "call", None) or next(reversed(list(self.calls.values())), None)
            if call is None:
                raise RuntimeError("this function can be called only while a call from outside is under way")
            return call.ask(number, args, kwargs)

        return ask_the_host

    def flush(self) -> None:
        """Let the host have what was printed before what comes next."""
        with suppress(OSError, ValueError):  # closed by the candidate
            self.output.flush()

    def write(self, head: dict[str, Any], buffers: list[wire.Buffer] | None = None) -> None:
        """Write a frame."""
        with self.writing:
            for piece in wire.pack(head, buffers or []):
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(REPLY, rest) :]


class Call:
    """One thing asked of the module, from its arguments to the last word about it."""

    def __init__(self, worker: Worker, token: str, head: dict[str, Any], body: wire.Body) -> None:
        self.worker = worker
        self.token = token
        self.head = head
        self.args, self.kwargs = worker.value(head["value"], body)
        self.steps: SimpleQueue[None] = SimpleQueue()
        self.asked: dict[int, SimpleQueue[Any]] = {}
        self.asking = threading.Lock()
        self.turns = 0

    def take(self, head: dict[str, Any], value: Any) -> None:
        """Take what the host says: the next step, or a callback's answer."""
        if head["op"] == "answer":
            self.asked.pop(head["turn"]).put((head, value))
        else:
            self.steps.put(None)

    def say(self, kind: str, buffers: list[wire.Buffer] | None = None, **more: Any) -> None:
        """Write a frame of this call."""
        self.worker.write({"id": self.token, "kind": kind, **more}, buffers)

    def run(self) -> None:
        """Do it, and let the host hear in any case."""
        self.worker.local.call = self
        try:
            self.go_through()
        except BaseException as error:
            try:
                self.say("error", None, **told(error))
            except BaseException:  # no memory for so much as an answer
                os._exit(1)
        finally:
            del self.worker.calls[self.token]

    def go_through(self) -> None:
        """Do it step by step with the host, whose clock and measurements lie between the steps."""
        before = {} if self.head["op"] == "load" else self.marks()
        self.say("ready")
        self.steps.get()
        returned = self.say_result()
        if before and returned:
            self.steps.get()
            self.say("checked", names=[name for name, mark in self.marks().items() if mark != before[name]])

    def say_result(self) -> bool:
        """Run it and tell what came out; return whether it returned, after which the host asks what was changed."""
        try:
            result = self.result()
            self.worker.flush()
            encoder = wire.Encoder(encode_picture, self.worker.result_bytes)
            self.say("value", encoder.buffers, value=encoder.node(result))
        except wire.Unsendable as error:
            self.say("bad", why=str(error))
            return True
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: the module's own affair
            self.worker.flush()
            self.say("error", None, **told(error))
            return False
        return True

    def result(self) -> Any:
        """Return what the module's function does."""
        operation, name = self.head["op"], self.head["name"]
        if operation == "load":
            return self.load(self.args[0])
        if operation == "has":
            return callable(self.found(name))
        target = self.found(name)
        if not callable(target):
            raise CallFailedInside(f"{FILE} defines no {name!r}" if target is None else f"{name!r} is no function")
        if operation == "make":
            self.worker.handles[self.head["handle"]] = target(*self.args, **self.kwargs)
            return None
        return target(*self.args, **self.kwargs)

    def found(self, name: str) -> Any:
        """Return what a name stands for: a function or class of the module, or a method of what was made."""
        first, *rest = name.split(".")
        thing = self.worker.handles.get(first) if rest else getattr(self.worker.module, first, None)
        for part in rest:
            thing = getattr(thing, part, None)
        return thing

    def load(self, source: str) -> None:
        """Execute the candidate's module."""
        linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
        module = self.worker.module
        module.__file__ = FILE
        module.__dict__["__builtins__"] = dict(vars(builtins), __import__=modules.importer(builtins.__import__))
        sys.modules["answer"] = module
        exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)  # noqa: S102

    def ask(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Have the host run a callback, and return or raise what it does."""
        encoder = wire.Encoder(encode_picture, self.worker.result_bytes)
        answer: SimpleQueue[Any] = SimpleQueue()
        with self.asking:
            self.turns += 1
            turn = self.turns
            self.asked[turn] = answer
        self.worker.flush()
        try:
            node = encoder.node([args, kwargs])
            self.say("callback", encoder.buffers, callback=number, turn=turn, value=node)
        except wire.Unsendable as error:
            raise TypeError(f"an argument can't be handed over: {error}") from None
        head, value = answer.get()
        if "error" in head:
            kind = getattr(builtins, head["error"], RuntimeError)
            raise kind(value)
        return value

    def marks(self) -> dict[str, int]:
        """Return a checksum of every argument that could be changed, by its name in the call."""
        named = {str(number): value for number, value in enumerate(self.args)} | self.kwargs
        return {name: digest(value) for name, value in named.items()}


def digest(value: Any, seed: int = 0) -> int:
    """Return a checksum of all that a function could change in a value: five times the speed of a hash."""
    kind = type(value)
    seed = crc32(kind.__name__.encode(), seed)
    if kind is _ndarray:
        seed = crc32(f"{value.dtype.str}{value.shape}{value.strides}".encode(), seed)
        return crc32(wire.raw(value), seed) if value.dtype.kind in "biuf" and value.size else seed
    if kind is list or kind is tuple:
        for each in value:
            seed = digest(each, seed)
        return seed
    if kind is dict:
        for pair in value.items():
            seed = digest(pair, seed)
        return seed
    if issubclass(kind, _picture):
        seed = crc32(f"{value.mode}{value.size}".encode(), seed)
        return crc32(_pixels(value), seed) if value.width * value.height <= SMALL_PICTURE else seed
    return crc32(value if kind is bytes else str(value).encode("utf-8", "replace"), seed)


def _pixels(picture: Image.Image) -> bytes:
    """Return a picture's pixels, decoded apart from the picture as long as nobody has looked at them."""
    file = getattr(picture, "fp", None)
    if file is None:
        return _tobytes(picture)
    place = file.tell()
    try:
        with _open(io.BytesIO(file.getvalue())) as same:
            return _tobytes(same)
    except Exception:
        return b""
    finally:
        file.seek(place)


def encode_picture(value: Any, buffers: list[wire.Buffer]) -> list[Any] | None:
    """Encode a PIL image by its mode, size and pixels."""
    if not issubclass(type(value), _picture):
        return None
    pixels = _tobytes(value)
    palette = bytes(value.getpalette("RGB") or []) if value.mode in ("P", "PA") else b""
    buffers += [pixels, palette]
    return ["r", str(value.mode), *map(int, value.size), len(pixels), len(palette)]


def told(error: BaseException) -> dict[str, Any]:
    """Return an error as words: its kind, its text and the lines of the candidate's file that led to it."""
    if isinstance(error, CallFailedInside):
        return {"error": "NameError", "message": str(error), "trace": "", "bases": ["NameError"]}
    kind = type(error).__name__[:100]
    try:
        message = str(error)[:2000]
    except BaseException:
        message = "(its text can't be read)"
    try:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
        lines = ["Traceback (most recent call last):\n"] if frames else []
        lines += traceback.format_list(frames[-20:])
        if isinstance(error, SyntaxError):
            lines = traceback.format_exception_only(SyntaxError, error)
        else:
            lines.append(f"{kind}: {message}" if message else kind)
        trace = "".join(lines).rstrip()
    except BaseException:
        trace = f"{kind}: {message}"
    clean = [text.encode("utf-8", "replace").decode() for text in (kind, message, trace[-8000:])]
    bases = [base.__name__[:100].encode("utf-8", "replace").decode() for base in type.mro(type(error))[:32]]
    return {**dict(zip(("error", "message", "trace"), clean, strict=True)), "bases": bases}


def read_frame() -> tuple[dict[str, Any], wire.Body]:
    """Take the host's next frame; end the process when there is none."""
    head_length, body_length = wire.LENGTHS.unpack(_read(wire.LENGTHS.size))
    head = wire.unpack_head(_read(head_length))
    return head, wire.Body(body_length, _fill)


def _read(length: int) -> bytes:
    target = bytearray(length)
    _fill(memoryview(target))
    return bytes(target)


def _fill(target: memoryview) -> None:
    while target:
        taken = os.readv(JOB, [target])
        if not taken:
            os._exit(0)
        target = target[taken:]
