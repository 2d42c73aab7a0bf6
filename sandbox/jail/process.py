"""What the kernel says of a run's process, seen from outside it."""

from __future__ import annotations

import time

PEAK_OF_MEMORY = "5\n"
"""Written to clear_refs: the peak begins anew (proc(5))."""


def status_of(pid: int | str) -> dict[str, str]:
    """Return /proc/<pid>/status by field; {} where there is none."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}
    except OSError:
        return {}


def confined(pid: int) -> bool:
    """Whether the kernel says that a process is shut in.

    In a container this process has a filter already, so filters are counted.
    """
    theirs, ours = status_of(pid), status_of("self")
    try:
        return (
            theirs["NoNewPrivs"] == "1"
            and theirs["Seccomp"] == "2"
            and int(theirs["Seccomp_filters"]) > int(ours["Seccomp_filters"])
            and int(theirs["CapEff"], 16) == int(theirs["CapPrm"], 16) == 0
            and theirs["Uid"].split()[0] != "0"
        )
    except (KeyError, ValueError):
        return False


def threads_of(pid: int) -> int:
    """Return the number of threads, 0 where it isn't told."""
    return int(status_of(pid).get("Threads", "0"))


def gone(pid: int, seconds: float) -> bool:
    """Whether a process that nobody has waited for yet ends within these seconds."""
    end = time.monotonic() + seconds
    while status_of(pid).get("State", "Z")[0] not in "ZX":
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


class Memory:
    """A process's resident memory: its peak over where it began."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._baseline = self._earlier = 0

    def begin(self) -> None:
        """Begin a new peak here."""
        try:
            with open(f"/proc/{self._pid}/clear_refs", "w", encoding="ascii") as file:
                file.write(PEAK_OF_MEMORY)
            self._earlier = 0
        except OSError:
            self._earlier = self._read("VmHWM")
        self._baseline = self._read("VmRSS")

    def peak(self) -> int | None:
        """Return the peak since `begin` over the memory at `begin`, in bytes; None where the system doesn't tell.

        Nor does it where no new peak can be begun (a read-only /proc) and an earlier one was as high.
        """
        highest = self._read("VmHWM")
        return max(0, highest - self._baseline) if highest > self._earlier else None

    def _read(self, name: str) -> int:
        return int(status_of(self._pid).get(name, "0 kB").split()[0]) << 10
