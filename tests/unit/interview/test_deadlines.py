from datetime import timedelta

import pytest

from webapp.interview import (
    GRACE,
    Submitter,
    home,
    next_deadline,
    open_next,
    report,
    room,
    save_draft,
    settle_overdue,
    submit,
)


@pytest.fixture
def attempt_id(assessment):
    return assessment.attempt_id


def test_the_deadline_is_the_opening_plus_the_questions_minutes(assessment, at):
    assert assessment.attempt.opened_at == at()
    assert assessment.attempt.deadline == at(minutes=20)


def test_at_the_deadline_the_server_submits_the_last_draft(store, catalog, candidate, attempt_id, at):
    save_draft(store, user_id=candidate, attempt_id=attempt_id, text="one", revision=0, now=at())
    save_draft(store, user_id=candidate, attempt_id=attempt_id, text="one two", revision=1, now=at(minutes=19))
    assert settle_overdue(store, now=at(minutes=20) + GRACE) == [attempt_id]
    record = store.attempt(user_id=candidate, attempt_id=attempt_id)
    assert (record.answer.text, record.answer.late) == ("one two", False)
    assert record.attempt.submitted_by is Submitter.DEADLINE


def test_without_a_draft_the_answer_is_empty(store, candidate, attempt_id, at):
    settle_overdue(store, now=at(minutes=21))
    assert store.attempt(user_id=candidate, attempt_id=attempt_id).answer.text == ""


def test_nothing_is_submitted_within_the_grace(store, attempt_id, at):
    assert settle_overdue(store, now=at(minutes=20) + GRACE - timedelta(seconds=1)) == []


def test_a_late_server_submits_at_the_deadlines_own_time(store, candidate, attempt_id, at):
    settle_overdue(store, now=at(minutes=500))
    record = store.attempt(user_id=candidate, attempt_id=attempt_id)
    assert record.attempt.submitted_at == record.answer.submitted_at == at(minutes=20)
    assert record.attempt.seconds_used(at(minutes=500)) == 20 * 60


def test_an_answer_whose_text_came_within_the_grace_is_marked_late(store, candidate, attempt_id, at):
    save_draft(store, user_id=candidate, attempt_id=attempt_id, text="a", revision=0, now=at(minutes=20, seconds=2))
    settle_overdue(store, now=at(minutes=21))
    assert store.attempt(user_id=candidate, attempt_id=attempt_id).answer.late


def test_an_overdue_attempt_is_submitted_once(store, candidate, attempt_id, at):
    settle_overdue(store, now=at(minutes=21))
    assert settle_overdue(store, now=at(minutes=22)) == []


@pytest.mark.parametrize("read", [room, report])
def test_any_read_submits_what_is_overdue(store, catalog, candidate, attempt_id, at, read):
    view = read(store, catalog, user_id=candidate, attempt_id=attempt_id, now=at(minutes=25))
    assert (view.submitted_at, view.submitted_by) == (at(minutes=20), Submitter.DEADLINE)


def test_home_submits_what_is_overdue(store, catalog, candidate, attempt_id, at):
    view = home(store, catalog, user_id=candidate, now=at(minutes=25))
    assert [past.attempt_id for past in view.past] == [attempt_id]
    assert view.unfinished == ()


def test_opening_the_next_question_submits_the_overdue_one(store, catalog, candidate, practice, at):
    opened = open_next(store, catalog, user_id=candidate, session_id=practice.session_id, now=at(minutes=40))
    assert (opened.position, opened.deadline) == (2, at(minutes=70))
    assert store.attempt(user_id=candidate, attempt_id=practice.attempt_id).attempt.submitted_at == at(minutes=20)


def test_the_clock_tells_the_worker_when_to_come_next(store, catalog, candidate, assessment, practice, at):
    assert next_deadline(store) == at(minutes=20) + GRACE
    settle_overdue(store, now=at(minutes=21))
    assert next_deadline(store) is None


def test_the_session_ends_with_its_last_deadline(store, candidate, attempt_id, at):
    settle_overdue(store, now=at(minutes=21))
    assert store.attempt(user_id=candidate, attempt_id=attempt_id).session.ended_at == at(minutes=20)


def test_what_the_deadline_submitted_a_candidate_cannot_submit_again(store, catalog, candidate, attempt_id, at):
    save_draft(store, user_id=candidate, attempt_id=attempt_id, text="in time", revision=0, now=at())
    view = submit(
        store,
        catalog,
        user_id=candidate,
        attempt_id=attempt_id,
        text="too late",
        revision=1,
        now=at(minutes=20) + GRACE,
    )
    assert view.submitted_by is Submitter.DEADLINE
    assert store.attempt(user_id=candidate, attempt_id=attempt_id).answer.text == "in time"
