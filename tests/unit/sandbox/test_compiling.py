"""The step of the slots is compiled beside the work, and nothing changes under an answer that is under way."""

import os
import subprocess
import sys
import threading

import pytest

from sandbox import SandboxSettings, load_engine

PATIENCE = 180  # seconds


def settings(**options):
    return SandboxSettings(_env_file=None, sandbox_model="", sandbox_device="cpu", **options)


def wait_for(condition):
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.1)):
        if condition():
            return
        pause.wait(0.1)
    raise AssertionError("it never came")


def test_a_compiled_step_takes_over_between_answers_and_repeats_its_numbers(random_llava, pictures):
    from sandbox.compiling import unavailable

    if reason := unavailable("cpu"):
        pytest.skip(reason)
    engine = load_engine(random_llava, settings=settings(sandbox_compile=True, sandbox_slots=2))
    ask = {"prompt": "What?", "images": pictures[:1], "max_new_tokens": 128, "temperature": 2.0, "seed": 1}
    events = engine.stream(**ask)
    next(events)  # under way while the compiler works
    plain = list(events)[-1].reply.trace.receipt
    assert not plain.compiled
    wait_for(lambda: engine.compiling.startswith("compiled in"))
    replies = [engine.answer(**ask) for _ in range(2)]
    company = engine.answer_many([_request(ask, seed) for seed in (7, 1)])[1]
    assert [reply.trace.receipt.compiled for reply in replies] == [True, True]
    assert replies[0].trace.receipt == replies[1].trace.receipt == company.trace.receipt
    greedy = engine.answer("What?", pictures[:1], max_new_tokens=128)
    assert greedy.trace.receipt.compiled
    other = load_engine(random_llava, settings=settings())
    assert greedy.tokens == other.answer("What?", pictures[:1], max_new_tokens=128).tokens
    engine.close()
    other.close()


def _request(ask, seed):
    from sandbox import Request

    return Request(**{**ask, "seed": seed})


def test_without_a_compiler_the_engine_says_so_and_goes_on(random_llava, monkeypatch):
    monkeypatch.setattr("sandbox.compiling.unavailable", lambda device: "there is no C++ compiler on this machine")
    engine = load_engine(random_llava, settings=settings(sandbox_compile=True))
    assert engine.compiling == "not compiled: there is no C++ compiler on this machine"
    assert not engine.answer("What?", max_new_tokens=2).trace.receipt.compiled
    engine.close()


def test_what_the_compiler_refuses_is_stepped_plainly(random_llava, monkeypatch, caplog):
    def refuse(table):
        raise RuntimeError("no")

    monkeypatch.setattr("sandbox.compiling.compile_step", refuse)
    engine = load_engine(random_llava, settings=settings(sandbox_compile=True))
    wait_for(lambda: engine.compiling == "not compiled: RuntimeError")
    assert engine.answer("What?", max_new_tokens=2).tokens
    engine.close()


def test_compiling_can_be_switched_off(engine):
    assert engine.compiling == "not compiled: SANDBOX_COMPILE is off"


def test_a_process_that_ends_while_the_compiler_works_ends_well(random_llava):
    code = f"from sandbox import load_engine; load_engine({str(random_llava)!r}, 'cpu')"
    environment = {**os.environ, "SANDBOX_COMPILE": "true", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, "-c", code], check=False, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
