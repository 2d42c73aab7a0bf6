import pytest

from webapp.store import NotFound, ReviewedVerdict, Submitter


def verdicts(**made):
    return [ReviewedVerdict(criterion=name, verdict=verdict) for name, verdict in made.items()]


@pytest.fixture
def attempt_id(store, begin, at):
    """A submitted attempt."""
    _, attempt = begin(0)
    with store.hold_anyones_attempt(attempt_id=attempt.id) as held:
        held.submit(text="an answer", at=at(1), by=Submitter.CANDIDATE)
    return attempt.id


def test_the_newest_review_of_an_attempt_counts(store, attempt_id, at):
    reviewer = store.local_user().id
    for minute, verdict in ((2, "met"), (3, "unmet")):
        store.add_review(attempt_id=attempt_id, reviewer_id=reviewer, verdicts=verdicts(grid=verdict), now=at(minute))
    (review,) = store.newest_reviews()
    assert (review.answer, review.created_at) == ("an answer", at(3))
    assert [(v.criterion, v.verdict) for v in review.verdicts] == [("grid", "unmet")]
    assert store.newest_reviews(attempt_id) == [review]
    assert store.newest_reviews("0" * 32) == []


def test_an_attempt_that_is_not_submitted_takes_no_review(store, begin, at):
    _, attempt = begin(0)
    with pytest.raises(NotFound):
        store.add_review(attempt_id=attempt.id, reviewer_id=store.local_user().id, verdicts=verdicts(), now=at(1))
