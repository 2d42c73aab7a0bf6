"""The host's end of one run's pipes: a thread reads them, sorts frames by call, and watches over the process.

Every byte from the child is hostile. A frame that answers nothing that was asked ends the run, so that answers can't be
written in advance: every request has a random token.
"""

from __future__ import annotations

import codecs
import logging
import os
import queue
import selectors
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.jail.errors import RunEnded
from sandbox.jail.inside import wire
from sandbox.jail.limits import MAX_THREADS, Limits
from sandbox.jail.process import gone, threads_of
from sandbox.jail.zygote import Child, Zygote

log = logging.getLogger(__name__)

TICK = 0.05
CHUNK = 1 << 20
ENDING_SECONDS = 0.5
FLOOD_CHARS = 8 << 20
"""Output beyond what is kept; a run that prints more is ended."""

MAX_WAITING = 64
"""Frames of one call that nobody has taken yet; their bytes may be twice those of a result."""


@dataclass(frozen=True)
class Frame:
    """A frame from the child, and when its last byte arrived by the run's clock."""

    head: dict[str, Any]
    body: bytearray
    at: float


class Inbox:
    """Frames of one call, in order."""

    def __init__(self) -> None:
        self.bytes = 0
        self._lock = threading.Lock()
        self._frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()

    def __len__(self) -> int:
        return self._frames.qsize()

    def put(self, frame: Frame | None) -> None:
        """Add a frame; None says that no more will come."""
        with self._lock:
            self.bytes += len(frame.body) if frame else 0
        self._frames.put(frame)

    def take(self, seconds: float) -> Frame | None:
        """Return the next frame, None if the run is over; queue.Empty if none came in time."""
        frame = self._frames.get(timeout=max(0.0, seconds))
        with self._lock:
            self.bytes -= len(frame.body) if frame else 0
        return frame


class Clock:
    """Seconds of the monotonic clock, standing still while a callback runs: that time is the host's own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._since = 0.0
        self._stood = 0.0

    def now(self) -> float:
        """Return the reading."""
        with self._lock:
            return (self._since if self._running else time.monotonic()) - self._stood

    def __enter__(self) -> None:
        with self._lock:
            if not self._running:
                self._since = time.monotonic()
            self._running += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._running -= 1
            if not self._running:
                self._stood += time.monotonic() - self._since


class Channel:
    """The pipes of one child and its end."""

    def __init__(
        self,
        zygote: Zygote,
        child: Child,
        limits: Limits,
        *,
        on_print: Callable[[str], None] | None,
        stop: threading.Event | None,
    ) -> None:
        self.child = child
        self.clock = Clock()
        self.prints = ""
        self.print_truncated = False
        self._zygote = zygote
        self._limits = limits
        self._on_print = on_print
        self._stop = stop
        self._dropped = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._incoming = bytearray()
        self._writing = threading.Lock()
        self._lock = threading.Lock()
        self._inboxes: dict[str | None, Inbox] = {}
        self._ended: RunEnded | None = None
        self._over = threading.Event()
        self._wake, self._wake_by = os.pipe()
        self._reader = threading.Thread(target=self._read, name=f"run {child.pid}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._reader.start()

    def inbox(self, token: str | None) -> Inbox:
        """Return where the frames with this token will come."""
        box = Inbox()
        with self._lock:
            self._inboxes[token] = box
            if self._ended:
                box.put(None)
        return box

    def forget(self, token: str | None) -> None:
        """Expect no frame with this token any more."""
        with self._lock:
            self._inboxes.pop(token, None)

    def check(self) -> None:
        """Raise what ended the run, if it is over."""
        if self._ended:
            raise self._ended.with_traceback(None)

    def write(self, pieces: list[wire.Buffer], out_of_time: Callable[[], bool]) -> bool:
        """Write a frame; return False if time ran out before it was taken."""
        with self._writing, selectors.DefaultSelector() as selector:
            self.check()
            selector.register(self.child.job, selectors.EVENT_WRITE)
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    self.check()
                    if out_of_time():
                        return False
                    try:
                        rest = rest[os.write(self.child.job, rest[:CHUNK]) :]
                    except BlockingIOError:
                        selector.select(TICK)
                    except BrokenPipeError:
                        self._over.wait(ENDING_SECONDS)  # the reader finds out why, unless the process goes on
                        self.check()
                        raise closed() from None
        return True

    def end(self, why: RunEnded) -> None:
        """Kill the process for this reason, unless it is over already, and wait until it is gone."""
        with self._lock:
            self._ended = self._ended or why
            if self._reader.is_alive() and self._wake_by != -1:
                os.write(self._wake_by, b".")
        self._reader.join()

    def _read(self) -> None:
        """Read until the end, then reap; nothing else waits for the process or closes its pipes."""
        try:
            why = self._read_until_the_end()
        except Exception:  # a fault of ours, or of who is told of output, must not leave a process behind
            log.exception("reading from a run failed")
            why = RunEnded("closed", "The run was ended by a fault of the host's; its log says more.")
        status = self._zygote.end(self.child)
        with self._lock:
            self._ended = self._ended or why or ended_by(status)
            self._over.set()
            for box in self._inboxes.values():
                box.put(None)
            os.close(self._wake)
            os.close(self._wake_by)
            self._wake_by = -1
        with self._writing:  # whoever is in there has seen the end by now
            self.child.close()

    def _read_until_the_end(self) -> RunEnded | None:
        next_look = time.monotonic() + TICK
        with selectors.DefaultSelector() as selector:
            for end in (self.child.output, self.child.reply, self._wake):
                selector.register(end, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select(max(0.0, next_look - time.monotonic()))}
                if self._ended:
                    return None
                # Output first: what was printed before an answer is there when the answer is.
                if ready & {self.child.output, self.child.reply} and (why := self._take_output(selector)):
                    return why
                if self.child.reply in ready and (over := self._take_replies()):
                    self._take_output(selector)
                    return over if isinstance(over, RunEnded) else None
                if time.monotonic() >= next_look:
                    next_look = time.monotonic() + TICK
                    if why := self._look():
                        return why

    def _look(self) -> RunEnded | None:
        if self._stop and self._stop.is_set():
            return RunEnded("stopped", "The run was stopped.")
        if threads_of(self.child.pid) > MAX_THREADS:
            return RunEnded("threads", f"The code started more than {MAX_THREADS} threads.")
        return None

    def _take_output(self, selector: selectors.BaseSelector) -> RunEnded | None:
        while (data := read(self.child.output)) is not None:
            if not data:
                if self.child.output in selector.get_map():
                    selector.unregister(self.child.output)
                return None
            text = self._decoder.decode(data)
            kept = text[: max(0, self._limits.print_chars - len(self.prints))]
            self.prints += kept
            self._dropped += len(text) - len(kept)
            self.print_truncated = self._dropped > 0
            if kept and self._on_print:
                self._on_print(kept)
            if self._dropped > FLOOD_CHARS:
                return RunEnded("output flood", f"The code printed more than {FLOOD_CHARS >> 20} million characters.")
        return None

    def _take_replies(self) -> RunEnded | bool:
        """Take what is there; return True when the process has ended, an error for what is no answer."""
        while (data := read(self.child.reply)) is not None:
            if not data:
                return gone(self.child.pid, ENDING_SECONDS) or closed()
            self._incoming += data
            while frame := self._frame():
                if isinstance(frame, RunEnded):
                    return frame
                token = frame.head.get("id")
                with self._lock:
                    box = self._inboxes.get(token) if token is None or type(token) is str else None
                if box is None or len(box) > MAX_WAITING or box.bytes > 2 * self._limits.result_bytes:
                    return written_to()
                box.put(frame)
        return False

    def _frame(self) -> Frame | RunEnded | None:
        start = wire.LENGTHS.size
        if len(self._incoming) < start:
            return None
        head_length, body_length = wire.LENGTHS.unpack_from(self._incoming)
        if head_length > wire.MAX_HEAD or body_length > self._limits.result_bytes + 4096:
            return written_to()
        whole = start + head_length + body_length
        if len(self._incoming) < whole:
            return None
        try:
            head = wire.unpack_head(self._incoming[start : start + head_length])
        except wire.Malformed:
            return written_to()
        body = self._incoming[start + head_length : whole]
        del self._incoming[:whole]
        return Frame(head, body, self.clock.now())


def read(pipe: int) -> bytes | None:
    """Return what a pipe has, b'' at its end, None for nothing yet."""
    try:
        return os.read(pipe, CHUNK)
    except BlockingIOError:
        return None


def closed() -> RunEnded:
    """Return the end of a run whose code took the channel away."""
    return RunEnded("channel", "The code closed the channel that it is called by.")


def written_to() -> RunEnded:
    """Return the end of a run whose code wrote what was not asked."""
    return RunEnded("channel", "The code wrote to the channel that it is called by.")


def ended_by(status: int) -> RunEnded:
    """Return a wait status as what it means."""
    if not os.WIFSIGNALED(status):
        return RunEnded("exit", "The code ended its own process.")
    number = os.WTERMSIG(status)
    if number == signal.SIGSYS:
        return RunEnded("seccomp", "The code made a system call that is not allowed, and was ended.")
    if number == signal.SIGKILL:
        return RunEnded("memory", "The system ended the code: memory or processor time ran out.")
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    return RunEnded("signal", f"The code's process crashed ({name}).")
