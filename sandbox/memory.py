"""Whether a model fits into the memory that is free, said before it is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch

from sandbox.device import Placement
from sandbox.errors import EngineFailed
from sandbox.settings import SandboxSettings

BESIDE = 0.1
"""Share of the weights' bytes that the computation takes beside them: activations, buffers, the kernels' workspace."""
QUANTIZED_BYTES = 0.5 + 4 / 64
"""Of a weight in bitsandbytes' NF4: four bits, and one float32 scale for a block of 64 (QLoRA, arXiv 2305.14314)."""
HEADER_LIMIT = 100_000_000
"""Largest header that the safetensors format allows, in bytes."""
CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Need:
    """What a loaded model takes, in bytes."""

    weights: int
    cache: int
    beside: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.beside


def count_weights(folder: Path) -> int:
    """Return how many numbers are in a checkpoint's weights, by the headers of its safetensors files alone.

    Raises:
        ValueError: A file isn't in the safetensors format.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    else:
        files = [path for path in [folder / "model.safetensors"] if path.is_file()]
    return sum(_count_in(file) for file in files)


def _count_in(file: Path) -> int:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= HEADER_LIMIT:
            raise ValueError(f"{file.name} is no safetensors file")
        header = json.loads(stream.read(length))
    return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def estimate(weights: int, config: Any, placement: Placement, settings: SandboxSettings) -> Need:
    """Estimate what a model takes once it is loaded and its longest answers are under way.

    Args:
        weights: Number of its weights.
        config: Its settings.
        placement: Where it goes, and in which number format.
        settings: How many bits a weight gets, and the limits of the KV cache. With four bits, the vision tower, the
            projector, the embeddings and the head stay as they are.
    """
    text, size = config.text_config, placement.dtype.itemsize
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    positions = min(settings.sandbox_kv_tokens, settings.sandbox_slots * text.max_position_embeddings)
    if settings.sandbox_quantize:
        vision = config.vision_config
        whole = min(weights, 2 * text.vocab_size * text.hidden_size + _layers_weights(vision))
        held = int(whole * size + (weights - whole) * QUANTIZED_BYTES)
    else:
        held = weights * size
    return Need(held, 2 * text.num_hidden_layers * heads * head * positions * size, int(held * BESIDE))


def _layers_weights(vision: Any) -> int:
    per_layer = 4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size
    return int(vision.num_hidden_layers * per_layer)


def ensure_fits(label: str, need: Need, placement: Placement, settings: SandboxSettings) -> None:
    """Check that a model fits; where free memory can't be known, it is let through.

    On a GPU the weights pass through the machine's memory first, so they must fit there too.

    Raises:
        EngineFailed: It doesn't; the sentence has the figures.
    """
    host = free_memory()
    if placement.device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(placement.device)
        _ensure(label, need, free, f"GPU memory on {placement.device}", placement, settings)
        if settings.sandbox_quantize:
            return
        need = Need(need.weights, 0, 0)
    if host is not None:
        _ensure(label, need, host, "memory", placement, settings)


def _ensure(label: str, need: Need, free: int, kind: str, placement: Placement, settings: SandboxSettings) -> None:
    if need.total <= free:
        return
    quantize = settings.sandbox_quantize
    form = "4 bits" if quantize else placement.dtype_name
    parts = f"{size_words(need.weights)} of weights in {form}"
    if need.cache:
        parts += f", {size_words(need.cache)} for the KV cache and {size_words(need.beside)} to compute in"
    quantizable = placement.device.startswith("cuda") and not quantize
    advice = ", SANDBOX_QUANTIZE=4bit" if quantizable else ""
    raise EngineFailed(
        f"{label} needs about {size_words(need.total)} of {kind} ({parts}); {size_words(free)} are free. "
        f"Nothing was loaded. Choose a smaller model{advice} or a smaller SANDBOX_KV_TOKENS, or free some memory."
    )


def free_memory(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int | None:
    """Return the bytes that this process may still take: the machine's, or what its container leaves if that is less.

    Args:
        meminfo: Linux's table of memory.
        cgroup: Root of the container's control group, version 2 or 1.

    Returns:
        None where the system has no such table.
    """
    try:
        table = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        free = 1024 * int(table["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            allowed = (cgroup / limit).read_text().strip()
            if allowed != "max":
                taken = int((cgroup / used).read_text()) - _reclaimable((cgroup / used).parent)
                free = min(free, max(0, int(allowed) - taken))
            break
        except (OSError, ValueError):
            continue
    return free


def _reclaimable(folder: Path) -> int:
    """Return the bytes of file cache in a control group, which the system gives back when memory is asked for."""
    lines = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
    stat = {line[0]: int(line[1]) for line in lines if len(line) == 2}
    return stat.get("inactive_file", 0) + stat.get("active_file", 0)


def size_words(count: float) -> str:
    """Return bytes as people read them, such as `14.1 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
