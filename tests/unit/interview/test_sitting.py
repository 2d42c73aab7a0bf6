import pytest

from webapp.interview import (
    BadPlan,
    Mode,
    NotFound,
    SessionOver,
    Submitter,
    end,
    open_next,
    pause,
    room,
    save_draft,
    start,
    submit,
)


@pytest.fixture
def submit_text(store, catalog, candidate, at):
    def submit_text(attempt_id, text="an answer", revision=0, now=None):
        return submit(
            store, catalog, user_id=candidate, attempt_id=attempt_id, text=text, revision=revision, now=now or at()
        )

    return submit_text


@pytest.mark.parametrize("plan", [[], ["t09"], ["t01", "t01"]], ids=["empty", "unknown", "twice"])
def test_a_session_needs_known_questions_each_once(store, catalog, candidate, at, plan):
    with pytest.raises(BadPlan):
        start(store, catalog, user_id=candidate, question_ids=plan, mode=Mode.PRACTICE, now=at())


def test_the_room_shows_the_question_and_the_clock(store, catalog, candidate, practice, at):
    view = room(store, catalog, user_id=candidate, attempt_id=practice.attempt_id, now=at(minutes=5))
    assert (view.title, view.statement, view.minutes) == ("Title of t01", "Statement of t01", 20)
    assert (view.position, view.count) == (1, 2)
    assert (view.deadline, view.server_now, view.seconds_left) == (at(minutes=20), at(minutes=5), 15 * 60)


def test_the_room_holds_nothing_of_the_rubric(store, catalog, candidate, practice, at):
    view = room(store, catalog, user_id=candidate, attempt_id=practice.attempt_id, now=at())
    for secret in ("says projector", "The model answer.", "Because", "336 pixels", "First hint"):
        assert secret not in repr(view)


def test_another_persons_room_is_not_found(store, catalog, stranger, practice, at):
    with pytest.raises(NotFound):
        room(store, catalog, user_id=stranger, attempt_id=practice.attempt_id, now=at())


def test_a_submitted_text_is_the_answer_and_the_last_draft(store, candidate, practice, submit_text, at):
    view = submit_text(practice.attempt_id, "an answer", now=at(minutes=7))
    assert (view.submitted_at, view.submitted_by) == (at(minutes=7), Submitter.CANDIDATE)
    assert (view.seconds_used, view.seconds_allowed, view.seconds_left) == (7 * 60, 20 * 60, 0)
    assert store.attempt(user_id=candidate, attempt_id=practice.attempt_id).answer.text == "an answer"
    assert store.latest_draft(attempt_id=practice.attempt_id).text == "an answer"


def test_a_second_submission_returns_the_first(store, candidate, practice, submit_text, at):
    first = submit_text(practice.attempt_id, "first")
    assert submit_text(practice.attempt_id, "second", now=at(minutes=3)) == first
    assert store.attempt(user_id=candidate, attempt_id=practice.attempt_id).answer.text == "first"


def test_a_submission_waits_for_a_grader(store, practice, submit_text):
    submit_text(practice.attempt_id, "an answer")
    assert [(waiting.question_id, waiting.text) for waiting in store.ungraded_answers()] == [("t01", "an answer")]


def test_a_submission_never_drops_a_newer_draft(store, candidate, practice, submit_text, at):
    save_draft(store, user_id=candidate, attempt_id=practice.attempt_id, text="newer", revision=0, now=at())
    with pytest.raises(Exception, match="revision 1 was saved since"):
        submit_text(practice.attempt_id, "older", revision=0)
    assert store.attempt(user_id=candidate, attempt_id=practice.attempt_id).answer is None


def test_a_submission_within_the_grace_is_late(store, candidate, practice, submit_text, at):
    submit_text(practice.attempt_id, now=at(minutes=20, seconds=3))
    record = store.attempt(user_id=candidate, attempt_id=practice.attempt_id)
    assert record.answer.late
    assert record.attempt.submitted_by is Submitter.CANDIDATE


def test_a_paused_attempt_can_be_submitted(store, catalog, candidate, practice, submit_text, at):
    pause(store, catalog, user_id=candidate, attempt_id=practice.attempt_id, now=at(minutes=4))
    view = submit_text(practice.attempt_id, now=at(minutes=100))
    assert (view.paused, view.seconds_used, view.paused_seconds) == (False, 4 * 60, 96 * 60)


def test_another_persons_attempt_cannot_be_submitted(store, catalog, stranger, candidate, practice, at):
    with pytest.raises(NotFound):
        submit(store, catalog, user_id=stranger, attempt_id=practice.attempt_id, text="theirs", revision=0, now=at())
    assert store.attempt(user_id=candidate, attempt_id=practice.attempt_id).answer is None


def test_the_next_questions_clock_runs_from_when_it_is_opened(store, catalog, candidate, practice, submit_text, at):
    submit_text(practice.attempt_id, now=at(minutes=5))
    opened = open_next(store, catalog, user_id=candidate, session_id=practice.session_id, now=at(minutes=60))
    assert (opened.question_id, opened.position, opened.deadline) == ("t02", 2, at(minutes=90))


def test_opening_the_next_question_twice_opens_it_once(store, catalog, candidate, practice, submit_text, at):
    submit_text(practice.attempt_id)
    first = open_next(store, catalog, user_id=candidate, session_id=practice.session_id, now=at())
    again = open_next(store, catalog, user_id=candidate, session_id=practice.session_id, now=at())
    assert again == first


def test_an_open_question_is_not_skipped(store, catalog, candidate, practice, at):
    view = open_next(store, catalog, user_id=candidate, session_id=practice.session_id, now=at())
    assert view.attempt_id == practice.attempt_id


def test_after_the_last_question_the_session_is_over(store, catalog, candidate, practice, submit_text, at):
    submit_text(practice.attempt_id)
    last = open_next(store, catalog, user_id=candidate, session_id=practice.session_id, now=at())
    assert submit_text(last.attempt_id, now=at(minutes=9)).session_over
    with pytest.raises(SessionOver):
        open_next(store, catalog, user_id=candidate, session_id=practice.session_id, now=at(minutes=9))


def test_another_persons_session_does_not_open(store, catalog, stranger, practice, at):
    with pytest.raises(NotFound):
        open_next(store, catalog, user_id=stranger, session_id=practice.session_id, now=at())


def test_ending_a_session_submits_the_last_draft(store, catalog, candidate, practice, at):
    save_draft(store, user_id=candidate, attempt_id=practice.attempt_id, text="so far", revision=0, now=at())
    view = end(store, catalog, user_id=candidate, session_id=practice.session_id, now=at(minutes=3))
    assert view.ended_at == at(minutes=3)
    assert store.attempt(user_id=candidate, attempt_id=practice.attempt_id).answer.text == "so far"
    with pytest.raises(SessionOver):
        open_next(store, catalog, user_id=candidate, session_id=practice.session_id, now=at(minutes=4))


def test_ending_a_session_again_changes_nothing(store, catalog, candidate, practice, at):
    first = end(store, catalog, user_id=candidate, session_id=practice.session_id, now=at(minutes=3))
    again = end(store, catalog, user_id=candidate, session_id=practice.session_id, now=at(minutes=8))
    assert again == first
