"""How a run of a candidate's code can go wrong; each error's text is a sentence for people."""

from __future__ import annotations

from sandbox.errors import BadInput


class JailUnavailable(Exception):
    """Code can't be run here, or not now; the text says why and what the host can do."""


class CallFailed(BadInput):
    """The candidate's code raised.

    Attributes:
        kind: The error's class, such as 'ValueError'; 'NameError' where the module has no function of that name.
        message: The error's own text, written by the candidate's code.
        traceback: The lines of answer.py that led to it, '' where there are none; written by the candidate's code too.
        bases: The names of the error's class and of all that it inherits from.
        peak_bytes: As `Result.peak_bytes`.
    """

    peak_bytes: int | None = None

    def __init__(self, kind: str, message: str, traceback: str = "", bases: tuple[str, ...] = ()) -> None:
        self.kind, self.message, self.traceback, self.bases = kind, message, traceback, bases or (kind,)
        super().__init__(f"{kind}: {message}" if message else kind)

    def is_a(self, kind: str) -> bool:
        """Whether an `except` of that class would catch it."""
        return kind in self.bases


class CallTimedOut(BadInput):
    """A call took longer than its limit; the run is over."""


class RunEnded(BadInput):
    """The run is over, and nothing more can be called.

    Attributes:
        reason: 'memory', 'output flood', 'threads', 'seccomp', 'signal', 'exit', 'channel' (the code wrote to or closed
            what it answers by), 'stopped', 'timed out' or 'closed'.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        self.reason = reason
        super().__init__(sentence)


class BadResult(BadInput):
    """What came back is no value that may cross the border; the text says which part and why. The run goes on."""
