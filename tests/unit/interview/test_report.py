import pytest

from webapp.interview import (
    FeedbackState,
    Mode,
    NotFound,
    NotSubmitted,
    end,
    home,
    open_next,
    report,
    start,
    submit,
    take_hint,
)

SECRETS = ("says projector", "The model answer.", "it is said")


@pytest.fixture
def submit_in(store, catalog, candidate, at):
    def submit_in(session):
        return submit(
            store,
            catalog,
            user_id=candidate,
            attempt_id=session.attempt_id,
            text="the projector",
            revision=0,
            now=at(minutes=6),
        )

    return submit_in


@pytest.fixture
def grade(store, candidate):
    def grade(session, score=60.0):
        answer = store.attempt(user_id=candidate, attempt_id=session.attempt_id).answer
        verdict = {"criterion": "projector", "verdict": "met", "quote": "the projector", "start": 0, "end": 13}
        store.save_grade(
            answer.id,
            kind="coverage",
            model="static embeddings",
            version="1",
            score=score,
            verdicts=[{**verdict, "reason": "it is said"}],
        )

    return grade


@pytest.fixture
def read(store, catalog, candidate, at):
    def read(session, user_id=candidate):
        return report(store, catalog, user_id=user_id, attempt_id=session.attempt_id, now=at(minutes=7))

    return read


def test_an_open_attempt_has_no_report(practice, read):
    with pytest.raises(NotSubmitted):
        read(practice)


def test_another_persons_report_is_not_found(practice, submit_in, read, stranger):
    submit_in(practice)
    with pytest.raises(NotFound):
        read(practice, user_id=stranger)


def test_a_practice_shows_answer_model_answer_and_criteria_at_once(practice, submit_in, read):
    submit_in(practice)
    view = read(practice)
    assert (view.answer, view.model_answer, view.state) == (
        "the projector",
        "The model answer.",
        FeedbackState.WAITING,
    )
    assert [(line.criterion.id, line.verdict) for line in view.criteria] == [("projector", None), ("grid", None)]


def test_a_graded_practice_shows_each_criterions_verdict(practice, submit_in, grade, read):
    submit_in(practice)
    grade(practice)
    view = read(practice)
    assert (view.state, view.score, view.grader_kind, view.grader_version) == ("graded", 60.0, "coverage", "1")
    projector, grid = view.criteria
    assert (projector.verdict, projector.quote, projector.reason) == ("met", "the projector", "it is said")
    assert view.answer[projector.start : projector.end] == projector.quote
    assert (grid.verdict, grid.quote) == (None, "")


@pytest.mark.parametrize(("score", "points"), [(60.0, 55.0), (3.0, 0.0)])
def test_hints_cost_points_and_leave_the_graders_score(
    store, catalog, candidate, practice, submit_in, grade, read, at, score, points
):
    take_hint(store, catalog, user_id=candidate, attempt_id=practice.attempt_id, number=1, now=at())
    submit_in(practice)
    grade(practice, score)
    view = read(practice)
    assert (view.score, view.hint_cost, view.points) == (score, 5, points)
    assert [hint.text for hint in view.hints] == ["First hint"]


def test_a_grading_that_was_given_up_says_so_and_has_no_score(store, candidate, practice, submit_in, read):
    submit_in(practice)
    answer = store.attempt(user_id=candidate, attempt_id=practice.attempt_id).answer
    store.save_grade_failure(answer.id, error="the endpoint refused", retry_at=None)
    view = read(practice)
    assert (view.state, view.score, view.grade.error) == (FeedbackState.FAILED, None, "the endpoint refused")


def test_an_assessment_shows_nothing_until_it_is_released(assessment, submit_in, grade, read):
    submit_in(assessment)
    grade(assessment)
    view = read(assessment)
    assert (view.state, view.answer) == (FeedbackState.NOT_RELEASED, "the projector")
    assert (view.score, view.points, view.grade, view.criteria, view.model_answer) == (None, None, None, (), None)
    assert not any(secret in repr(view) for secret in SECRETS)


def test_a_released_assessment_shows_all(store, assessment, submit_in, grade, read, at):
    submit_in(assessment)
    grade(assessment)
    store.release_session(session_id=assessment.session_id, at=at(minutes=30))
    view = read(assessment)
    assert (view.state, view.score) == (FeedbackState.GRADED, 60.0)
    assert all(secret in repr(view) for secret in SECRETS)


def test_a_practice_beside_an_assessment_does_not_give_its_answers(
    store, catalog, candidate, practice, assessment, submit_in, read, at
):
    submit_in(practice)
    view = read(practice)
    assert view.state is FeedbackState.ASSESSMENT_UNDERWAY
    assert not any(secret in repr(view) for secret in SECRETS)
    end(store, catalog, user_id=candidate, session_id=assessment.session_id, now=at(minutes=6))
    assert read(practice).model_answer == "The model answer."


def test_a_report_outlives_its_question(store, catalog, candidate, practice, submit_in, at):
    submit_in(practice)
    later = catalog.model_copy(update={"questions": {"t02": catalog.questions["t02"]}})
    view = report(store, later, user_id=candidate, attempt_id=practice.attempt_id, now=at(minutes=7))
    assert (view.title, view.answer, view.criteria, view.model_answer) == ("t01", "the projector", (), None)


def test_home_leads_back_to_an_open_attempt(store, catalog, candidate, practice, at):
    (unfinished,) = home(store, catalog, user_id=candidate, now=at(minutes=5)).unfinished
    assert (unfinished.attempt.attempt_id, unfinished.attempt.seconds_left) == (practice.attempt_id, 15 * 60)
    assert (unfinished.done, unfinished.count) == (0, 2)


def test_home_shows_a_session_between_two_questions(store, catalog, candidate, practice, submit_in, at):
    submit_in(practice)
    (unfinished,) = home(store, catalog, user_id=candidate, now=at(minutes=7)).unfinished
    assert (unfinished.attempt, unfinished.done, unfinished.session_id) == (None, 1, practice.session_id)
    open_next(store, catalog, user_id=candidate, session_id=practice.session_id, now=at(minutes=8))
    (unfinished,) = home(store, catalog, user_id=candidate, now=at(minutes=9)).unfinished
    assert (unfinished.attempt.position, unfinished.done) == (2, 1)


def test_home_lists_past_attempts_newest_first(store, catalog, candidate, practice, submit_in, grade, at):
    submit_in(practice)
    grade(practice)
    second = start(store, catalog, user_id=candidate, question_ids=["t02"], mode=Mode.ASSESSMENT, now=at(minutes=1))
    submit_in(second)
    newest, oldest = home(store, catalog, user_id=candidate, now=at(minutes=7)).past
    assert (newest.title, newest.state, newest.score) == ("Title of t02", FeedbackState.NOT_RELEASED, None)
    assert (oldest.title, oldest.score, oldest.grader_kind) == ("Title of t01", 60.0, "coverage")
    assert (oldest.seconds_used, oldest.seconds_allowed) == (6 * 60, 20 * 60)


def test_home_shows_nothing_of_others(store, catalog, stranger, practice, submit_in, at):
    submit_in(practice)
    view = home(store, catalog, user_id=stranger, now=at(minutes=7))
    assert (view.unfinished, view.past) == ((), ())


def test_every_grade_of_a_practice_can_be_shown(store, catalog, candidate, practice, submit_in, grade, at):
    submit_in(practice)
    grade(practice, 40.0)
    grade(practice, 60.0)
    who = {"user_id": candidate, "attempt_id": practice.attempt_id, "now": at(minutes=7)}
    newest = report(store, catalog, **who)
    assert (newest.score, [grading.score for grading in newest.gradings]) == (60.0, [60.0, 40.0])
    assert report(store, catalog, **who, grade_id=newest.gradings[1].id).score == 40.0
    assert report(store, catalog, **who, grade_id="no such grade").score == 60.0


def test_an_assessment_lists_no_grades_until_it_is_released(assessment, submit_in, grade, read):
    submit_in(assessment)
    grade(assessment)
    assert (read(assessment).gradings, read(assessment).shown) == ((), False)
