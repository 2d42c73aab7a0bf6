"""The host's end of the process that is forked for every run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import PIL

from sandbox.jail.errors import JailUnavailable
from sandbox.jail.process import gone

HERE = Path(__file__).parent
START_SECONDS = 60.0
ENDING_SECONDS = 2.0
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # one run, one core
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",  # every further one would reserve 64 MiB of the address space that is limited
}
PROGRAM = """
import json, sys
here, packages = sys.argv.pop(), json.loads(sys.argv[2])["packages"]
sys.path[:] = [here, *sys.path, *packages]
from inside.zygote import main
sys.path.remove(here)
main()
"""
PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031


@dataclass(frozen=True)
class Child:
    """A forked process: its id, and the host's ends of its pipes."""

    pid: int
    job: int
    output: int
    reply: int

    def close(self) -> None:
        """Close the pipes."""
        for end in (self.job, self.output, self.reply):
            os.close(end)


class Zygote:
    """Starts the process, has it fork, and ends what was forked."""

    def __init__(self, *, confined: bool) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        # Isolated Python doesn't look into the folder of a user's own packages, where numpy may be.
        packages = sorted({str(Path(package.__path__[0]).parent) for package in (numpy, PIL)})
        orders = json.dumps({"confined": confined, "packages": packages})
        command = [sys.executable, "-I", "-X", "utf8", "-c", PROGRAM, str(theirs.fileno()), orders, str(HERE)]
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command,
                    env=ENVIRONMENT,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                self._control.close()
                raise JailUnavailable(f"Code can't be run here: no process could be started ({error}).") from None
        self._control.settimeout(START_SECONDS)
        try:
            first = json.loads(self._control.recv(65536) or b'{"refused": "its process ended at once"}')
        except (OSError, ValueError) as error:
            first = {"refused": f"its process did not start: {error}"}
        if "refused" in first:
            self.close()
            raise JailUnavailable(f"Code can't be run here: {first['refused']}.")

    @property
    def alive(self) -> bool:
        """Whether it can still fork."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fork(self, **order: Any) -> Child:
        """Fork a run with these limits; OSError if the process is gone."""
        job, output, reply = os.pipe(), os.pipe(), os.pipe()
        theirs = (job[0], output[1], reply[1])
        ours = (job[1], output[0], reply[0])
        try:
            for end in (job[1], reply[0]):
                widen(end)
            pid = self._order(order, list(theirs))["pid"]
        except BaseException:
            for end in ours:
                os.close(end)
            raise
        finally:
            for end in theirs:
                os.close(end)
        for end in ours:
            os.set_blocking(end, False)
        return Child(pid, *ours)

    def end(self, child: Child) -> int:
        """Kill a run's whole process group, and return its wait status."""
        try:
            # Not reaped yet, so the number can't belong to anyone else.
            for kill, whom in ((os.killpg, child.pid), (os.kill, child.pid)):
                try:
                    kill(whom, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):  # no group yet, or nothing alive in it (macOS)
                    continue
            gone(child.pid, ENDING_SECONDS)  # the zygote would wait for it, and nothing could be forked meanwhile
            return int(self._order({"reap": child.pid}, [])["status"])
        except OSError:  # the zygote is gone, and the kernel ended its children
            return signal.SIGKILL

    def close(self) -> None:
        """End the process, and with it every run."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # whoever waits for an answer is told first
        with self._lock:
            self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _order(self, order: dict[str, Any], ends: list[int]) -> dict[str, Any]:
        with self._lock:
            try:
                socket.send_fds(self._control, [json.dumps(order).encode()], ends)
                answer = self._control.recv(65536)
            except OSError:
                self._process.kill()  # a late answer would be taken for that to the next order
                raise
        if not answer:
            raise ConnectionResetError("the process that is forked is gone")
        result: dict[str, Any] = json.loads(answer)
        if "error" in result:
            raise OSError(result["error"])
        return result


def widen(pipe: int) -> None:
    """Give a pipe a larger buffer where the system lets us: arrays cross faster."""
    if sys.platform == "linux":
        import fcntl  # not on Windows

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)
