"""Review: what interviewers see of submitted attempts, and what they decide."""

from webapp.review.attempts import AttemptReview, CriterionVerdict, QueueItem, attempt, grade_again, queue, release
from webapp.review.decisions import BadDecision, Decision, ReasonMissing, decide

__all__ = [
    "AttemptReview",
    "BadDecision",
    "CriterionVerdict",
    "Decision",
    "QueueItem",
    "ReasonMissing",
    "attempt",
    "decide",
    "grade_again",
    "queue",
    "release",
]
