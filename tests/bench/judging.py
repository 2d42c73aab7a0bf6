"""How often the judge fails right solutions, and how long a submit takes.

Run: `python -m tests.bench.judging [seeds] [exercise ...]`. Each of the two right solutions of an exercise is judged
whole with every seed; one line an exercise.
"""

from __future__ import annotations

import importlib
import statistics
import sys

from sandbox import SandboxSettings, judge, load_engine
from sandbox.jail import Jail
from sandbox.judge import EXERCISES


def main(seeds: int, exercises: list[str]) -> None:
    """Judge and print."""
    settings = SandboxSettings(sandbox_compile=False)
    jail, engine = Jail(settings), load_engine(settings=settings)
    for exercise in exercises:
        solutions = importlib.import_module(f"tests.unit.judge.{exercise}")
        failed: list[str] = []
        seconds = []
        for seed in range(seeds):
            for style in ("RIGHT", "OTHER_RIGHT"):
                verdict = judge(exercise, getattr(solutions, style), seed, engine=engine, jail=jail)
                seconds.append(verdict.seconds)
                failed += [
                    f"{style} {seed} {check.name}: {check.detail}" for check in verdict.checks if not check.passed
                ]
        print(
            f"{exercise}: {len(verdict.checks)} checks, {len(solutions.FAULTS)} wrong solutions known, "
            f"{len(seconds)} right ones judged, {len(failed)} checks failed; "
            f"median {statistics.median(seconds):.1f} s, longest {max(seconds):.1f} s",
            flush=True,
        )
        for line in failed:
            print(f"  {line}", flush=True)
    engine.close()
    jail.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2:] or list(EXERCISES))
