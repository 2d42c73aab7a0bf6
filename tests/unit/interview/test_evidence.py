import pytest

from webapp.interview import AttemptClosed, NotFound, RunIsEvidence, RunStandsElsewhere, attach, attachable, delete_run
from webapp.interview import submit as hand_in


@pytest.fixture
def run(store, candidate, at):
    return store.add_run(user_id=candidate, kind="ask", settings={"prompt": "What?"}, figures={}, now=at(0)).id


@pytest.fixture
def submitted(store, catalog, candidate, practice, at):
    def done(minute=2):
        hand_in(
            store, catalog, user_id=candidate, attempt_id=practice.attempt_id, text="so", revision=0, now=at(minute)
        )

    return done


def test_an_earlier_run_can_be_attached_to_the_open_attempt(store, candidate, practice, run, at):
    assert [found.id for found in attachable(store, user_id=candidate, limit=5)] == [run]
    attach(store, user_id=candidate, run_id=run, attempt_id=practice.attempt_id, now=at(1))
    assert [found.id for found in store.runs(candidate, practice.attempt_id)] == [run]
    assert attachable(store, user_id=candidate, limit=5) == []


def test_a_run_cannot_be_attached_after_the_submission(store, candidate, practice, run, submitted, at):
    submitted()
    with pytest.raises(AttemptClosed):
        attach(store, user_id=candidate, run_id=run, attempt_id=practice.attempt_id, now=at(3))


def test_a_run_cannot_be_attached_once_the_time_is_over(store, candidate, practice, run, at):
    with pytest.raises(AttemptClosed):
        attach(store, user_id=candidate, run_id=run, attempt_id=practice.attempt_id, now=at(60))


def test_anothers_run_cannot_be_attached_read_or_deleted(store, candidate, stranger, practice, at):
    theirs = store.add_run(user_id=stranger, kind="ask", settings={}, figures={}, now=at(0)).id
    with pytest.raises(NotFound):
        attach(store, user_id=candidate, run_id=theirs, attempt_id=practice.attempt_id, now=at(1))
    with pytest.raises(NotFound):
        store.run(user_id=candidate, run_id=theirs)
    with pytest.raises(NotFound):
        delete_run(store, user_id=candidate, run_id=theirs, now=at(1))
    assert store.run(user_id=stranger, run_id=theirs)


def test_a_run_cannot_be_taken_from_one_answer_to_another(store, catalog, candidate, practice, run, at):
    from webapp.interview import Mode, start

    other = start(store, catalog, user_id=candidate, question_ids=["t02"], mode=Mode.PRACTICE, now=at(0))
    attach(store, user_id=candidate, run_id=run, attempt_id=practice.attempt_id, now=at(1))
    with pytest.raises(RunStandsElsewhere):
        attach(store, user_id=candidate, run_id=run, attempt_id=other.attempt_id, now=at(1))


def test_a_run_is_deleted_by_its_owner_while_its_answer_is_open(store, candidate, practice, run, at):
    attach(store, user_id=candidate, run_id=run, attempt_id=practice.attempt_id, now=at(1))
    delete_run(store, user_id=candidate, run_id=run, now=at(1))
    assert store.runs(candidate) == []


def test_a_run_without_an_answer_is_deleted_by_its_owner(store, candidate, run, at):
    delete_run(store, user_id=candidate, run_id=run, now=at(1))
    assert store.runs(candidate) == []


def test_a_run_beside_a_submitted_answer_stays(store, candidate, practice, run, submitted, at):
    attach(store, user_id=candidate, run_id=run, attempt_id=practice.attempt_id, now=at(1))
    submitted()
    with pytest.raises(RunIsEvidence):
        delete_run(store, user_id=candidate, run_id=run, now=at(3))
    assert store.submitted_run(run_id=run).id == run


def test_interviewers_see_no_run_before_its_answer_is_submitted(store, candidate, practice, run, at):
    attach(store, user_id=candidate, run_id=run, attempt_id=practice.attempt_id, now=at(1))
    with pytest.raises(NotFound):
        store.submitted_run(run_id=run)
