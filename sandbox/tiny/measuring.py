"""`measure`: all that the cards show, shared out over processes.

Each task, prompt format and fault is one job; a process loads the weights once and takes jobs until none are left.
Results don't depend on the number of processes.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from sandbox.tiny.comparisons import MANY_TASKS, PAIR_TASKS
from sandbox.tiny.evaluation import (
    CAPTIONS,
    PROMPTS,
    QUESTIONS,
    Answerer,
    measure_other_hand,
    measure_prompt,
    measure_retrieval,
    measure_task,
    measure_without_image,
)
from sandbox.tiny.export import CLIP, LLAVA
from sandbox.tiny.faults import FAULTS, PADDINGS, measure_fault
from sandbox.tiny.questions import TASKS

Job = tuple[str, str, int]
"""Part of the results, name in it, and number of questions."""


def measure(
    models_dir: Path, training: dict[str, Any], *, questions: int = QUESTIONS, processes: int = 2
) -> dict[str, Any]:
    """Everything that the cards show.

    Args:
        models_dir: Holds `tiny-llava/` and `tiny-clip/`.
        training: What `training_summary` says.
        questions: Questions a task; captions and many-image tasks take two fifths, prompts and faults a fifth.
        processes: Single-threaded processes that share the work; 1 measures in this one.
    """
    jobs = list(_jobs(questions))
    if processes == 1:
        values = [_measure(models_dir, job) for job in jobs]
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            processes, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            values = list(pool.map(functools.partial(_measure, models_dir), jobs))
    results: dict[str, Any] = {"training": training}
    for (part, name, _), value in zip(jobs, values, strict=True):
        if name:
            results.setdefault(part, {})[name] = value
        else:
            results[part] = value
    return results


def _jobs(questions: int) -> Iterator[Job]:
    fewer = max(1, questions * CAPTIONS // QUESTIONS)
    few = max(1, fewer // 2)
    for task in (*TASKS, *PAIR_TASKS, *MANY_TASKS):
        yield "tasks", task, fewer if task in {"caption", *MANY_TASKS} else questions
    for name in PROMPTS:
        yield "prompts", name, few
    yield "prompts", "no image: says so", few
    yield "other_hand", "", fewer
    for name in (*FAULTS, *PADDINGS):
        yield "faults", name, few
    yield "retrieval", "", 100


@functools.cache
def _answerer(models_dir: Path) -> Answerer:
    return Answerer(models_dir / LLAVA)


def _measure(models_dir: Path, job: Job) -> Any:
    part, name, number = job
    match part:
        case "tasks":
            return measure_task(_answerer(models_dir), name, number)
        case "prompts" if name in PROMPTS:
            return measure_prompt(_answerer(models_dir), name, number)
        case "prompts":
            return measure_without_image(_answerer(models_dir), number)
        case "other_hand":
            return measure_other_hand(_answerer(models_dir), number)
        case "faults":
            return measure_fault(_answerer(models_dir), name, number)
        case _:
            return measure_retrieval(models_dir / CLIP, size=number)


def training_summary(out_dir: Path, seed: int, processes: int) -> dict[str, Any]:
    """Steps, minutes and pictures of each stage, from a run's log."""
    last: dict[str, dict[str, Any]] = {}
    for line in (out_dir / "log.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        last[entry["stage"]] = entry
    pictures = {"vision": 32, "llava": 16, "clip": 64}
    stages = [
        {
            "stage": name,
            "steps": entry["step"],
            "minutes": round(entry["seconds"] / 60, 1),
            "pictures": entry["step"] * pictures[name] * processes,
        }
        for name, entry in last.items()
    ]
    return {"seed": seed, "processes": processes, "stages": stages}
