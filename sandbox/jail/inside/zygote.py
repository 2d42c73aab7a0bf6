"""The process that is forked for every run: it has everything imported and knows nothing.

It takes orders by a socket from the host and holds no file, no secret and no candidate's code. When the host ends, the
socket closes, this process ends, and the kernel ends every run with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import signal
import socket
import sys
from typing import Any

import numpy as np

from . import confinement, modules, worker


def main() -> None:
    """Serve the host's orders: `fork` with the three ends of pipes, and `reap`."""
    control = socket.socket(fileno=int(sys.argv[1]))
    orders = json.loads(sys.argv[2])
    try:
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")  # memory short on the whole machine: these first
        modules.load()
        modules.close()
        seccomp = confinement.jail_filter() if orders["confined"] else None
        if os.getuid() == 0:
            confinement.become_nobody()
    except (confinement.NotConfined, ImportError, OSError) as error:
        control.send(json.dumps({"refused": str(error)}).encode())
        return
    control.send(b"{}")
    gc.collect()
    gc.freeze()
    while message := socket.recv_fds(control, 65536, 3):
        if not message[0]:
            return
        order = json.loads(message[0])
        answer: dict[str, Any]
        if "reap" in order:
            answer = {"status": os.waitpid(order["reap"], 0)[1]}
        else:
            try:
                answer = {"pid": fork(order, message[1], seccomp, control)}
            except OSError as error:  # no room for one more process: the other runs go on
                answer = {"error": str(error.strerror)}
        control.send(json.dumps(answer).encode())


def fork(order: dict[str, Any], pipes: list[int], seccomp: confinement.Filter | None, control: socket.socket) -> int:
    """Fork one run and return its process id."""
    parent = os.getpid()
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            for pipe in pipes:
                os.close(pipe)
    if pid:
        return pid
    try:
        arrange(pipes, control)
        try:
            confinement.limit(order["memory_bytes"], order["cpu_seconds"])
            layers = confinement.confine(seccomp, parent) if seccomp else ("own process", "limits")
        except (confinement.NotConfined, OSError, ValueError) as error:
            serving = worker.Worker(0)
            serving.write({"kind": "refused", "why": str(error)})
            os._exit(1)
        np.random.seed()
        forget()
        serving = worker.Worker(order["result_bytes"])
        serving.write({"kind": "confined", "layers": list(layers)})
        serving.serve()
    finally:
        os._exit(1)


def forget() -> None:
    """Take these modules' names away: a candidate finds none to patch."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("__main__", "inside")]:
        del sys.modules[name]


def arrange(pipes: list[int], control: socket.socket) -> None:
    """Put the pipes where the worker expects them, and close everything else."""
    os.setsid()  # one group, so that the host can end it whole
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    control.close()
    # Out of the way of the numbers that they get. Nothing else is open here: Popen passes on nothing but the socket.
    job, output, reply = (fcntl.fcntl(pipe, fcntl.F_DUPFD, 64) for pipe in pipes)
    for pipe, place in ((output, 1), (output, 2), (job, worker.JOB), (reply, worker.REPLY)):
        os.dup2(pipe, place)
    os.closerange(worker.REPLY + 1, max(job, output, reply, *pipes) + 1)
    # Line by line, so that what is printed can be shown at once.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
