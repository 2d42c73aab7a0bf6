import pytest

from webapp import review
from webapp.interview import FeedbackState, Submitter, report, save_draft, settle_overdue, submit
from webapp.store import GradeState, NotFound


@pytest.fixture
def submitted(store, catalog, candidate, assessment, at):
    """An assessment's attempt, submitted after two drafts."""
    who = {"user_id": candidate, "attempt_id": assessment.attempt_id}
    save_draft(store, **who, text="the", revision=0, now=at(minutes=1))
    submit(store, catalog, **who, text="the projector", revision=1, now=at(minutes=9))
    return assessment


def test_the_queue_shows_what_was_submitted(store, catalog, candidate, submitted):
    (item,) = review.queue(store, catalog)
    assert (item.attempt_id, item.title, item.mode) == (submitted.attempt_id, "Title of t01", "assessment")
    assert candidate.startswith(item.candidate)
    assert (item.seconds_used, item.seconds_allowed) == (9 * 60, 20 * 60)
    assert (item.state, item.score) == (GradeState.PENDING, None)


def test_an_open_attempt_is_neither_in_the_queue_nor_to_be_seen(store, catalog, practice):
    assert review.queue(store, catalog) == []
    with pytest.raises(NotFound):
        review.attempt(store, catalog, practice.attempt_id)


def test_the_newest_submission_comes_first(store, catalog, submitted, practice, at):
    settle_overdue(store, now=at(minutes=30))
    newest, oldest = review.queue(store, catalog)
    assert (newest.attempt_id, newest.submitted_by) == (practice.attempt_id, Submitter.DEADLINE)
    assert oldest.attempt_id == submitted.attempt_id


def decided(store, catalog, submitted, reviewer, at, **verdicts):
    decisions = {name: review.Decision(*made) for name, made in verdicts.items()}
    who = {"attempt_id": submitted.attempt_id, "reviewer_id": reviewer}
    review.decide(store, catalog, **who, decisions=decisions, now=at(minutes=40))
    return [
        (line.decided, line.decided_reason) for line in review.attempt(store, catalog, submitted.attempt_id).criteria
    ]


@pytest.fixture
def graded(store, candidate, submitted):
    """The submitted attempt, on which the grader found nothing."""
    answer = store.attempt(user_id=candidate, attempt_id=submitted.attempt_id).answer
    verdicts = [{"criterion": name, "verdict": "unmet", "quote": "", "reason": ""} for name in ("projector", "grid")]
    store.save_grade(answer.id, kind="coverage", model="m", version="1", score=0.0, verdicts=verdicts)
    return submitted


def test_an_interviewers_verdict_stands_beside_the_graders(store, catalog, graded, candidate, at):
    made = decided(store, catalog, graded, candidate, at, projector=("met", "said in the first line"), grid=("unmet",))
    assert made == [("met", "said in the first line"), ("unmet", "")]
    seen = review.attempt(store, catalog, graded.attempt_id)
    assert [line.verdict for line in seen.criteria] == ["unmet", "unmet"]
    assert seen.reviewed_at == at(minutes=40)


def test_a_verdict_against_the_graders_needs_a_reason(store, catalog, graded, candidate, at):
    with pytest.raises(review.ReasonMissing, match="says projector"):
        decided(store, catalog, graded, candidate, at, projector=("met", " "), grid=("unmet",))
    assert store.newest_reviews() == []


def test_what_is_left_undecided_stays_undecided(store, catalog, graded, candidate, at):
    assert decided(store, catalog, graded, candidate, at, projector=("",), grid=("unmet",)) == [
        (None, ""),
        ("unmet", ""),
    ]


@pytest.mark.parametrize("wrong", [{"colour": ("met", "x")}, {"grid": ("perhaps", "x")}, {"grid": ("met", "x" * 2001)}])
def test_a_verdict_that_is_none_or_of_another_rubric_is_refused(store, catalog, graded, candidate, at, wrong):
    with pytest.raises(review.BadDecision):
        decided(store, catalog, graded, candidate, at, **wrong)


def test_an_attempt_that_is_still_open_takes_no_verdicts(store, catalog, practice, candidate, at):
    with pytest.raises(NotFound):
        decided(store, catalog, practice, candidate, at, grid=("met", "x"))


def test_a_review_shows_answer_verdicts_facts_and_how_it_came_about(store, catalog, submitted, candidate, at):
    answer = store.attempt(user_id=candidate, attempt_id=submitted.attempt_id).answer
    verdict = {"criterion": "grid", "verdict": "unmet", "quote": "", "reason": "not found"}
    for score in (40.0, 45.0):
        store.save_grade(answer.id, kind="coverage", model="m", version="1", score=score, verdicts=[verdict])
    store.add_run(user_id=candidate, attempt_id=submitted.attempt_id, kind="sweep", settings={}, figures={})
    seen = review.attempt(store, catalog, submitted.attempt_id)
    assert (seen.answer, seen.drafts, [run.kind for run in seen.runs]) == ("the projector", 2, ["sweep"])
    assert [(line.criterion.id, line.verdict, line.reason) for line in seen.criteria] == [
        ("projector", None, ""),
        ("grid", "unmet", "not found"),
    ]
    assert seen.question.facts[0].answer == "336 pixels"
    assert (seen.state, seen.score, [grade.score for grade in seen.grades]) == ("graded", 45.0, [40.0, 45.0])


def test_a_review_outlives_its_question(store, catalog, submitted):
    later = catalog.model_copy(update={"questions": {}})
    seen = review.attempt(store, later, submitted.attempt_id)
    assert (seen.title, seen.question, seen.criteria, seen.answer) == ("t01", None, (), "the projector")


def test_releasing_a_session_shows_the_candidate_the_feedback(store, catalog, submitted, candidate, at):
    def state():
        who = {"user_id": candidate, "attempt_id": submitted.attempt_id}
        return report(store, catalog, **who, now=at(minutes=30)).state

    assert state() is FeedbackState.NOT_RELEASED
    review.release(store, session_id=submitted.session_id, now=at(minutes=29))
    assert state() is FeedbackState.WAITING
    assert review.queue(store, catalog)[0].released


def test_an_answer_whose_readings_differ_comes_first(store, catalog, submitted, practice, candidate, at):
    answer = store.attempt(user_id=candidate, attempt_id=submitted.attempt_id).answer
    verdict = {"criterion": "grid", "verdict": "cannot_assess", "quote": None, "reason": "differ", "uncertain": True}
    store.save_grade(answer.id, kind="llm", model="m", version="1", score=0.0, verdicts=[verdict], flags=["uncertain"])
    settle_overdue(store, now=at(minutes=30))
    first, second = review.queue(store, catalog)
    assert (first.attempt_id, first.uncertain) == (submitted.attempt_id, 1)
    assert (second.attempt_id, second.uncertain) == (practice.attempt_id, 0)


def test_an_answer_can_be_graded_again_and_keeps_its_grade_meanwhile(store, catalog, submitted, candidate, at):
    answer = store.attempt(user_id=candidate, attempt_id=submitted.attempt_id).answer
    store.save_grade(answer.id, kind="coverage", model="m", version="1", score=40.0, verdicts=[])
    review.grade_again(store, attempt_id=submitted.attempt_id, now=at(minutes=20))
    assert [waiting.answer_id for waiting in store.ungraded_answers()] == [answer.id]
    seen = review.attempt(store, catalog, submitted.attempt_id)
    assert (seen.score, [grade.state for grade in seen.grades]) == (40.0, ["graded", "pending"])


def test_a_grade_by_the_candidates_own_model_is_not_the_reviews(store, catalog, submitted, candidate):
    answer = store.attempt(user_id=candidate, attempt_id=submitted.attempt_id).answer
    for kind, score in (("llm", 40.0), ("own_llm", 100.0)):
        store.save_grade(answer.id, kind=kind, model="m", version="1", score=score, verdicts=[])
    seen = review.attempt(store, catalog, submitted.attempt_id)
    assert (seen.score, seen.grader_kind, len(seen.grades)) == (40.0, "llm", 2)
