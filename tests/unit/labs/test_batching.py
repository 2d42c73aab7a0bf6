from dataclasses import replace

import pytest

from sandbox import Request, SandboxSettings, load_engine
from sandbox.labs import batching
from sandbox.labs.batching import STRATEGIES, BadRequests
from webapp.pictures import sampled

PROMPTS = (("How many shapes are there?", 1), ("Hello", 0), ("Describe the image.", 1), ("And this one?", 2))


@pytest.fixture(scope="module")
def engine():
    engine = load_engine(settings=SandboxSettings(_env_file=None, sandbox_device="cpu", sandbox_compile=False))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def outcomes(engine):
    requests = [
        Request(prompt, [sampled(seed) for seed in range(count)], max_new_tokens=6) for prompt, count in PROMPTS
    ]
    *_, last = batching.compare(engine, requests, size=2)
    return {outcome.strategy: outcome for outcome in last}


def test_all_ways_give_the_answers_that_were_given_alone(outcomes):
    assert tuple(outcomes) == STRATEGIES
    for outcome in outcomes.values():
        assert sorted(each.request for each in outcome.served) == [0, 1, 2, 3]
        assert outcome.different == []


def test_alone_nothing_is_padded_and_in_a_batch_all_rows_are_as_wide(outcomes):
    assert outcomes["sequential"].wasted == 0
    for batch in (0, 1):
        rows = [each for each in outcomes["padded"].served if each.batch == batch]
        assert len({each.padding + each.image_tokens + each.text_tokens for each in rows}) == 1
        assert len({each.new_tokens + each.idle for each in rows}) == 1
        assert min(each.padding for each in rows) == min(each.idle for each in rows) == 0


def test_sorting_brings_neighbors_in_length_together_and_wastes_less(outcomes):
    lengths = [each.image_tokens for each in outcomes["sorted"].served]
    assert lengths == sorted(lengths, reverse=True)
    padding = {way: sum(each.padding for each in outcomes[way].served) for way in ("padded", "sorted")}
    assert padding["sorted"] < padding["padded"]


def test_times_are_from_the_moment_at_which_all_were_asked(outcomes):
    for outcome in outcomes.values():
        assert all(0 < each.first_token <= each.whole <= outcome.seconds for each in outcome.served)
    ends = [each.whole for each in outcomes["sequential"].served]
    assert ends == sorted(ends)
    first, second = outcomes["padded"].served[1], outcomes["padded"].served[2]
    assert first.whole < second.first_token, "the second batch begins once the first has ended"


def test_of_several_passes_the_median_counts_and_one_different_answer_is_enough(outcomes):
    alone, padded = outcomes["sequential"], outcomes["padded"]
    odd = (padded.served[0], replace(padded.served[1], same=False), *padded.served[2:])
    ways = [replace(padded, seconds=4.0, served=odd), replace(padded, seconds=0.5), replace(padded, seconds=2.0)]
    passes = [[replace(alone, seconds=1.0), way] for way in ways]
    chosen = batching.middle(passes)
    assert [outcome.seconds for outcome in chosen] == [1.0, 2.0]
    assert chosen[1].different == [odd[1].request]
    assert batching.ratios(passes) == [(1, 1), (0.25, 2)]


def test_a_closed_comparison_stops_after_the_batch_in_hand(engine):
    coming = batching.compare(engine, [Request("Hello", max_new_tokens=1)] * 3)
    assert len(next(coming)[0].served) == 1
    coming.close()
    assert engine.load == (0, 0)


@pytest.mark.parametrize(
    ("requests", "size", "said"),
    [
        ([], 4, "no requests"),
        ([Request("x")] * 17, 4, "at most 16"),
        ([Request("x")], 0, "1 to 16 rows"),
        ([Request("x"), Request(" ")], 4, "Request 2 has no prompt"),
    ],
)
def test_what_can_not_be_compared_is_said_before_anything_runs(requests, size, said):
    with pytest.raises(BadRequests, match=said):
        batching.check(requests, size)
