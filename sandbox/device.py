"""Where the model runs, in which number format and with which attention kernel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import torch

from sandbox.errors import EngineFailed

SMALL_MODEL = 100_000_000
"""Weights below which one thread computes a CPU model."""
PYTORCH_THREADS = torch.get_num_threads()
"""What PyTorch would use: the machine's cores, or OMP_NUM_THREADS."""


class Placement(NamedTuple):
    """Where and how the model runs, and why."""

    device: str
    dtype: torch.dtype
    attention: str
    reason: str

    @property
    def dtype_name(self) -> str:
        """Such as `float32`."""
        return str(self.dtype).removeprefix("torch.")


def choose_placement(device: str = "auto") -> Placement:
    """Choose device, dtype and attention kernel by what the machine has.

    CUDA before MPS before CPU. Half precision where the hardware computes in it: bfloat16 from compute capability 8.0,
    else float16; float32 on a CPU. Attention is PyTorch's own `scaled_dot_product_attention` everywhere.

    Args:
        device: `auto`, or one by its PyTorch name.

    Raises:
        EngineFailed: The named device isn't there.
    """
    kind = device.partition(":")[0]
    if kind == "cuda" and not torch.cuda.is_available():
        raise EngineFailed(f"SANDBOX_DEVICE is {device}, but PyTorch finds no CUDA device here. Set it to auto.")
    if device.startswith("cuda:") and int(device[5:]) >= torch.cuda.device_count():
        raise EngineFailed(f"SANDBOX_DEVICE is {device}, but there are only {torch.cuda.device_count()} CUDA devices.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise EngineFailed("SANDBOX_DEVICE is mps, but PyTorch finds no MPS device here. Set it to auto.")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        device = kind
    if kind == "cuda":
        capability = torch.cuda.get_device_capability(device)
        dtype = torch.bfloat16 if capability >= (8, 0) else torch.float16
        name = f"{torch.cuda.get_device_name(device)}, compute capability {capability[0]}.{capability[1]}"
        return Placement(device, dtype, "sdpa", f"{name}: {dtype!s} has its own units".replace("torch.", ""))
    if kind == "mps":
        return Placement(device, torch.float16, "sdpa", "Apple GPU: float16 halves the memory and is computed natively")
    return Placement("cpu", torch.float32, "sdpa", "no GPU is used: float32 is exact and fast on every CPU")


def choose_threads(parameters: int) -> int:
    """Return how many threads the model gets on a CPU.

    One for a small model: its operations are so short that a second thread saves at most a third of the time on an idle
    machine and multiplies it on a busy one, where the threads wait for each other at every operation. For a large one,
    as many as this process may use: PyTorch counts the machine's cores, and a container's quota (cgroup v2 `cpu.max`)
    or an affinity mask may allow fewer.

    Args:
        parameters: Number of the model's weights.
    """
    if parameters < SMALL_MODEL:
        return 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            allowed = min(allowed, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return min(allowed, PYTORCH_THREADS)
