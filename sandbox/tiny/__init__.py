"""The tiny LLaVA: its world of scenes, its training and its measurement.

Importing this package imports neither torch nor transformers; `train` and `evaluate` do when they are called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.tiny.comparisons import MANY_TASKS, PAIR_TASKS
from sandbox.tiny.composing import ROWS, Placed, compose
from sandbox.tiny.drawing import draw
from sandbox.tiny.questions import TASKS, Question, caption
from sandbox.tiny.scene import (
    ALPHABET,
    BACKGROUNDS,
    COLORS,
    MOST_OBJECTS,
    POSITIONS,
    SHAPES,
    SIZES,
    Object,
    Scene,
    Text,
    sample_scene,
)

__all__ = [
    "ALPHABET",
    "BACKGROUNDS",
    "COLORS",
    "MANY_TASKS",
    "MOST_OBJECTS",
    "PAIR_TASKS",
    "POSITIONS",
    "ROWS",
    "SHAPES",
    "SIZES",
    "TASKS",
    "Object",
    "Placed",
    "Question",
    "Scene",
    "Text",
    "caption",
    "compose",
    "draw",
    "evaluate",
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
    questions: int = 500,
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
        questions: Held-out questions a task for the cards' figures; 0 exports without measuring.

    Returns:
        Whether training is complete.
    """
    from sandbox.tiny.export import export
    from sandbox.tiny.measuring import training_summary
    from sandbox.tiny.training import CHECKPOINT, Plan, run

    folder = Path(out_dir)
    if not run(folder, Plan(seed, minutes, steps, processes, compiled, halt_after), resume=resume):
        return False
    export(folder / CHECKPOINT, folder)
    if questions:
        evaluate(folder, training_summary(folder, seed, processes), questions=questions, processes=processes)
    return True


def evaluate(
    models_dir: Path | str, training: dict[str, Any], *, questions: int = 500, processes: int = 2
) -> dict[str, Any]:
    """Measure `tiny-llava/` and `tiny-clip/` under `models_dir` and write their cards and `results.json`.

    Args:
        models_dir: Where the two folders are.
        training: What the card says of the training: seed, processes, and steps, minutes and pictures a stage.
        questions: Held-out questions a task; 500 take about ten minutes on two cores.
        processes: Single-threaded processes that share the work.

    Returns:
        The results as they stand in `results.json`.
    """
    from sandbox.tiny.card import write_cards
    from sandbox.tiny.measuring import measure

    results = measure(Path(models_dir), training, questions=questions, processes=processes)
    write_cards(results, Path(models_dir))
    return results
