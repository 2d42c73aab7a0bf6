"""Compiles the engine's programs, where that is possible and pays: in a process of its own, once a machine.

`torch.export` and AOTInductor make a shared library of each program, weights included, in the user's cache folder. What
is there already is loaded in a moment. Python's lock, the tracer's patches and the end of the compiler are thus none of
the engine's business; and its answers go before, since the compiler runs at a lower priority.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from platformdirs import user_cache_path

from sandbox.checkpoint import Checkpoint
from sandbox.device import SMALL_MODEL
from sandbox.library import Library
from sandbox.programs import Programs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What is to be compiled."""

    context: int
    """Most tokens of a prompt with its answer."""
    rows: Mapping[int, int]
    """Slots of the table of each length."""
    threads: int

    @property
    def names(self) -> list[str]:
        """The programs' names, which are their files' too."""
        return ["tower", "prefix", "prompt", *(f"step_{length}" for length in self.rows)]


class Compiler:
    """Sees to one engine's compiled programs."""

    def __init__(self, checkpoint: Checkpoint, weights: str, plan: Plan) -> None:
        """Take the model, its weights' fingerprint and what is to be compiled."""
        self._checkpoint = checkpoint
        self._plan = plan
        self._folder = compiled_path() / _key(weights, plan)
        self._state = ""
        self._child: subprocess.Popen[str] | None = None
        self._closed = False

    @property
    def state(self) -> str:
        """What it is doing or has done, in words; empty before anything."""
        return self._state

    def begin(self, ready: Callable[[Programs], None]) -> None:
        """Tell `ready` the compiled programs: at once if they are on disk, else from a thread, once they are made.

        Args:
            ready: Called with `Programs`; never where nothing can be compiled.
        """
        if reason := unavailable(self._checkpoint):
            self._state = f"not compiled: {reason}"
        elif self._complete:
            self._load(ready, "compiled at an earlier start")
        else:
            self._state = "compiling"
            threading.Thread(target=self._make, args=(ready,), name="compiler", daemon=True).start()

    def close(self) -> None:
        """Stop compiling; what isn't finished is begun anew next time."""
        self._closed = True
        if self._child:
            self._child.kill()

    @property
    def _complete(self) -> bool:
        return all((self._folder / f"{name}.so").is_file() for name in self._plan.names)

    def _make(self, ready: Callable[[Programs], None]) -> None:
        started = time.perf_counter()
        try:
            failure = self._run_child()
        except OSError as error:
            failure = str(error)
        if self._closed:
            return
        if failure:
            log.warning("The model's programs can't be compiled; PyTorch runs them as they are: %s", failure)
            self._state = f"not compiled: {failure.splitlines()[-1]}"
            return
        self._load(ready, f"compiled in {time.perf_counter() - started:.0f} s")

    def _run_child(self) -> str:
        """Compile in another process; return what it said if it failed."""
        with tempfile.TemporaryDirectory(prefix="vivalab-compile-") as work:
            job = Path(work) / "job.pt"
            model, placement = self._checkpoint.model, self._checkpoint.placement
            torch.save((model.config, model.state_dict(), placement, self._plan, self._folder), job)
            environment = {
                **os.environ,
                "OMP_NUM_THREADS": str(self._plan.threads),
                "TORCHINDUCTOR_CACHE_DIR": str(Path(work) / "inductor"),
                "CUDA_VISIBLE_DEVICES": "",
            }
            command, errors = [sys.executable, "-m", "sandbox.exporting", str(job)], Path(work) / "errors"
            with (
                errors.open("w") as said,
                subprocess.Popen(  # its input ends with this process, and it with its input
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment, text=True
                ) as child,
            ):
                self._child = child
                if self._closed:
                    child.kill()
                for line in child.stdout or ():
                    self._state = f"compiling: {line.strip()}"
                code = child.wait()
            failed = errors.read_text()[-4000:].strip() if code > 0 else ""  # a killed one has warnings to show at most
            return "" if code == 0 else failed or f"the compiler ended with {code}"

    def _load(self, ready: Callable[[Programs], None], state: str) -> None:
        try:
            libraries = {name: Library(self._folder / f"{name}.so") for name in self._plan.names}
        except Exception as error:
            log.warning("Compiled programs can't be used; they are made anew at the next start", exc_info=True)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._state = f"not compiled: {error}"
            return
        os.utime(self._folder)
        self._state = state
        log.info("The model's programs: %s", self._state)
        steps = {length: libraries[f"step_{length}"] for length in self._plan.rows}
        ready(Programs(libraries["tower"], libraries["prefix"], libraries["prompt"], steps, compiled=True))


def compiled_path() -> Path:
    """Return the folder of compiled programs, one folder in it for each model, machine and version."""
    return user_cache_path("vivalab") / "compiled"


def unavailable(checkpoint: Checkpoint) -> str:
    """Return why nothing is compiled here; empty if it is."""
    device = checkpoint.placement.device
    if device.startswith("cuda"):
        return "on CUDA the answers' steps are replayed as CUDA graphs instead"
    if device != "cpu":
        return f"there is no compiler for {device}"
    if checkpoint.parameters >= SMALL_MODEL:
        return "a model of this size spends its time in matrix products, which compiling doesn't change"
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except (InvalidCxxCompiler, OSError):
        return "there is no C++ compiler on this machine"
    return ""


def _key(weights: str, plan: Plan) -> str:
    """Return what the code of the programs depends on: their source, the model, the versions and this processor."""
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        flags = ""
    parts = (
        weights,
        repr(plan),
        torch.__version__,
        transformers.__version__,
        torch.backends.cpu.get_cpu_capability(),
        flags,
        *(Path(__file__).with_name(f"{name}.py").read_text() for name in ("programs", "exporting")),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
