"""The programs are compiled beside the work, once a machine, and nothing changes under an answer that is under way."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import Request, SandboxSettings, compiling, load_engine

PATIENCE = 300  # seconds


def settings(**options):
    return SandboxSettings(_env_file=None, sandbox_model="", sandbox_device="cpu", **options)


def wait_for(condition):
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.1)):
        if condition():
            return
        pause.wait(0.1)
    raise AssertionError("it never came")


def ask(pictures, **options):
    return Request("What?", pictures[:1], max_new_tokens=40, **options)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Where these tests' programs are kept."""
    folder = tmp_path_factory.mktemp("compiled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "compiled_path", lambda: folder)
        yield folder


@pytest.fixture(scope="module")
def compiled(random_llava, pictures):
    """An engine after its programs were compiled, and what was asked meanwhile."""
    engine = load_engine(random_llava, settings=settings(sandbox_compile=True, sandbox_slots=2))
    if "no C++ compiler" in engine.compiling:
        pytest.skip(engine.compiling)
    before = engine.answer_many([ask(pictures)])[0]
    events = engine.stream("And?", pictures[1:2], max_new_tokens=200, temperature=2.0, seed=1)
    next(events)  # under way while the compiler works
    wait_for(lambda: not engine.compiling.startswith("compiling"))
    assert engine.compiling.startswith("compiled"), engine.compiling
    during = list(events)[-1].reply
    yield engine, before, during
    engine.close()


def test_what_is_under_way_is_finished_as_it_was_begun(compiled):
    _, before, during = compiled
    assert not before.trace.receipt.compiled
    assert not during.trace.receipt.compiled


def test_compiled_programs_give_the_same_greedy_answers(compiled, pictures):
    engine, before, _ = compiled
    after = engine.answer_many([ask(pictures)])[0]
    assert after.trace.receipt.compiled
    assert after.tokens == before.tokens


def test_compiled_programs_repeat_their_numbers_alone_and_in_company(compiled, pictures):
    engine, *_ = compiled
    requests = [
        Request("What? " * (1 + n % 3), pictures[n % 5 : n % 5 + n % 3], max_new_tokens=6, temperature=n % 2, seed=n)
        for n in range(12)
    ]
    alone = [engine.answer_many([request])[0].trace.receipt for request in requests]
    crowd = [reply.trace.receipt for reply in engine.answer_many([replace(each, cache=False) for each in requests])]
    assert crowd == alone
    assert all(receipt.compiled and receipt.deterministic for receipt in crowd)


def test_what_the_plain_programs_left_in_the_caches_is_not_used(compiled, pictures):
    engine, before, _ = compiled
    assert {use.name for use in before.trace.caches if use.misses} >= {"features", "prefixes"}
    engine.clear_caches()
    missed = engine.answer_many([ask(pictures)])[0].trace
    hit = engine.answer_many([ask(pictures)])[0].trace
    assert hit.receipt == missed.receipt
    assert [use.hits for use in hit.caches] == [1, 1, 1]


def test_at_the_next_start_they_are_there_at_once(compiled, random_llava, pictures):
    engine = load_engine(random_llava, settings=settings(sandbox_compile=True, sandbox_slots=2))
    assert engine.compiling == "compiled at an earlier start"
    assert (
        engine.answer_many([ask(pictures)])[0].trace.receipt
        == compiled[0].answer_many([ask(pictures)])[0].trace.receipt
    )
    engine.close()


def test_other_slots_are_other_programs(compiled, random_llava):
    engine = load_engine(random_llava, settings=settings(sandbox_compile=True, sandbox_slots=4))
    assert engine.compiling.startswith("compiling")
    engine.close()


def test_a_damaged_program_is_thrown_away_and_the_plain_ones_go_on(compiled, random_llava, folder):
    (whole,) = [each for each in folder.iterdir() if (each / "tower.so").exists()]
    options = settings(sandbox_compile=True, sandbox_slots=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "_key", lambda *_: "damaged")
        (folder / "damaged").mkdir()
        for library in whole.glob("*.so"):
            (folder / "damaged" / library.name).write_bytes(b"no library")
        engine = load_engine(random_llava, settings=options)
    assert "can't be loaded" in engine.compiling
    assert not engine.answer("What?", max_new_tokens=2).trace.receipt.compiled
    assert not (folder / "damaged").exists()
    engine.close()


def test_without_a_compiler_the_engine_says_so_and_goes_on(random_llava, monkeypatch):
    monkeypatch.setattr(compiling, "unavailable", lambda checkpoint: "there is no C++ compiler on this machine")
    engine = load_engine(random_llava, settings=settings(sandbox_compile=True))
    assert engine.compiling == "not compiled: there is no C++ compiler on this machine"
    assert not engine.answer("What?", max_new_tokens=2).trace.receipt.compiled
    engine.close()


def test_what_the_compiler_refuses_is_run_plainly(random_llava, monkeypatch):
    monkeypatch.setattr(compiling.sys, "executable", "/bin/false")
    engine = load_engine(random_llava, settings=settings(sandbox_compile=True, sandbox_slots=6))
    wait_for(lambda: engine.compiling == "not compiled: the compiler ended with 1")
    assert engine.answer("What?", max_new_tokens=2).tokens
    engine.close()


def test_compiling_can_be_switched_off(engine):
    assert engine.compiling == "not compiled: SANDBOX_COMPILE is off"


def compilers():
    """Return the processes that compile."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"sandbox.exporting" in command:
            found.append(process.name)
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are found in /proc")
def test_the_compiler_ends_with_the_process_that_started_it(random_llava, tmp_path):
    others = set(compilers())
    code = (
        "import time\nfrom sandbox import load_engine\n"
        f"engine = load_engine({str(random_llava)!r}, 'cpu')\n"
        "while not engine.compiling.startswith('compiling:'): time.sleep(0.05)"
    )
    environment = {**os.environ, "SANDBOX_COMPILE": "true", "XDG_CACHE_HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], check=False, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    wait_for(lambda: set(compilers()) <= others)
