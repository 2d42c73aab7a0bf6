"""Compiles the step of a table of slots, where that is possible and pays.

A compiled step computes the same in another order: within one process all answers of a table are stepped either by the
plain or by the compiled one, and receipts name which.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import threading
import time
import weakref
from types import FunctionType, MethodType

import torch

from sandbox.device import SMALL_MODEL
from sandbox.scheduler import Scheduler
from sandbox.slots import SlotTable
from sandbox.tracing import take_turns

log = logging.getLogger(__name__)


class Compiler:
    """Compiles tables in the background, one after the other, and hands them to the scheduler."""

    def __init__(self, scheduler: Scheduler) -> None:
        """Take the scheduler whose tables are compiled."""
        self._scheduler = scheduler
        self._started: set[int] = set()
        self._lock = threading.Lock()
        self._state = ""

    @property
    def state(self) -> str:
        """What it is doing or has done, in words; empty before anything."""
        return self._state

    def begin(self, table: SlotTable) -> None:
        """Compile a table like this one beside the work, unless that has begun; for CUDA between two steps."""
        with self._lock:
            if table.length in self._started:
                return
            self._started.add(table.length)
        if reason := unavailable(table.positions.device.type):
            self._state = f"not compiled: {reason}"
            return
        thread = threading.Thread(target=self._compile, args=(table,), name="compiler", daemon=True)
        thread.start()
        _running.add(thread)

    def _compile(self, like: SlotTable) -> None:
        try:
            with _one_at_a_time:
                self._compile_in_turn(like)
        except _Ended:
            return

    def _compile_in_turn(self, like: SlotTable) -> None:
        if _ending.is_set():
            return
        self._state = f"compiling the step of {like.slots} slots of {like.length}"
        started = time.perf_counter()
        take_turns()
        try:
            table = like.twin()
            if like.positions.device.type == "cuda":  # CUDA graphs belong to the thread that made them
                self._scheduler.call(compile_step, table)
            else:
                torch.set_num_threads(self._scheduler.threads)  # stands in the code that is made
                compile_step(table)
        except Exception as error:  # whatever the compiler raises, the plain step goes on
            log.warning("The step can't be compiled; the plain one goes on", exc_info=True)
            self._state = f"not compiled: {type(error).__name__}"
            return
        self._state = f"compiled in {time.perf_counter() - started:.0f} s"
        log.info("Slots of length %d: %s", like.length, self._state)
        self._scheduler.adopt(table)


class _Ended(BaseException):
    """Python ends, and the compiler with it."""


_one_at_a_time = threading.Lock()
_running: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_ending = threading.Event()
EXIT_SECONDS = 20
"""How long the end of the program waits for the C++ compiler to return."""


@atexit.register
def end_all() -> None:
    """End the threads while Python still runs: one that wakes up later inside PyTorch would abort the process."""
    _ending.set()
    for thread in list(_running):
        if thread.is_alive() and thread.ident:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Ended))
    for thread in list(_running):
        thread.join(EXIT_SECONDS)


def unavailable(device: str) -> str:
    """Return why nothing can be compiled here; empty if it can be."""
    if device == "cuda":
        return "" if torch.utils._triton.has_triton() else "Triton is missing"
    if device != "cpu":
        return f"there is no compiler for {device}"
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except (InvalidCxxCompiler, OSError):
        return "there is no C++ compiler on this machine"
    return ""


def compile_step(table: SlotTable) -> None:
    """Compile a table's step and run it until it is ready.

    On a CPU the code is C++, on CUDA Triton's kernels replayed as CUDA graphs. What was compiled before is taken from
    the folder TORCHINDUCTOR_CACHE_DIR. Nothing that the code was made for can change, since it is called for this table
    alone: so nothing is checked before each step, which would take a third of its time.
    """
    import torch._inductor.config as inductor

    inductor.compile_threads = 1  # no pool of processes inside a server
    for tensor in (*table.keys, *table.values, table.positions, table.tokens):
        torch._dynamo.mark_static_address(tensor)
    cuda = table.positions.device.type == "cuda"
    options = {
        "guard_filter_fn": lambda guards: [False] * len(guards),
        "triton.cudagraphs": cuda,  # what mode="reduce-overhead" is
        "freezing": not cuda and table.checkpoint.parameters < SMALL_MODEL,  # weights laid out for their kernels, twice
    }
    code = SlotTable.forward.__code__.replace(co_name=f"step_{table.slots}_{table.length}")  # found by its code object
    step = MethodType(FunctionType(code, SlotTable.forward.__globals__), table)
    table.compute = torch.compile(step, fullgraph=True, dynamic=False, options=options)
    for _ in range(3):  # a CUDA graph is recorded at the second call
        table.step()
