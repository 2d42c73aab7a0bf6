"""`train`: runs the stages in order, on as many single-threaded processes as asked for.

Two processes with one all-reduce a step are faster than one with two threads, above all on a machine that others use
too. Every batch is drawn from (seed, stage, process, step), so a resumed run sees what an uninterrupted one would
have seen. The state is written whole and atomically every two minutes; a killed run goes on from there.

Not covered: the same weights on another kind of processor (rounding differs), or from `minutes` instead of `steps`
(how many steps a minute holds depends on the machine).
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sandbox.tiny.layers import Network
from sandbox.tiny.model import Trainee
from sandbox.tiny.optimizer import Optimizer
from sandbox.tiny.stages import STAGES, Stage, warm_cosine
from sandbox.tiny.vocabulary import Encoder, build_tokenizer

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
DEFAULT_STEPS = 3700
"""Steps of the LLaVA stage when neither steps nor minutes are given."""

_LOG_EVERY = 25
_EVALUATE_EVERY = {"vision": 250, "llava": 400, "clip": 100}


@dataclass(frozen=True)
class Plan:
    """How a run was asked for; a resumed run must have been asked for alike."""

    seed: int
    minutes: float | None
    steps: int | None
    processes: int
    compiled: bool
    halt_after: int | None = None
    save_every: float = 120.0


@dataclass
class Position:
    """Where a run stands: the stage's index, its steps and seconds so far."""

    stage: int = 0
    step: int = 0
    seconds: float = 0.0


def run(out_dir: Path, plan: Plan, *, resume: bool) -> bool:
    """Train in `out_dir`; True when all stages are complete, False when halted before."""
    out_dir.mkdir(parents=True, exist_ok=True)
    if not resume:
        for name in (CHECKPOINT, LOG):
            (out_dir / name).unlink(missing_ok=True)
    if plan.processes == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return _Run(out_dir, plan, rank=0).run()
        finally:
            torch.set_num_threads(threads)
    # Large buffers come and go every step; glibc must not give them back to the system each time.
    os.environ |= {
        "MALLOC_MMAP_THRESHOLD_": "4000000000",
        "MALLOC_TRIM_THRESHOLD_": "8000000000",
        "MALLOC_TOP_PAD_": "200000000",
        "OMP_NUM_THREADS": "1",
    }
    for stale in out_dir.glob("rendezvous-*"):
        stale.unlink()
    meeting = out_dir / f"rendezvous-{uuid.uuid4().hex}"
    context = torch.multiprocessing.spawn(_process, args=(out_dir, plan, meeting), nprocs=plan.processes, join=False)
    while not context.join():
        pass
    meeting.unlink(missing_ok=True)
    return plan.halt_after is None


def _process(rank: int, out_dir: Path, plan: Plan, meeting: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=plan.processes)
    try:
        _Run(out_dir, plan, rank=rank).run()
    finally:
        torch.distributed.destroy_process_group()


class _Run:
    """One process's share of a run."""

    def __init__(self, out_dir: Path, plan: Plan, *, rank: int) -> None:
        torch.set_flush_denormal(True)
        self._out = out_dir
        self._plan = plan
        self._rank = rank
        tokenizer = build_tokenizer()
        self._trainee = Trainee(len(tokenizer), plan.seed)
        self._masters = {name: weight.detach().float().clone() for name, weight in self._trainee.named_parameters()}
        self._trainee.bfloat16()
        network = Network(compiled=plan.compiled)
        self._stages = [kind(self._trainee, network, Encoder(tokenizer)) for kind in STAGES]
        self._position = Position()
        self._done = 0
        self._optimizer: Optimizer

    def run(self) -> bool:
        """All stages from where the run stands; False if halted."""
        state = self._load()
        while self._position.stage < len(self._stages):
            stage = self._stages[self._position.stage]
            self._optimizer = Optimizer(stage.groups(), self._masters, processes=self._plan.processes)
            self._load_working()
            if state is not None and state["optimizer"] is not None:
                self._optimizer.load_state(state["optimizer"])
            state = None
            if not self._run_stage(stage):
                return False
            self._position = Position(self._position.stage + 1)
            self._save(between_stages=True)
        return True

    def _run_stage(self, stage: Stage) -> bool:
        position = self._position
        last_save = last_log = mark = time.monotonic()
        last_step = position.step
        smooth: float | None = None
        with self._bar(stage) as (bar, task):
            while True:
                progress = self._progress(stage)
                if progress >= 1:
                    break
                if self._plan.halt_after is not None and self._done >= self._plan.halt_after:
                    self._save()
                    return False
                rng = random.Random(f"train/{self._plan.seed}/{stage.name}/{self._rank}/{position.step}")
                losses = stage.losses(rng, position.step, progress)
                losses.total.backward()
                rate = warm_cosine(position.step, progress)
                # From one such point to the next, so that updates, evaluations and saving count as well.
                elapsed, mark = time.monotonic() - mark, time.monotonic()
                seconds, loss = self._optimizer.step(
                    stage.rate * rate,
                    stage.matrix_rate * rate,
                    (elapsed, losses.total.item()),
                    scale=stage.scale(progress),
                )
                position.step += 1
                position.seconds += seconds
                self._done += 1
                smooth = loss if smooth is None else 0.95 * smooth + 0.05 * loss
                if self._rank:
                    continue
                bar.update(task, completed=progress, description=f"{stage.name} {position.step} loss {smooth:.3f}")
                if position.step % _LOG_EVERY == 0:
                    now = time.monotonic()
                    pace = (now - last_log) / (position.step - last_step)
                    last_log, last_step = now, position.step
                    self._log(stage, "step", loss=smooth, rate=rate, pace=pace, **losses.log)
                if position.step % _EVALUATE_EVERY[stage.name] == 0:
                    self._log(stage, "held_out", **stage.held_out())
                if time.monotonic() - last_save > self._plan.save_every:
                    self._save()
                    last_save = time.monotonic()
        if not self._rank:
            self._log(stage, "held_out", **stage.held_out())
        return True

    def _progress(self, stage: Stage) -> float:
        if self._plan.minutes is not None:
            return self._position.seconds / (60 * self._plan.minutes * stage.minutes)
        return self._position.step / max(1, round((self._plan.steps or DEFAULT_STEPS) * stage.steps))

    def _bar(self, stage: Stage) -> _Bar:
        return _Bar(stage.name, shown=not self._rank and sys.stderr.isatty())

    def _load_working(self) -> None:
        with torch.no_grad():
            for name, weight in self._trainee.named_parameters():
                weight.copy_(self._masters[name])
                weight.grad = None

    def _log(self, stage: Stage, event: str, **numbers: float) -> None:
        where = {"event": event, "stage": stage.name, "step": self._position.step, "seconds": self._position.seconds}
        entry = {
            key: round(value, 5) if isinstance(value, float) else value for key, value in (where | numbers).items()
        }
        with (self._out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")

    def _save(self, *, between_stages: bool = False) -> None:
        if self._rank:
            return
        state = {
            "plan": {"seed": self._plan.seed, "minutes": self._plan.minutes, "steps": self._plan.steps},
            "position": asdict(self._position),
            "masters": self._masters,
            "optimizer": None if between_stages else self._optimizer.state(),
        }
        path = self._out / CHECKPOINT
        fresh = path.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(path)

    def _load(self) -> dict[str, Any] | None:
        path = self._out / CHECKPOINT
        if not path.exists():
            return None
        state: dict[str, Any] = torch.load(path, weights_only=True)
        if state["plan"]["seed"] != self._plan.seed:
            raise ValueError(f"{path} was trained with seed {state['plan']['seed']}, not {self._plan.seed}")
        self._position = Position(**state["position"])
        for name, master in self._masters.items():
            master.copy_(state["masters"][name])
        if not self._rank:
            self._forget_later_log()
        return state

    def _forget_later_log(self) -> None:
        """Drop what the log says about steps after the checkpoint: they are run again."""
        path = self._out / LOG
        if not path.exists():
            return
        names = [stage.name for stage in self._stages]
        here = (self._position.stage, self._position.step)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = []
        for line in lines:
            entry = json.loads(line)
            if (names.index(entry["stage"]), entry["step"]) <= here:
                kept.append(line)
        path.write_text("".join(kept), encoding="utf-8")


class _Bar:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, title: str, *, shown: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), disable=not shown
        )
        self._title = title

    def __enter__(self) -> tuple[Progress, Any]:
        self._progress.start()
        return self._progress, self._progress.add_task(self._title, total=1.0)

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()
