"""One process with a candidate's module in it, and calls into it."""

from __future__ import annotations

import builtins
import itertools
import queue
import secrets
import threading
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from sandbox.jail.channel import Channel, Frame, written_to
from sandbox.jail.errors import BadResult, CallFailed, CallTimedOut, RunEnded
from sandbox.jail.inside import wire
from sandbox.jail.limits import Limits
from sandbox.jail.process import Memory
from sandbox.jail.values import Callback, Picture

ARGUMENT_BYTES = 512 << 20
SHORTEST_WAIT = 0.01
CALLBACK_RESULTS = 4
"""The arguments of all callbacks of a call are kept, and may have so many times the bytes of one result."""


@dataclass(frozen=True)
class ArrayFacts:
    """What an array in a result was like before it was sent, as seen inside.

    An array that comes back is exactly numpy.ndarray: of anything else there is a `BadResult`.

    Attributes:
        path: Where in the result: '' for the result itself, "['pos']", '[0]'.
        dtype: Such as 'float32'.
        shape: Its sides.
        c_contiguous: Whether its bytes lay in C order.
        native_byte_order: Whether they lay in this machine's order.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    c_contiguous: bool
    native_byte_order: bool
    exact_ndarray: bool = True


@dataclass(frozen=True)
class Result:
    """What a call gave.

    Attributes:
        value: The result, decoded.
        seconds: By the host's clock, from the moment that the arguments were handed over until the result was there,
            without the time of callbacks. Some of it is the jail's own; tests/bench/jail.py measures how much.
        peak_bytes: Highest resident memory in that time over what it was at its beginning, by the kernel's count; None
            where the system doesn't tell. It includes pages of libraries used for the first time (some MiB).
            Calls at the same time share one count.
        arrays: Facts about every array in the result.
        modified: Names of the arguments that were changed: '0' for the first positional one.
    """

    value: Any
    seconds: float
    peak_bytes: int | None
    arrays: tuple[ArrayFacts, ...]
    modified: tuple[str, ...]


class Run:
    """A candidate's module in its own process; what it keeps lives until the run is closed.

    Several threads may call at once: each call has a thread of its own inside, up to 16. Made by `Jail.open`.
    """

    def __init__(self, channel: Channel, limits: Limits, *, layers: tuple[str, ...]) -> None:
        self.layers = layers
        self.seconds = 0.0
        self.peak_bytes: int | None = None
        self._channel = channel
        self._limits = limits
        self._memory = Memory(channel.child.pid)
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callback] = {}
        self._numbers = itertools.count()

    @property
    def prints(self) -> str:
        """What the code printed so far, its end dropped beyond the limit."""
        return self._channel.prints

    @property
    def print_truncated(self) -> bool:
        """Whether some of it was dropped."""
        return self._channel.print_truncated

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Result:
        """Call a function of the module, or a method of what `make` made ('index.search').

        Arguments may be None, bool, int (64 bits), float, str, bytes, list, tuple, dict with str or int keys, numpy
        arrays of booleans, integers and floats, `Picture` and `Callback`; results the same but for callbacks.

        Raises:
            CallFailed: It raised, or there is nothing of that name.
            CallTimedOut: It took too long; the run is over.
            RunEnded: The run is over.
            BadResult: Its result may not cross; the run goes on.
        """
        return self._ask("call", name, args, kwargs)

    def make(self, handle: str, class_name: str, /, *args: Any, **kwargs: Any) -> Result:
        """Make an instance that stays inside under the name `handle`; the result's value is None. Raises as `call`."""
        return self._ask("make", class_name, args, kwargs, handle=handle)

    def has(self, name: str) -> bool:
        """Whether there is a function, class or method of that name. Raises CallTimedOut and RunEnded."""
        return self._ask("has", name, (), {}).value is True

    def load(self, source: str) -> None:
        """Execute the candidate's source. Raises as `call`."""
        self._ask("load", "answer.py", (source,), {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process and wait until it is gone."""
        self._channel.end(RunEnded("closed", "The run was closed."))

    def _ask(
        self, operation: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], handle: str = ""
    ) -> Result:
        call = _Call(self, self._left())
        try:
            return call.ask({"op": operation, "name": name, "handle": handle}, args, kwargs)
        finally:
            with self._lock:
                self.seconds += call.seconds
                if call.peak_bytes is not None:
                    self.peak_bytes = max(self.peak_bytes or 0, call.peak_bytes)
            call.close()

    def _left(self) -> float:
        self._channel.check()
        left = self._limits.total_seconds - self.seconds
        if left <= 0:
            sentence = f"All calls together took {self._limits.total_seconds:g} s, which is the limit."
            self._channel.end(RunEnded("timed out", sentence))
            raise CallTimedOut(sentence)
        return left

    def _keep(self, callback: Callback) -> int:
        """Keep a callback for the length of the run, since the code may; return its number."""
        number = next(self._numbers)
        self._callbacks[number] = callback
        return number


class _Call:
    """One request, from its arguments to its answer."""

    def __init__(self, run: Run, left: float) -> None:
        self._run, self._left = run, left
        self._channel, self._limits, self._memory = run._channel, run._limits, run._memory
        self._clock = run._channel.clock
        self._token = secrets.token_hex(8)
        self._inbox = self._channel.inbox(self._token)
        self._kept_bytes = 0
        self._began = self._started = self._clock.now()
        self.peak_bytes: int | None = None

    @property
    def seconds(self) -> float:
        """Time since it was made, as far as it counts."""
        return self._clock.now() - self._began

    def close(self) -> None:
        """Expect nothing more."""
        self._channel.forget(self._token)

    def ask(self, what: dict[str, str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
        """Send it, and return what comes back. Raises as `Run.call`."""
        encoder = wire.Encoder(self._special, ARGUMENT_BYTES)
        try:
            request = self._packed({**what, "value": encoder.node([args, kwargs])}, encoder.buffers)
        except wire.Unsendable as error:
            raise TypeError(f"an argument can't be sent: {error}") from None
        self._write(request)
        # Counted from here, not from "go": a thread of the candidate's could begin as soon as the arguments are there.
        self._started = self._clock.now()
        self._take("ready")
        self._memory.begin()
        self._write(self._packed({"op": "go"}))
        try:
            frame = self._take("value", "bad")
        except CallFailed as error:
            error.peak_bytes = self.peak_bytes = self._memory.peak()
            raise
        seconds = frame.at - self._started
        self.peak_bytes = self._memory.peak()
        modified: tuple[str, ...] = ()
        try:
            if frame.head["kind"] == "bad":
                raise BadResult(f"What came back can't be used: {text(frame.head.get('why'))}.")
            value, arrays = self._value(frame, "What came back")
        finally:
            if what["op"] != "load" and (args or kwargs):
                self._started = self._clock.now()
                self._write(self._packed({"op": "check"}))
                names = self._take("checked").head.get("names")
                known = {*map(str, range(len(args))), *kwargs}
                modified = tuple(name for name in names or () if name in known) if is_texts(names) else ()
        return Result(value, seconds, self.peak_bytes, arrays, modified)

    def _packed(self, head: dict[str, Any], buffers: list[wire.Buffer] | None = None) -> list[wire.Buffer]:
        return wire.pack({"id": self._token, **head}, buffers or [])

    def _write(self, pieces: list[wire.Buffer]) -> None:
        if not self._channel.write(pieces, lambda: self._remaining() <= 0):
            self._time_out()

    def _remaining(self) -> float:
        now = self._clock.now()
        return min(self._limits.seconds - (now - self._started), self._left - (now - self._began))

    def _time_out(self) -> NoReturn:
        self._channel.check()
        sentence = f"The code did not answer within {min(self._limits.seconds, self._left):.3g} s, and was ended."
        self._channel.end(RunEnded("timed out", sentence))
        raise CallTimedOut(sentence)

    def _take(self, *kinds: str) -> Frame:
        """Return the next frame, which must be of one of these kinds; run callbacks and raise errors on the way."""
        while True:
            try:
                frame = self._inbox.take(max(SHORTEST_WAIT, self._remaining()))
            except queue.Empty:
                if self._remaining() <= 0:  # else a callback in another thread stopped the clock meanwhile
                    self._time_out()
                continue
            if frame is None:
                self._channel.check()
            assert frame is not None  # noqa: S101
            kind = frame.head.get("kind")
            if kind in kinds:
                return frame
            if kind == "error":
                kind, message, trace = (text(frame.head.get(name)) for name in ("error", "message", "trace"))
                bases = frame.head.get("bases") or []
                raise CallFailed(kind, message, trace, tuple(bases) if is_texts(bases) else ())
            if kind == "callback":
                self._run_callback(frame)
                continue
            self._channel.end(written_to())
            self._channel.check()

    def _run_callback(self, frame: Frame) -> None:
        number, turn = frame.head.get("callback"), frame.head.get("turn")
        about = {"op": "answer", "turn": turn}
        try:
            callback = self._run._callbacks.get(number) if type(number) is int and type(turn) is int else None
            if callback is None:
                raise RuntimeError("there is no such function")
            self._kept_bytes += len(frame.body)
            if self._kept_bytes > CALLBACK_RESULTS * self._limits.result_bytes:
                raise RuntimeError("too many bytes were handed to functions in this call")
            args, kwargs = self._arguments(frame)
            with self._clock:
                value, buffers = self._answer(callback, args, kwargs)
            answer = self._packed({**about, "value": value}, buffers)
        except Exception as error:
            known = isinstance(getattr(builtins, type(error).__name__, None), type)
            kind = type(error).__name__ if known else "RuntimeError"
            answer = self._packed({**about, "error": kind, "value": text(str(error))})
        self._write(answer)

    def _answer(
        self, callback: Callback, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, list[wire.Buffer]]:
        with self._run._lock:
            if len(callback.calls) >= callback.max_calls:
                raise RuntimeError(f"this function may be called {callback.max_calls} times at most")
            callback.calls.append((args, kwargs))
        encoder = wire.Encoder(self._special, ARGUMENT_BYTES)
        return encoder.node(callback.function(*args, **kwargs)), encoder.buffers

    def _arguments(self, frame: Frame) -> tuple[tuple[Any, ...], dict[str, Any]]:
        both, _ = self._value(frame, "An argument")
        if (
            type(both) is list
            and len(both) == 2
            and type(both[0]) is tuple
            and type(both[1]) is dict
            and is_texts(list(both[1]))
        ):
            return both[0], both[1]
        raise BadResult("An argument can't be used.")

    def _value(self, frame: Frame, subject: str) -> tuple[Any, tuple[ArrayFacts, ...]]:
        decoder = wire.Decoder(self._special_back, wire.Body.of(frame.body))
        try:
            value = decoder.value(frame.head.get("value"))
            if decoder.body.left:
                raise wire.Malformed("more bytes than values")
        except (wire.Malformed, TypeError, ValueError, IndexError) as error:
            raise BadResult(f"{subject} can't be used: {error}.") from None
        arrays = (
            ArrayFacts(path, array.dtype.name, array.shape, contiguous, native)
            for path, contiguous, native, array in decoder.arrays
        )
        return value, tuple(arrays)

    def _special(self, value: Any, buffers: list[wire.Buffer]) -> list[Any] | None:
        if isinstance(value, Picture):
            buffers.append(value.data)
            return ["p", len(value.data)]
        if isinstance(value, Callback):
            return ["c", self._run._keep(value)]
        return None

    @staticmethod
    def _special_back(tag: str, rest: list[Any], body: wire.Body) -> Any:
        if tag != "r" or len(rest) != 5:
            raise wire.Malformed("a node that is none")
        mode, width, height, pixels, palette = rest
        return Picture.from_raw(mode, width, height, body.take(pixels), body.take(palette))


def text(value: object) -> str:
    """Return a text from the child, bounded; '' for anything else."""
    if type(value) is not str:
        return ""
    return value[:10_000].encode("utf-8", "replace").decode()


def is_texts(value: object) -> bool:
    """Whether it is a list of texts."""
    return type(value) is list and all(type(each) is str for each in value)
