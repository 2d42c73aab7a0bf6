"""What a run may use, and what this machine offers to hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_THREADS = 64
"""Of one run, those that calls are made in included; the host counts them and ends a run that has more."""


@dataclass(frozen=True)
class Limits:
    """What one run may use.

    Attributes:
        seconds: Wall time of one call, by the host's clock; the time that callbacks take is not counted.
        total_seconds: Wall time of all calls of the run together, counted the same way.
        memory_bytes: Address space over what Python, numpy and Pillow map themselves; a thread's stack takes 8 MiB.
        print_chars: Characters of output that are kept; the rest is dropped and `Run.print_truncated` says so.
        result_bytes: Largest result, and largest set of arguments of one callback.
    """

    seconds: float = 10.0
    total_seconds: float = 60.0
    memory_bytes: int = 1 << 30
    print_chars: int = 65_536
    result_bytes: int = 64 << 20


@dataclass(frozen=True)
class Status:
    """Whether candidates' code can be run here, and what holds it.

    Attributes:
        available: Whether it can be run at all.
        confined: Whether it is shut in. False with `available` only where the one person at this computer chose so.
        layers: What holds it, outermost first.
        sentence: The same for people.
        probes: What the self-test tried from inside, and whether it was shut.
    """

    available: bool
    confined: bool
    layers: tuple[str, ...] = ()
    sentence: str = ""
    probes: Mapping[str, bool] = field(default_factory=dict)
