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
    """

    def __init__(self, kind: str, message: str, traceback: str = "") -> None:
        self.kind, self.message, self.traceback = kind, message, traceback
        super().__init__(f"{kind}: {message}" if message else kind)


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
