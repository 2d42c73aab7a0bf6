"""Requests of all users share the slots, and none of them notices: not in its numbers, not in its errors."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from sandbox import BadInput, Request, load_engine
from sandbox.settings import SandboxSettings

PATIENCE = 120  # seconds


def asked(pictures, number):
    """Requests of many kinds: no picture to three, short and long, greedy and drawn."""
    return Request(
        "What is this? " * (1 + number % 3) + str(number),
        pictures[number % 7 : number % 7 + number % 4],
        max_new_tokens=3 + 5 * (number % 5),
        temperature=0.8 * (number % 2),
        seed=number,
    )


def receipt(reply):
    return reply.trace.receipt


def test_numbers_are_equal_bit_for_bit_alone_and_in_company(engine, pictures):
    requests = [asked(pictures, number) for number in range(24)]
    alone = [receipt(engine.answer_many([request])[0]) for request in requests]
    with ThreadPoolExecutor(6) as pool:
        groups = list(pool.map(lambda start: engine.answer_many(requests[start::6]), range(6)))
    for start, replies in enumerate(groups):
        assert [receipt(reply) for reply in replies] == alone[start::6]
    assert max(reply.trace.batch for replies in groups for reply in replies) > 3
    assert all(each.deterministic for each in alone)


def test_a_receipt_is_the_digest_of_the_logits(engine, pictures):
    import hashlib

    reply = engine.answer("What?", pictures[:1], max_new_tokens=5, keep=True)
    logits = reply.trace.logits
    assert logits.shape == (5, engine.checkpoint.vocabulary)
    assert [int(row.argmax()) for row in logits] == list(reply.tokens)
    assert receipt(reply).logits == hashlib.sha256(logits.tobytes()).hexdigest()
    assert receipt(reply).summary()["steps"] == 5


def test_another_picture_gives_another_receipt(engine, pictures):
    first, second = (engine.answer("What?", [pictures[n]], max_new_tokens=5) for n in (0, 1))
    assert receipt(first).logits != receipt(second).logits


def test_the_logits_are_those_of_the_model(engine, pictures):
    import torch

    reply = engine.answer("What?", pictures[:2], max_new_tokens=6, keep=True)
    ids = [token for part in reply.trace.tokens for token in part.ids] + list(reply.tokens[:-1])
    with torch.inference_mode():
        pixels = torch.from_numpy(reply.trace.pixels)
        logits = engine.checkpoint.model(input_ids=torch.tensor([ids]), pixel_values=pixels).logits[0, -6:]
    np.testing.assert_allclose(reply.trace.logits, logits.numpy(), atol=1e-4)


def test_an_answer_that_starts_later_joins_those_under_way(engine, pictures):
    events = engine.stream("What?", pictures[:1], max_new_tokens=80, temperature=2.0, seed=3)
    next(events)
    reply = engine.answer("And?", max_new_tokens=3)
    assert reply.trace.batch == 2
    events.close()


def test_a_cancelled_answer_frees_its_slot(engine, pictures):
    streams = [
        engine.stream("What?", pictures[:1], max_new_tokens=200, temperature=2.0, seed=seed) for seed in range(8)
    ]
    for events in streams:
        next(events)
    assert engine.load[0] >= 1
    for events in streams:
        events.close()
    end = time.monotonic() + PATIENCE
    while engine.load != (0, 0) and time.monotonic() < end:
        time.sleep(0.01)
    assert engine.load == (0, 0)


def test_an_answer_that_is_stopped_while_it_waits_never_begins(random_llava):
    engine = load_engine(random_llava, settings=small(sandbox_slots=1))
    long = engine.stream("What?", max_new_tokens=200, temperature=2.0, seed=1)
    next(long)
    with ThreadPoolExecutor(1) as pool:
        waiting = engine.stream("And?", max_new_tokens=3)
        got = pool.submit(next, waiting)
        while engine.load[1] == 0 and not got.done():
            pass
        long.close()
        assert got.result(PATIENCE)
    engine.close()


def test_one_users_many_requests_dont_starve_anothers_one(random_llava):
    engine = load_engine(random_llava, settings=small(sandbox_slots=2))
    ended = []

    def ask(user, number):
        engine.answer(f"What is {number}?", max_new_tokens=20, user=user)
        ended.append(user)

    with ThreadPoolExecutor(31) as pool:
        many = [pool.submit(ask, "many", number) for number in range(30)]
        while engine.load[1] < 20:
            pass
        pool.submit(ask, "one", 0).result(PATIENCE)
        behind = sum(not each.done() for each in many)
        for each in many:
            each.result(PATIENCE)
    assert behind > 10
    engine.close()


def test_a_failure_ends_its_own_request_only(engine, pictures):
    wrong = [
        Request("What?", [b"no picture"]),
        Request(" "),
        Request("What?", pictures[:1], replace={"select": lambda hidden: 1 / 0}),
        Request("What?", pictures[:1], replace={"merge": lambda ids, embeddings, features: embeddings * np.nan}),
        Request("What?", pictures[:1], feature_layer=99),
    ]
    right = [asked(pictures, number) for number in range(10)]
    alone = [receipt(engine.answer_many([request])[0]) for request in right]

    def ask(request):
        try:
            return engine.answer_many([request])[0]
        except BadInput as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(ask, [request for pair in zip(right, wrong * 2, strict=True) for request in pair]))
    assert [receipt(reply) for reply in outcomes[::2]] == alone
    assert all(isinstance(error, BadInput) for error in outcomes[1::2])


def test_a_request_that_doesnt_fit_the_memory_is_told_so_and_others_go_on(engine, pictures, monkeypatch):
    from sandbox import OutOfMemory, scheduler

    read = scheduler.read_prompt

    def full(program, checkpoint, embeddings, *rest):
        if len(embeddings) == len(longest):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory")
        return read(program, checkpoint, embeddings, *rest)

    expected = engine.answer("And?", pictures[:1], max_new_tokens=4)
    longest = engine.answer("a" * 60, keep=True, max_new_tokens=1).trace.arrays["merge"]
    monkeypatch.setattr(scheduler, "read_prompt", full)
    with pytest.raises(OutOfMemory, match="isn't enough memory"):
        engine.answer("a" * 60, max_new_tokens=1)
    assert receipt(engine.answer("And?", pictures[:1], max_new_tokens=4)) == receipt(expected)


def test_a_request_with_a_replaced_stage_shares_the_slots(engine, pictures):
    events = engine.stream("What?", pictures[:1], max_new_tokens=80, temperature=2.0, seed=3)
    next(events)
    reply = engine.answer("And?", pictures[:1], max_new_tokens=3, replace={"select": lambda hidden: hidden[:, 1:]})
    assert reply.trace.batch == 2
    events.close()


def test_long_answers_get_longer_rows_and_as_many_slots_as_the_memory_allows(random_llava):
    engine = load_engine(random_llava, settings=small(sandbox_slots=8, sandbox_kv_tokens=2000))
    shapes = [receipt(engine.answer("a" * n, max_new_tokens=9)) for n in (5, 130, 250)]
    assert [(each.length, each.slots) for each in shapes] == [(128, 4), (160, 4), (320, 2)]
    assert sum(length * slots for length, slots, *_ in engine.tables) <= 2000
    engine.close()


def test_more_prompts_than_slots_are_all_answered_whoever_reads_them(random_llava, pictures):
    engine = load_engine(random_llava, settings=small(sandbox_slots=2))
    requests = [replace(asked(pictures, number), cache=False) for number in range(20)]
    alone = [receipt(engine.answer_many([request])[0]) for request in requests]
    with ThreadPoolExecutor(20) as pool:
        crowd = list(pool.map(lambda request: engine.answer_many([request])[0], requests))
    assert [receipt(reply) for reply in crowd] == alone
    assert max(reply.trace.batch for reply in crowd) == 2
    assert engine.load == (0, 0)
    engine.close()


def test_a_full_table_is_followed_by_another_and_an_answer_is_the_same_in_either(random_llava, pictures):
    engine = load_engine(random_llava, settings=small(sandbox_slots=16))
    requests = [Request(f"What is {n}?", pictures[n % 3 : n % 3 + 1], max_new_tokens=60, seed=n) for n in range(16)]
    alone = [receipt(engine.answer_many([request])[0]) for request in requests]
    (length,) = {each.length for each in alone}

    def tables():
        return [slots for long, slots, *_ in engine.tables if long == length]

    assert tables() == [8]
    together = engine.answer_many(requests)
    assert tables() == [8, 8]
    assert [receipt(reply) for reply in together] == alone
    engine.close()


def test_a_fault_in_one_table_ends_its_own_answers_only(random_llava, pictures, monkeypatch):
    from sandbox.slots import SlotTable

    engine = load_engine(random_llava, settings=small(sandbox_slots=16))
    step, calls = SlotTable.step, []

    def broken(table):
        calls.append(table)
        if len(set(calls)) > 1 and table is not calls[0]:
            raise ZeroDivisionError("a fault")
        return step(table)

    monkeypatch.setattr(SlotTable, "step", broken)
    monkeypatch.setattr("sandbox.scheduler.repeats", lambda table: True)

    def ask(number):
        try:
            return engine.answer(f"What is {number}?", pictures[:1], max_new_tokens=80)
        except ZeroDivisionError as error:
            return error

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(ask, range(16)))
    lost = [outcome for outcome in outcomes if isinstance(outcome, ZeroDivisionError)]
    assert 0 < len(lost) <= 8
    engine.close()


def test_slots_that_change_the_numbers_are_used_one_at_a_time(random_llava, pictures, monkeypatch, caplog):
    monkeypatch.setattr("sandbox.scheduler.repeats", lambda table: False)
    engine = load_engine(random_llava, settings=small())
    replies = engine.answer_many([asked(pictures, number) for number in range(6)])
    assert {reply.trace.batch for reply in replies} == {1}
    assert "different numbers in company" in caplog.text
    assert "one at a time" in engine.description
    engine.close()


def test_the_self_test_sees_a_slot_that_computes_otherwise(engine):
    from sandbox.programs import plain
    from sandbox.selftest import repeats
    from sandbox.slots import SlotTable

    checkpoint = engine.checkpoint
    table = SlotTable(checkpoint, plain(checkpoint, [64]).steps[64], 4, 64)
    assert engine.compute(repeats, table)
    compute = table.compute

    def disturbed():
        logits, *rest = compute()
        logits[3] *= 1 + 1e-6
        return logits, *rest

    table.compute = disturbed
    assert not engine.compute(repeats, table)


def test_the_engine_goes_on_after_a_fault_of_its_own(engine, pictures, monkeypatch):
    expected = engine.answer("What?", pictures[:1], max_new_tokens=4)

    def broken(self):
        raise ZeroDivisionError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr("sandbox.slots.SlotTable.step", broken)
        with pytest.raises(ZeroDivisionError):
            engine.answer("What?", pictures[:1], max_new_tokens=4)
    assert receipt(engine.answer("What?", pictures[:1], max_new_tokens=4)) == receipt(expected)


def test_a_closed_engine_takes_nothing(random_llava):
    from sandbox import EngineFailed

    engine = load_engine(random_llava, settings=small())
    engine.close()
    with pytest.raises(EngineFailed, match="closed"):
        engine.answer("What?")


def small(**options):
    return SandboxSettings(_env_file=None, sandbox_model="", sandbox_device="cpu", **options)


def test_pieces_are_those_of_the_whole_text(engine):
    from sandbox.stages.generate import Spelling, decode

    texts = ["ok 😀 é", "  spaced   out  ", "картина 图", "😀" * 3 + "\n\n", "a\u0301 b"]
    for text in texts:
        tokens = engine.checkpoint.tokenizer(text, add_special_tokens=False)["input_ids"]
        spelling = Spelling(engine.checkpoint)
        pieces = [spelling.add([token]) for token in tokens] + [spelling.finish()]
        assert "".join(pieces) == spelling.text == decode(tokens, engine.checkpoint)
        assert not any("\ufffd" in piece for piece in pieces)


def test_unfinished_characters_come_out_at_the_end(engine):
    from sandbox.stages.generate import Spelling, decode

    tokens = engine.checkpoint.tokenizer("ok 😀", add_special_tokens=False)["input_ids"][:-1]
    spelling = Spelling(engine.checkpoint)
    text = "".join([spelling.add([token]) for token in tokens] + [spelling.finish()])
    assert text == decode(tokens, engine.checkpoint)
    assert text.endswith("\ufffd")


def test_among_cancelled_and_wrong_requests_every_run_repeats(trained_engine):
    from tests.bench.repeats import counts

    found = counts(trained_engine, 60)
    assert found["runs"] == found["equal"] == 60
    assert found["in company"] > 10
    assert min(found["cancelled"], found["refused"]) > 0


def test_fast_mode_says_that_it_promises_nothing_and_gives_the_same_greedy_answers(random_llava, pictures):
    engine = load_engine(random_llava, settings=small(sandbox_deterministic=False))
    requests = [Request(f"What is {n}?", pictures[: n % 3], max_new_tokens=12) for n in range(16)]
    alone = [engine.answer_many([replace(request, deterministic=True)])[0] for request in requests]
    crowd = engine.answer_many(requests)
    assert [reply.tokens for reply in crowd] == [reply.tokens for reply in alone]
    assert {receipt(reply).deterministic for reply in crowd} == {False}
    assert {receipt(reply).deterministic for reply in alone} == {True}
    assert "Fast mode" in engine.description
    engine.close()


def test_whoever_wants_equal_numbers_has_them_beside_those_who_dont(engine, pictures):
    mixed = [replace(asked(pictures, number), deterministic=bool(number % 2)) for number in range(16)]
    alone = [receipt(engine.answer_many([request])[0]) for request in mixed]
    crowd = [receipt(reply) for reply in engine.answer_many(mixed)]
    assert crowd[1::2] == alone[1::2]
    assert all(not each.deterministic for each in crowd[::2])


def test_prompts_read_together_have_the_models_numbers(engine):
    import torch

    from sandbox.programs import plain
    from sandbox.slots import no_prefix, read_prompt, read_together

    source = np.random.default_rng(0)
    prompts = [source.standard_normal((length, engine.checkpoint.width), np.float32) for length in (5, 30, 17)]

    @torch.inference_mode()
    def compare():
        chosen, parts, width = read_together(engine.checkpoint, prompts)
        program, nothing = plain(engine.checkpoint, []).prompt, no_prefix(engine.checkpoint)
        for row, prompt in enumerate(prompts):
            alone, _ = read_prompt(program, engine.checkpoint, prompt, nothing, 0)
            np.testing.assert_allclose(chosen.logits[row], alone.logits[0], atol=1e-4)
            assert parts[row][0][0].shape[2] == width == 32

    engine.compute(compare)


def test_pictures_are_encoded_together_only_if_that_leaves_their_bits_alone(engine, monkeypatch):
    from sandbox import selftest

    assert engine.compute(selftest.encode_group, engine.checkpoint) in (1, 4)
    encode = selftest.encode
    monkeypatch.setattr(selftest, "encode", lambda *inputs: encode(*inputs) * (1 + 1e-6 * (len(inputs) > 3)))
    assert engine.compute(selftest.encode_group, engine.checkpoint) == 1
