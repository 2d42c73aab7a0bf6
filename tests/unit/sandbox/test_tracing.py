"""Models and PyTorch's tracer in two threads of one process."""

import threading
import time

import pytest
import torch

from sandbox.tracing import take_turns


@pytest.fixture
def tracing():
    """A thread that is in the middle of a trace when this returns."""
    take_turns()
    begun = threading.Event()

    def slow(value):
        begun.set()
        time.sleep(0.5)
        return value + 1

    thread = threading.Thread(target=torch.fx.Tracer().trace, args=(slow,))
    thread.start()
    assert begun.wait(10)
    yield thread
    thread.join(10)


def test_an_answer_waits_for_a_trace_and_is_right(engine, pictures, tracing):
    engine.clear_caches()
    during = engine.answer("What is this?", pictures[:1], max_new_tokens=4)
    assert not tracing.is_alive()
    assert during.tokens == engine.answer("What is this?", pictures[:1], max_new_tokens=4).tokens


def test_taking_turns_twice_changes_nothing_more():
    take_turns()
    once = torch.fx.Tracer.trace
    take_turns()
    assert torch.fx.Tracer.trace is once


def test_an_answer_whose_features_are_known_waits_as_well(engine, pictures, request):
    before = engine.answer("What is that?", pictures[:1], max_new_tokens=4)
    request.getfixturevalue("tracing")
    assert engine.answer("What is that?", pictures[:1], max_new_tokens=4).tokens == before.tokens
