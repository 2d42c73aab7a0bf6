"""Exports the engine's programs and compiles each to a shared library, in a process that the compiler starts."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, export
from transformers import AutoModelForImageTextToText

from sandbox.checkpoint import Checkpoint
from sandbox.compiling import Plan
from sandbox.programs import PrefixProgram, PromptProgram, StepProgram, TowerProgram, cache_shape

KEPT = 3
"""Models whose programs are kept on disk."""
NICENESS = 10
"""By how much the compiler's priority is lower."""


def exports(checkpoint: Checkpoint, plan: Plan) -> Iterator[tuple[str, torch.nn.Module, tuple[Any, ...], Any]]:
    """Yield each program's name, module, inputs like those it will get, and which of their sizes vary."""
    layers, heads, width = cache_shape(checkpoint.model.config.text_config)
    side = checkpoint.model.config.vision_config.image_size
    yield "tower", TowerProgram(checkpoint), (torch.zeros(1, 3, side, side),), None

    def part(new: int, before: int) -> tuple[torch.Tensor, ...]:
        mask = torch.ones(new, before + new, dtype=torch.bool).tril(before)
        return torch.zeros(1, new, checkpoint.width), mask[None, None], torch.arange(before, before + new)[None]

    new, before = Dim("new", min=2, max=plan.context), Dim("before", min=2, max=plan.context)
    yield "prefix", PrefixProgram(checkpoint), part(16, 0), ({1: new}, {2: new, 3: new}, {1: new})
    kept = [torch.zeros(1, heads, 24, width) for _ in range(2 * layers)]
    varying = ({1: new}, {2: new, 3: Dim.AUTO}, {1: new}, None, [{2: before}] * len(kept))
    yield "prompt", PromptProgram(checkpoint), (*part(16, 24), torch.tensor([15]), kept), varying
    for length, slots in plan.rows.items():
        tokens, rows = torch.zeros(slots, dtype=torch.long), torch.zeros(slots, heads, length, width)
        table = [rows.clone() for _ in range(2 * layers)]
        yield f"step_{length}", StepProgram(checkpoint), (tokens, tokens.clone(), table), None


def compile_all(checkpoint: Checkpoint, plan: Plan, folder: Path) -> None:
    """Compile what isn't in the folder yet, one library a program; another process that does the same waits.

    A library appears under its name once it is whole.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for number, (name, module, inputs, varying) in enumerate(exports(checkpoint, plan), 1):
            if (folder / f"{name}.so").exists():
                continue
            print(f"{number} of {len(plan.names)}", flush=True)
            with torch.no_grad():
                program = export(module.eval(), inputs, dynamic_shapes=varying, strict=False)
                made = torch._inductor.aot_compile(program.module(), inputs)
            shutil.copyfile(str(made), folder / f"{name}.part")
            (folder / f"{name}.part").replace(folder / f"{name}.so")
    others = sorted(folder.parent.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    for old in others[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    """Do the job in the file that is named; when the input ends, end at once and take the job's folder away."""

    def watch() -> None:
        sys.stdin.read()
        shutil.rmtree(Path(sys.argv[1]).parent, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    os.nice(NICENESS)
    config, weights, placement, plan, folder = torch.load(sys.argv[1], weights_only=False)  # the parent's own writing
    torch.set_num_threads(plan.threads)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation=placement.attention)
    model.load_state_dict(weights)
    compile_all(Checkpoint("", model.eval(), None, placement), plan, folder)


if __name__ == "__main__":
    main()
