import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from webapp.store import GradeState, NotFound, Submitter

LEASE = timedelta(minutes=2)
VERDICTS = [{"criterion": "grid", "verdict": "met", "quote": "24×24", "start": 3, "end": 8, "reason": "it is said"}]


@pytest.fixture
def submit(store, begin, at):
    """Submit an answer and return its id."""

    def submit(minute=0, text="answer"):
        _, attempt = begin(minute)
        with store.hold_anyones_attempt(attempt_id=attempt.id) as held:
            return held.submit(text=text, at=at(minute + 1), by=Submitter.CANDIDATE).id

    return submit


@pytest.fixture
def claim(store, at):
    def claim(minute, limit=10):
        return [answer.answer_id for answer in store.claim_answers(limit=limit, now=at(minute), lease=LEASE)]

    return claim


def save(store, answer_id, moment, score=70.0, kind="coverage"):
    return store.save_grade(
        answer_id, kind=kind, model="m", version="1", score=score, verdicts=VERDICTS, flags=["short"], now=moment
    )


def test_a_submitted_answer_waits_with_all_that_a_grader_needs(store, submit):
    answer_id = submit(text="24×24 patches")
    (waiting,) = store.ungraded_answers()
    assert (waiting.answer_id, waiting.question_id, waiting.text) == (answer_id, "q01", "24×24 patches")
    assert store.latest_grade(answer_id).state is GradeState.PENDING


def test_the_oldest_answers_are_claimed_first(submit, claim):
    second, first = submit(minute=2), submit(minute=1)
    assert claim(5, limit=1) == [first]
    assert claim(5, limit=1) == [second]


def test_two_workers_never_claim_the_same_answer(submit, claim):
    answers = {submit(minute) for minute in range(6)}
    together = threading.Barrier(4)

    def work(_):
        together.wait()
        return claim(10, limit=3)

    with ThreadPoolExecutor(4) as threads:
        claims = [answer for batch in threads.map(work, range(4)) for answer in batch]
    claims += claim(10)
    assert sorted(claims) == sorted(answers)


def test_what_a_dead_worker_held_is_claimed_again_after_its_lease(store, submit, claim, at):
    answer_id = submit()
    assert claim(1) == [answer_id]
    assert claim(2) == []
    (again,) = store.claim_answers(limit=1, now=at(3), lease=LEASE)
    assert (again.answer_id, again.tries) == (answer_id, 2)


def test_an_answer_is_not_claimed_before_it_is_submitted(submit, claim):
    submit(minute=4)
    assert claim(4) == []


def test_a_grade_comes_back_as_it_was_given(store, submit, claim, at):
    answer_id = submit()
    claim(1)
    store.save_grade(
        answer_id,
        kind="llm",
        model="a-model",
        version="2",
        score=66.5,
        verdicts=VERDICTS,
        gate={"gate": "keyword salad"},
        flags=["short", "code"],
        seconds=1.5,
        now=at(2),
    )
    grade = store.latest_grade(answer_id)
    assert (grade.state, grade.kind, grade.model, grade.version) == (GradeState.GRADED, "llm", "a-model", "2")
    assert (grade.score, grade.seconds, grade.flags) == (66.5, 1.5, ("short", "code"))
    assert (grade.verdicts, grade.gate) == (tuple(VERDICTS), {"gate": "keyword salad"})
    assert (grade.graded_at, grade.tries) == (at(2), 1)
    assert grade.verdict_on("grid")["quote"] == "24×24"
    assert grade.verdict_on("projector") == {}


def test_a_graded_answer_is_claimed_no_more(store, submit, claim, at):
    answer_id = submit()
    claim(1)
    save(store, answer_id, at(2))
    assert claim(60) == []
    assert store.ungraded_answers() == []


def test_a_grader_that_cannot_tell_gives_no_score(store, submit, at):
    answer_id = submit()
    save(store, answer_id, at(2), score=None)
    grade = store.latest_grade(answer_id)
    assert (grade.state, grade.score) == (GradeState.GRADED, None)


def test_a_failed_grading_is_due_again_when_it_was_said(store, submit, claim, at):
    answer_id = submit()
    claim(1)
    store.save_grade_failure(answer_id, error="timeout", retry_at=at(10))
    grade = store.latest_grade(answer_id)
    assert (grade.state, grade.error, grade.score) == (GradeState.PENDING, "timeout", None)
    assert claim(9) == []
    assert claim(10) == [answer_id]


def test_a_grade_after_a_failure_has_no_error(store, submit, at):
    answer_id = submit()
    store.save_grade_failure(answer_id, error="timeout", retry_at=at(10))
    assert save(store, answer_id, at(11)).error is None


def test_a_grading_that_is_given_up_waits_for_a_request(store, submit, claim, at):
    answer_id = submit()
    store.save_grade_failure(answer_id, error="refused", retry_at=None)
    assert store.latest_grade(answer_id).state is GradeState.FAILED
    assert claim(60) == []
    store.request_grade(answer_id, now=at(61))
    assert claim(61) == [answer_id]


def test_an_answer_is_graded_again_and_the_old_grade_stays(store, submit, claim, at):
    answer_id = submit()
    save(store, answer_id, at(2), score=40.0)
    store.request_grade(answer_id, now=at(3))
    assert store.latest_grade(answer_id).score == 40.0
    assert claim(3) == [answer_id]
    save(store, answer_id, at(4), score=55.0, kind="llm")
    assert [(grade.score, grade.kind) for grade in store.grades(answer_id)] == [(40.0, "coverage"), (55.0, "llm")]
    assert store.latest_grade(answer_id).score == 55.0


def test_a_second_request_while_one_waits_adds_nothing(store, submit, at):
    answer_id = submit()
    store.request_grade(answer_id, now=at(2))
    store.request_grade(answer_id, now=at(3))
    assert len(store.grades(answer_id)) == 1


def test_the_list_shows_the_grade_that_the_answer_itself_shows(store, candidate, submit, at):
    answer_id = submit()
    save(store, answer_id, at(2), score=40.0)
    store.request_grade(answer_id, now=at(3))
    (record,) = store.attempts(user_id=candidate)
    assert record.grade == store.latest_grade(answer_id)


@pytest.mark.parametrize(
    "act",
    [
        lambda store, at: save(store, "0" * 32, at()),
        lambda store, at: store.request_grade("0" * 32, now=at()),
        lambda store, at: store.save_grade_failure("0" * 32, error="x", retry_at=None),
    ],
    ids=["grade", "request", "failure"],
)
def test_an_unknown_answer_is_not_found(store, at, act):
    with pytest.raises(NotFound):
        act(store, at)
