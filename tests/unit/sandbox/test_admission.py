"""What doesn't fit waits its turn or is refused in words, before a picture is decoded."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest
from PIL import Image

from sandbox import EngineBusy, PromptTooLong, SandboxSettings, TooManyImages, load_engine
from sandbox.admission import Admission, Cost
from sandbox.errors import Stopped
from sandbox.turns import Turns

PATIENCE = 60  # seconds


def wait_for(condition):
    end = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        end.wait(0.01)
    raise AssertionError("it never came")


def test_users_take_turns_and_keep_their_own_order():
    turns = Turns()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        turns.put(item[0], item)
    assert turns.remove("a2")
    assert not turns.remove("a2")
    assert [turns.take() for _ in range(len(turns))] == ["a1", "b1", "c1", "a3", "b2"]
    assert not turns


def test_what_doesnt_fit_waits_until_there_is_room():
    admission = Admission(tokens=100, tiles=10, waiting=5)
    leave = admission.enter("a", Cost(60, 1))
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(admission.enter, "b", Cost(60, 1))
        wait_for(lambda: admission.waiting == 1)
        assert not second.done()
        leave()
        leave()  # does nothing
        second.result(PATIENCE)


def test_tiles_are_counted_as_tokens_are():
    admission = Admission(tokens=100, tiles=4, waiting=5)
    leave = admission.enter("a", Cost(1, 3))
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(admission.enter, "a", Cost(1, 2))
        wait_for(lambda: admission.waiting == 1)
        leave()
        second.result(PATIENCE)


def test_a_full_line_refuses_in_words_and_one_user_fills_half_of_it():
    admission = Admission(tokens=10, tiles=10, waiting=4)
    leave = admission.enter("a", Cost(10, 0))
    with ThreadPoolExecutor(4) as pool:
        waiting = []
        for user in ("a", "a", "b", "c"):
            waiting.append(pool.submit(admission.enter, user, Cost(10, 0)))
            wait_for(lambda: admission.waiting == len(waiting))
            if len(waiting) == 2:
                with pytest.raises(EngineBusy, match="2 of your questions wait already"):
                    admission.enter("a", Cost(1, 0))
        with pytest.raises(EngineBusy, match=r"4 questions wait already. This one was not taken; ask it again"):
            admission.enter("d", Cost(1, 0))
        leave()
        for _ in range(4):
            entered = next(iter(as_completed(waiting, PATIENCE)))
            waiting.remove(entered)
            entered.result()()


def test_who_is_stopped_while_waiting_leaves_the_line():
    admission = Admission(tokens=10, tiles=10, waiting=4)
    leave = admission.enter("a", Cost(10, 0))
    with pytest.raises(Stopped):
        admission.enter("b", Cost(5, 0), stopped=lambda: True)
    assert admission.waiting == 0
    leave()


def test_what_never_fits_is_refused_in_words(random_llava, pictures):
    settings = SandboxSettings(_env_file=None, sandbox_device="cpu", sandbox_tokens=256, sandbox_tiles=2)
    engine = load_engine(random_llava, settings=settings)
    with pytest.raises(PromptTooLong, match=r"may take 3\d\d tokens with its pictures; at most 256 fit here"):
        engine.answer("a" * 100, pictures[:2], max_new_tokens=200)
    with pytest.raises(TooManyImages, match="cut into 3 tiles; at most 2 fit here"):
        engine.answer("What?", pictures[:3], max_new_tokens=2)
    engine.close()


def test_a_prompt_too_long_for_its_pictures_is_refused_before_they_are_decoded(engine):
    Image.new("RGB", (40, 40)).save(file := io.BytesIO(), "PNG")
    cut = file.getvalue()[:60]  # the header says how large it is; its pixels are missing
    with pytest.raises(PromptTooLong, match=r"takes 3\d\d tokens with its pictures; the model holds 320"):
        engine.answer("a" * 200, [cut] * 8)
