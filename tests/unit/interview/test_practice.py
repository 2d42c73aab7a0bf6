import pytest

from webapp.interview import (
    AttemptClosed,
    NoSuchHint,
    NotFound,
    PracticeOnly,
    extend,
    pause,
    report,
    resume,
    room,
    settle_overdue,
    submit,
    take_hint,
)


@pytest.fixture
def do(store, catalog, candidate, practice, at):
    """Call a rule on the practice's attempt as its candidate."""

    def do(rule, now=None, **more):
        who = {"user_id": candidate, "attempt_id": practice.attempt_id, "now": now or at(), **more}
        return rule(store, catalog, **who)

    return do


def test_a_hint_shows_its_text_for_its_cost(do):
    view = do(take_hint, number=1)
    assert [(hint.text, hint.cost) for hint in view.hints] == [("First hint", 5)]
    assert (view.hints_left, view.next_hint_cost) == (1, 10)


def test_a_hint_taken_twice_is_paid_once(do):
    do(take_hint, number=1)
    assert [hint.number for hint in do(take_hint, number=1).hints] == [1]


def test_after_the_last_hint_there_is_none(do):
    do(take_hint, number=1)
    view = do(take_hint, number=2)
    assert (view.hints_left, view.next_hint_cost) == (0, None)
    with pytest.raises(NoSuchHint):
        do(take_hint, number=3)


@pytest.mark.parametrize("number", [2, 0, -1])
def test_hints_are_taken_in_their_order(do, number):
    with pytest.raises(NoSuchHint):
        do(take_hint, number=number)
    assert do(room).hints == ()


def test_a_pause_stops_the_clock(do, at):
    view = do(pause, now=at(minutes=5))
    assert view.paused
    assert do(room, now=at(minutes=500)).seconds_left == 15 * 60


def test_a_paused_attempt_is_never_overdue(do, store, at):
    do(pause, now=at(minutes=5))
    assert settle_overdue(store, now=at(minutes=500)) == []
    assert not do(room, now=at(minutes=500)).submitted


def test_resuming_moves_the_deadline_by_the_pause(do, at):
    do(pause, now=at(minutes=5))
    view = do(resume, now=at(minutes=35))
    assert (view.paused, view.deadline, view.seconds_left) == (False, at(minutes=50), 15 * 60)
    assert (view.seconds_used, view.seconds_allowed, view.paused_seconds) == (5 * 60, 20 * 60, 30 * 60)


def test_pausing_twice_is_pausing_once(do, at):
    do(pause, now=at(minutes=5))
    do(pause, now=at(minutes=6))
    assert do(resume, now=at(minutes=8)).paused_seconds == 3 * 60


def test_resuming_a_running_clock_changes_nothing(do, at):
    assert do(resume, now=at(minutes=8)).deadline == at(minutes=20)


def test_an_extension_moves_the_deadline_and_is_overtime_in_the_report(do, at):
    assert do(extend, now=at(minutes=19)).deadline == at(minutes=25)
    do(submit, now=at(minutes=24), text="done", revision=0)
    view = do(report, now=at(minutes=24))
    assert (view.extended_seconds, view.seconds_used, view.seconds_allowed) == (5 * 60, 24 * 60, 20 * 60)


@pytest.mark.parametrize("rule", [pause, resume, extend])
def test_at_the_deadline_the_clock_can_no_longer_be_changed(do, at, rule):
    with pytest.raises(AttemptClosed):
        do(rule, now=at(minutes=20))


def test_after_submission_no_hint_is_given(do):
    do(submit, text="done", revision=0)
    with pytest.raises(AttemptClosed):
        do(take_hint, number=1)


def test_a_practice_beside_an_assessment_of_the_same_question_gives_no_hint(do, assessment):
    assert (do(room).hints_left, do(room).next_hint_cost) == (0, None)
    with pytest.raises(PracticeOnly):
        do(take_hint, number=1)


HELPS = [(take_hint, {"number": 1}), (pause, {}), (resume, {}), (extend, {})]


@pytest.mark.parametrize(("rule", "more"), HELPS)
def test_an_assessment_has_no_help(store, catalog, candidate, assessment, at, rule, more):
    with pytest.raises(PracticeOnly):
        rule(store, catalog, user_id=candidate, attempt_id=assessment.attempt_id, now=at(), **more)
    view = room(store, catalog, user_id=candidate, attempt_id=assessment.attempt_id, now=at())
    assert (view.hints_left, view.next_hint_cost, view.deadline) == (0, None, at(minutes=20))


@pytest.mark.parametrize(("rule", "more"), HELPS)
def test_another_persons_practice_gives_no_help(do, stranger, rule, more):
    with pytest.raises(NotFound):
        do(rule, user_id=stranger, **more)
