"""Review: what interviewers see of submitted attempts."""

from webapp.review.attempts import AttemptReview, CriterionVerdict, QueueItem, attempt, queue, release

__all__ = ["AttemptReview", "CriterionVerdict", "QueueItem", "attempt", "queue", "release"]
