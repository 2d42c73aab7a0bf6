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


def wait_for(condition):
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came")


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


@pytest.fixture
def busy(lane):
    """The lane in the middle of a call, until this event is set."""
    began, going = threading.Event(), threading.Event()

    def run():
        began.set()
        going.wait(PATIENCE)

    caller = threading.Thread(target=lane.call, args=(run,))
    caller.start()
    assert began.wait(PATIENCE)
    yield going
    going.set()
    caller.join(PATIENCE)


def test_users_take_turns(lane, busy):
    order, callers = [], []
    for count, (user, number) in enumerate([("a", 1), ("a", 2), ("a", 3), ("b", 1)], 1):
        caller = threading.Thread(target=lane.call, args=(order.append, (user, number)), kwargs={"user": user})
        caller.start()
        wait_for(lambda count=count: waiting(lane) == count)
        callers.append(caller)
    busy.set()
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


def test_it_takes_an_offer_when_it_has_nothing_to_do(lane):
    offered = []
    wait_for(lambda: (future := lane.offer(lambda: 3)) and offered.append(future) is None)
    assert offered[0].result(PATIENCE) == 3


def test_it_takes_no_offer_while_it_works(lane, busy):
    assert lane.offer(lambda: 3) is None


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
