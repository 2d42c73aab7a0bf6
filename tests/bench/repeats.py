"""Asks the same questions alone and in company, and counts equal receipts: `python -m tests.bench.repeats`.

Requests of many kinds are asked alone first. Then users ask them at random all at once, over and over, among streams
that are cancelled, pictures that can't be opened and stages that raise; the caches are cleared now and then. Each reply
is compared with the one that was given alone: text, tokens, and the digest of the logits of every step.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sandbox import BadInput, Reply, Request, SandboxSettings, load_engine
from sandbox.engine import Engine
from sandbox.tiny import draw, sample_scene

KINDS = 40
USERS = 12


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="Answers that are compared.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="Without the compiler.")
    options = parser.parse_args()
    engine = load_engine(settings=SandboxSettings(sandbox_compile=not options.plain))
    while not options.plain and engine.compiling.startswith("compiling"):
        time.sleep(0.5)
    print(engine.description)
    started = time.perf_counter()
    print(counts(engine, options.runs, options.seed))
    print(f"{time.perf_counter() - started:.0f} s; {engine.compiling}; load average {os.getloadavg()[0]:.1f}")
    for report in engine.cache_report():
        print(report)


def counts(engine: Engine, runs: int, seed: int = 0) -> dict[str, int]:
    """Return how many of the runs were equal to those alone, and what else happened.

    Args:
        engine: Whom to ask.
        runs: How many answers to compare.
        seed: Which questions, in which order.
    """
    rng = random.Random(seed)
    pictures = [draw(sample_scene(rng)).convert("RGB") for _ in range(8)]
    requests = [
        Request(
            rng.choice(["What color is the circle?", "Describe the image.", "How many shapes?", "Read the text."]),
            rng.sample(pictures, rng.choice([0, 1, 1, 1, 2, 3])),
            max_new_tokens=rng.choice([1, 4, 12, 40]),
            temperature=rng.choice([0.0, 0.0, 0.9]),
            seed=number,
        )
        for number in range(KINDS)
    ]
    alone = [_settled(engine, request) for request in requests]
    found: collections.Counter[str] = collections.Counter()
    lock = threading.Lock()
    todo = list(range(runs))

    def user(number: int) -> None:
        own = random.Random(f"{seed}/{number}")
        while True:
            with lock:
                if not todo:
                    return
                todo.pop()
            kind = own.randrange(KINDS)
            asked = replace(requests[kind], user=str(number), cache=own.random() < 0.8)
            _disturb(engine, own, pictures, found, lock)
            reply = engine.answer_many([asked])[0]
            with lock:
                found["runs"] += 1
                found["equal"] += _same(reply, alone[kind])
                found["other conditions"] += not _comparable(reply, alone[kind])
                found["in company"] += reply.trace.batch > 1

    with ThreadPoolExecutor(USERS) as pool:
        for each in [pool.submit(user, number) for number in range(USERS)]:
            each.result()
    return dict(found)


def _settled(engine: Engine, request: Request) -> Reply:
    """Answer alone, once the compiled programs are in use if there will be any."""
    while True:
        reply = engine.answer_many([request])[0]
        if reply.trace.receipt.compiled or not engine.compiling.startswith("compil"):
            return reply
        if not engine.compiling.startswith("compiling"):
            again = engine.answer_many([request])[0]
            if again.trace.receipt.compiled:
                return again
        time.sleep(0.2)


def _same(reply: Reply, other: Reply) -> bool:
    return (reply.text, reply.tokens, reply.trace.receipt) == (other.text, other.tokens, other.trace.receipt)


def _comparable(reply: Reply, other: Reply) -> bool:
    return replace(reply.trace.receipt, logits="") == replace(other.trace.receipt, logits="")


def _disturb(
    engine: Engine,
    rng: random.Random,
    pictures: list[object],
    found: collections.Counter[str],
    lock: threading.Lock,
) -> None:
    """Now and then cancel an answer, ask what can't be answered, or clear the caches."""
    chance = rng.random()
    name = ""
    if chance < 0.15:
        events = engine.stream("Describe the image.", [rng.choice(pictures)], max_new_tokens=60, temperature=1.5)
        for _ in range(rng.randrange(1, 4)):
            next(events, None)
        events.close()  # type: ignore[attr-defined]
        name = "cancelled"
    elif chance < 0.3:
        wrong = [
            Request("What?", [b"no picture"]),
            Request("What?", [rng.choice(pictures)], replace={"select": lambda hidden: 1 / 0}),
            Request("What?", [rng.choice(pictures)], feature_layer=99),
        ]
        try:
            engine.answer_many([rng.choice(wrong)])
        except BadInput:
            name = "refused"
    elif chance < 0.33:
        engine.clear_caches()
        name = "caches cleared"
    if name:
        with lock:
            found[name] += 1


if __name__ == "__main__":
    main()
