"""Ways of batching can be compared: the same answers, other costs."""

import threading

import pytest

from sandbox import BadOption, Request
from sandbox.batches import plan


@pytest.fixture(scope="module")
def requests(pictures):
    counts = [0, 2, 1, 3, 0, 1]
    return [
        Request(f"What is {n}? " * (1 + n % 2), pictures[:count], max_new_tokens=4 + 3 * n)
        for n, count in enumerate(counts)
    ]


@pytest.mark.parametrize("strategy", ["sequential", "padded", "sorted", "slots"])
def test_every_way_gives_the_same_answers(engine, requests, strategy):
    expected = [engine.answer_many([request])[0].tokens for request in requests]
    report = engine.run_static(requests, strategy, size=4)
    assert [reply.tokens for reply in report.replies] == expected
    assert report.tokens_per_second > 0


def test_padding_and_idle_rows_are_counted(engine, requests):
    report = engine.run_static(requests, "padded", size=6)
    (batch,) = report.batches
    lengths = [reply.trace.prompt_tokens for reply in report.replies]
    assert batch.width == max(lengths)
    assert batch.padded_tokens == 6 * max(lengths) - sum(lengths) > 0
    assert batch.new_tokens == sum(len(reply.tokens) for reply in report.replies)
    assert batch.idle_tokens == sum(batch.steps + 1 - len(reply.tokens) for reply in report.replies) > 0
    assert {reply.trace.batch for reply in report.replies} == {6}
    assert "padded to" in report.replies[0].trace.stage("generate").note


def test_neighbours_in_length_need_less_padding(engine, requests):
    padded, ordered = (engine.run_static(requests, way, size=2).batches for way in ("padded", "sorted"))
    assert sum(batch.padded_tokens for batch in ordered) < sum(batch.padded_tokens for batch in padded)
    assert sorted(row for batch in ordered for row in batch.rows) == list(range(6))


def test_a_batch_ends_at_its_size_and_at_its_positions(monkeypatch):
    assert plan([5, 9, 7], [1, 1, 1], "padded", 2) == [[0, 1], [2]]
    assert plan([5, 9, 7], [1, 1, 1], "sorted", 2) == [[1, 2], [0]]
    assert plan([5, 9, 7], [1, 1, 1], "sequential", 2) == [[0], [1], [2]]
    monkeypatch.setattr("sandbox.batches.BATCH_TOKENS", 20)
    assert plan([5, 9, 7], [1, 1, 1], "padded", 9) == [[0, 1], [2]]
    assert plan([50], [1], "padded", 9) == [[0]]


def test_others_are_answered_while_a_batch_runs(engine, pictures):
    seen = []
    long = [Request("What?", pictures[:1], max_new_tokens=200, temperature=2.0, seed=seed) for seed in range(2)]

    def other():
        seen.append(engine.answer("And?", max_new_tokens=2))

    thread = threading.Thread(target=other)
    thread.start()
    engine.run_static(long, "padded")
    thread.join()
    assert seen[0].tokens == engine.answer("And?", max_new_tokens=2).tokens


def test_an_unknown_way_is_refused(engine):
    with pytest.raises(BadOption, match="sequential, padded, sorted, slots"):
        engine.run_static([], "fastest")
