"""Answers come piece by piece, stop when nobody listens, and may be asked from several threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox import BadOption, PromptEmpty, Request

PATIENCE = 120  # seconds


def test_the_pieces_put_together_are_the_answer(engine, pictures):
    *pieces, last = engine.stream("What?", pictures[:1], max_new_tokens=40)
    assert "".join(event.text for event in pieces) == last.reply.text
    assert [event.reply for event in pieces] == [None] * len(pieces)
    assert last.reply.tokens == engine.answer("What?", pictures[:1], max_new_tokens=40).tokens
    assert len(pieces) > 5


def test_pieces_are_never_half_a_character(engine):
    def emoji(embeddings):
        return engine.checkpoint.tokenizer("ok 😀 é", add_special_tokens=False)["input_ids"]

    assert engine.answer("What?", replace={"generate": emoji}).text == "ok 😀 é"
    for seed in range(5):
        *pieces, last = engine.stream("What?", temperature=2.0, seed=seed, max_new_tokens=60)
        assert "".join(event.text for event in pieces) == last.reply.text


def test_closing_the_stream_stops_the_answer(engine, pictures):
    seen, closed = [], threading.Event()

    def listen(piece):
        seen.append(piece)
        if len(seen) > 1:
            assert closed.wait(PATIENCE)

    events = engine.stream("What?", pictures[:1], max_new_tokens=200, on_token=listen)
    next(events)
    events.close()
    closed.set()
    engine.answer("And?", max_new_tokens=1)  # waits its turn behind the stopped answer
    assert 1 <= len(seen) <= 2


def test_a_slow_reader_holds_up_nobody(engine, pictures):
    events = engine.stream("What?", pictures[:1], max_new_tokens=8)
    next(events)
    assert engine.answer("And?", max_new_tokens=2).tokens
    assert list(events)[-1].reply.trace.new_tokens == 8


def test_a_slow_function_holds_up_nobody(engine, pictures):
    held, release = threading.Event(), threading.Event()

    def slow(hidden):
        held.set()
        assert release.wait(PATIENCE)
        return hidden[:, 1:]

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(engine.answer, "What?", pictures[:1], max_new_tokens=2, replace={"select": slow})
        assert held.wait(PATIENCE)
        assert engine.answer("And?", pictures[:1], max_new_tokens=2).tokens
        release.set()
        assert waiting.result(PATIENCE).tokens


def test_errors_reach_the_reader(engine):
    with pytest.raises(PromptEmpty):
        next(engine.stream(" "))
    with pytest.raises(BadOption):
        engine.stream("What?", temperature=9.0)


def test_many_threads_get_the_answers_of_one(engine, pictures):
    requests = [Request(f"What is {number}?", [pictures[number]], max_new_tokens=12) for number in range(8)]
    expected = [engine.answer_many([request])[0].tokens for request in requests]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda request: engine.answer_many([request])[0].tokens, requests * 3))
    assert answers == expected * 3


def test_an_error_leaves_the_engine_working(engine, pictures):
    def fail(text):
        raise RuntimeError("a listener failed")

    expected = engine.answer("What?", pictures[:1], max_new_tokens=4).tokens
    with pytest.raises(RuntimeError, match="a listener failed"):
        engine.answer("What?", pictures[:1], max_new_tokens=4, on_token=fail)
    assert engine.answer("What?", pictures[:1], max_new_tokens=4).tokens == expected
