"""Runs code that nobody vouches for.

A process that has numpy and Pillow loaded and knows nothing (own exec, empty environment) is forked for every run. The
fork shuts itself in for good, the host asks the kernel whether it did, and only then sends the candidate's source.
Values go both ways as plain data; verdicts, expectations and clocks stay with the host.

Covered:
    Files, by name or number: none can be opened, listed, looked up or changed. Network and sockets of any family: none
    can be made. Processes and programs: none can be started, signalled, traced or read. The host's memory and
    environment: never in the process. Threads (64), memory, output, result sizes and time: bounded; the process group
    is killed at the end. Answers written in advance: each request has a token. Pickles, object arrays, sizes that lie:
    refused. It holds with seccomp alone; Landlock, where the kernel has it, shuts files, TCP, abstract sockets and
    signals again.
Not covered:
    Faults of the kernel, and what is seen by timing the processor and its caches. Memory is bounded for each run, not
    for all: `RUN_CODE_PARALLEL` bounds how many there are.
    `Result.modified` and `ArrayFacts` are observed inside: replacing functions doesn't change them, but code that takes
    the interpreter apart can lie about its own arrays, so let them decide about style, not about values.
    A run has nice 10, so compare its seconds with those of another run, not with the host's.
    macOS and Windows: there only RUN_CODE_UNCONFINED runs code, as the user's own.
"""

from sandbox.jail.errors import BadResult, CallFailed, CallTimedOut, JailUnavailable, RunEnded
from sandbox.jail.jail import Jail
from sandbox.jail.limits import Limits, Status
from sandbox.jail.run import ArrayFacts, Result, Run
from sandbox.jail.values import Callback, Picture

__all__ = [
    "ArrayFacts",
    "BadResult",
    "CallFailed",
    "CallTimedOut",
    "Callback",
    "Jail",
    "JailUnavailable",
    "Limits",
    "Picture",
    "Result",
    "Run",
    "RunEnded",
    "Status",
]
