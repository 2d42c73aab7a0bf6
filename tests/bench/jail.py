"""Measures what running a candidate's code costs: `python -m tests.bench.jail`.

Prints the time from opening a run to its first result beside that of a bare `python -c 'import numpy'`, of a further
call, of handing arrays over; how many runs many candidates get at once, and how evenly; and the memory of a run.
"""

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from sandbox.jail import Jail, Picture
from sandbox.settings import SandboxSettings
from tests.bench.latency import load_average, picture

ANSWER = """
import numpy as np
def nothing(): return 1
def total(a): return float(a[0])
def echo(a): return a
def preprocess(image, size):
    pixels = np.asarray(image.convert("RGB").resize((size, size), 3), np.float32) / 255
    return np.ascontiguousarray(((pixels - 0.5) / 0.5).transpose(2, 0, 1))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40, help="Runs, calls and starts of Python of each kind.")
    parser.add_argument("--candidates", type=int, default=20, help="Candidates at once.")
    parser.add_argument("--seconds", type=float, default=15.0, help="How long they keep at it.")
    options = parser.parse_args()

    before = load_average()
    began = time.perf_counter()
    jail = Jail(SandboxSettings(_env_file=None))
    print(jail.status.sentence)
    print(f"start and self-test {1000 * (time.perf_counter() - began):.0f} ms")
    try:
        first_results(jail, options.repeats)
        calls(jail, options.repeats)
        at_once(jail, options.candidates, options.seconds)
        greedy(jail, options.candidates, options.seconds)
        memory(jail)
    finally:
        jail.close()
    print(f"load average before {before}, after {load_average()} on {os.cpu_count()} cores")


def median_ms(action: Callable[[], object], repeats: int) -> str:
    """Return the median and the 95th percentile of an action's time."""
    action()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(1000 * (time.perf_counter() - began))
    return f"{statistics.median(times):8.2f} ms, 95th percentile {statistics.quantiles(times, n=20)[-1]:.2f}"


def first_results(jail: Jail, repeats: int) -> None:
    """Print the time to the first result, warm and bare."""
    image = Picture.of(picture(1))

    def run(name: str, *args: object) -> None:
        with jail.open(ANSWER) as opened:
            opened.call(name, *args)

    bare = [sys.executable, "-I", "-c", "import numpy"]
    print(f"open, first result, close           {median_ms(lambda: run('nothing'), repeats)}")
    print(f"the same, 640 x 480 to 336 x 336    {median_ms(lambda: run('preprocess', image, 336), repeats)}")
    print(f"bare python -c 'import numpy'       {median_ms(lambda: subprocess.run(bare, check=True), repeats)}")


def calls(jail: Jail, repeats: int) -> None:
    """Print the time of calls in an open run."""
    with jail.open(ANSWER) as run:
        print(f"a further call                      {median_ms(lambda: run.call('nothing'), repeats)}")
        for mebibytes in (1, 50):
            array = np.ones(mebibytes << 18, np.float32)
            for name, words in (("total", "in        "), ("echo", "in and out")):
                print(
                    f"{mebibytes:2} MiB {words}                   {median_ms(partial(run.call, name, array), repeats)}"
                )


def at_once(jail: Jail, candidates: int, seconds: float) -> None:
    """Print how many runs candidates get who all run all the time."""
    counts = counted(jail, [f"candidate {number}" for number in range(candidates)], seconds)
    total = sum(counts.values())
    print(
        f"{candidates} candidates at once: {60 * total / seconds:.0f} runs a minute; slowest over fastest "
        f"{min(counts.values()) / max(counts.values()):.2f} ({min(counts.values())} and {max(counts.values())})"
    )


def greedy(jail: Jail, candidates: int, seconds: float) -> None:
    """Print how many runs the others get beside one who keeps as many under way as all of them together."""
    others = [f"candidate {number}" for number in range(candidates // 2)]
    counts = counted(jail, ["greedy"] * (candidates // 2) + others, seconds)
    rest = [counts[name] for name in others]
    print(
        f"one with {candidates // 2} runs under way beside {len(others)} with one each: {counts['greedy']} runs; "
        f"the others {min(rest)} to {max(rest)}"
    )


def counted(jail: Jail, users: list[str], seconds: float) -> dict[str, int]:
    """Return how many runs each user got, with a thread for each mention."""
    image, end = Picture.of(picture(1)), time.monotonic() + seconds
    counts = dict.fromkeys(users, 0)
    lock = threading.Lock()

    def work(user: str) -> None:
        while time.monotonic() < end:
            with jail.open(ANSWER, user=user) as run:
                run.call("preprocess", image, 336)
            with lock:
                counts[user] += 1

    threads = [threading.Thread(target=work, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


def memory(jail: Jail) -> None:
    """Print the memory of a run: resident, and its own (what isn't shared with what it was forked from)."""
    source = ANSWER + "import sys\ndef pid(): return sys.modules['os'].getpid()\n"
    with jail.open(source) as run:
        pid = run.call("pid").value
        print(f"memory of a run, nothing done       {own_memory(pid)}")
        run.call("preprocess", Picture.of(picture(1)), 336)
        print(f"memory after preprocessing          {own_memory(pid)}")


def own_memory(pid: int) -> str:
    """Return resident and private memory from smaps_rollup."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    fields = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    private = fields["Private_Clean"] + fields["Private_Dirty"]
    return f"resident {fields['Rss'] / 1024:.1f} MiB, its own {private / 1024:.1f} MiB"


if __name__ == "__main__":
    main()
