"""The tiny LLaVA: its world of scenes, its training and its measurement.

Importing this package imports neither torch nor transformers; `train` and `evaluate` do when they are called.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.tiny.comparisons import MANY_TASKS, PAIR_TASKS
from sandbox.tiny.drawing import draw
from sandbox.tiny.questions import TASKS, Question, caption
from sandbox.tiny.scene import Object, Scene, Text, sample_scene

__all__ = [
    "MANY_TASKS",
    "PAIR_TASKS",
    "TASKS",
    "Object",
    "Question",
    "Scene",
    "Text",
    "caption",
    "draw",
    "sample_scene",
    "train",
]


def train(
    out_dir: Path | str,
    *,
    seed: int = 0,
    minutes: float | None = None,
    steps: int | None = None,
    processes: int = 2,
    resume: bool = True,
    compiled: bool = True,
    halt_after: int | None = None,
) -> bool:
    """Train the tiny LLaVA and its CLIP from nothing, and export both when done.

    Args:
        out_dir: Takes the checkpoint, the log (`log.jsonl`), and at the end `tiny-llava/` and `tiny-clip/`.
        seed: Decides the initial weights and every batch.
        minutes: Train for about so long, learning rates following the clock.
        steps: Or for so many steps of the second stage (the others in proportion), the same on every run.
        processes: Single-threaded processes that share each step; the batch grows with them.
        resume: Go on from the checkpoint in `out_dir` if there is one; False begins anew.
        compiled: Compile the layers; only worth its minute for more than a few steps.
        halt_after: Leave after so many steps of this call, saved; a later call goes on.

    Returns:
        Whether training is complete.
    """
    from sandbox.tiny.training import Plan, run

    plan = Plan(seed, minutes, steps, processes, compiled, halt_after)
    return run(Path(out_dir), plan, resume=resume)


