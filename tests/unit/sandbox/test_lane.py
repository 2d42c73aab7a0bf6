"""The thread beside the model's: turns between users, errors to who asked, and other work when nothing waits."""

import threading

import pytest

from sandbox.errors import EngineFailed
from sandbox.lane import Lane

PATIENCE = 30  # seconds


@pytest.fixture
def lane():
    lane = Lane("lane", 1, lambda: None)
    yield lane
    lane.close()
    lane.join(PATIENCE)


def waiting(lane):
    with lane._work:
        return len(lane._calls)


def test_a_function_runs_in_the_lanes_own_thread_and_gives_its_result(lane):
    assert lane.call(lambda value: (value + 1, threading.current_thread().name), 1) == (2, "lane")


def test_an_error_is_the_callers_and_the_lane_goes_on(lane):
    with pytest.raises(ZeroDivisionError):
        lane.call(lambda: 1 / 0)
    assert lane.call(int, "3") == 3


def test_a_function_may_call_the_lane_itself(lane):
    assert lane.call(lambda: lane.call(int, "3")) == 3


def test_users_take_turns(lane):
    order, going = [], threading.Event()
    callers = [threading.Thread(target=lane.call, args=(going.wait, PATIENCE))]
    callers[0].start()
    for user, number in [("a", 1), ("a", 2), ("a", 3), ("b", 1)]:
        caller = threading.Thread(target=lane.call, args=(order.append, (user, number)), kwargs={"user": user})
        before = waiting(lane)
        caller.start()
        while waiting(lane) == before:
            pass
        callers.append(caller)
    going.set()
    for caller in callers:
        caller.join(PATIENCE)
    assert order.index(("b", 1)) == 1


def test_it_does_other_work_when_nothing_waits_and_is_told():
    done = threading.Event()
    work = []
    lane = Lane("lane", 1, lambda: work.pop() if work else None)
    work.append(done.set)
    lane.wake()
    assert done.wait(PATIENCE)
    lane.close()


def test_it_takes_an_offer_only_if_it_has_nothing_to_do(lane):
    lane.call(int)
    while (offered := lane.offer(lambda: 3)) is None:
        pass
    assert offered.result(PATIENCE) == 3
    going = threading.Event()
    caller = threading.Thread(target=lane.call, args=(going.wait, PATIENCE))
    caller.start()
    while lane._idle:
        pass
    assert lane.offer(lambda: 3) is None
    going.set()
    caller.join(PATIENCE)


def test_who_holds_it_keeps_it_from_beginning_anything(lane):
    began = threading.Event()
    with lane.held:
        caller = threading.Thread(target=lane.call, args=(began.set,))
        caller.start()
        assert not began.wait(0.2)
    assert began.wait(PATIENCE)
    caller.join(PATIENCE)


def test_a_closed_lane_finishes_what_waits_and_takes_no_more():
    lane = Lane("lane", 1, lambda: None)
    lane.close()
    with pytest.raises(EngineFailed, match="closed"):
        lane.call(int)
    lane.join(PATIENCE)
