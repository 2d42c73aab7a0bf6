"""Reviews: what interviewers decided on submitted attempts. Old ones stay."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select

from webapp.store.database import Database
from webapp.store.errors import NotFound
from webapp.store.records import ReviewedAnswer
from webapp.store.tables import Answer, Attempt, Review, ReviewedVerdict


class Reviews(Database):
    """The store's reviews."""

    def add_review(
        self, *, attempt_id: str, reviewer_id: str, verdicts: Sequence[ReviewedVerdict], now: datetime
    ) -> None:
        """Keep an interviewer's verdicts on a submitted attempt; NotFound if there is none."""
        submitted = select(Answer.id).where(Answer.attempt_id == attempt_id)
        with self._writing() as database:
            if database.exec(submitted).first() is None:
                raise NotFound(f"attempt {attempt_id}")
            database.add(
                Review(attempt_id=attempt_id, reviewer_id=reviewer_id, verdicts=tuple(verdicts), created_at=now)
            )

    def newest_reviews(self, attempt_id: str | None = None) -> list[ReviewedAnswer]:
        """Return the newest review of each attempt, or of one, oldest first."""
        query = (
            select(Review, Answer, Attempt)
            .join(Attempt, col(Attempt.id) == Review.attempt_id)
            .join(Answer, col(Answer.attempt_id) == Attempt.id)
            .order_by(col(Review.created_at), col(Review.id))
        )
        if attempt_id is not None:
            query = query.where(Review.attempt_id == attempt_id)
        with self._reading() as database:
            newest = {
                attempt.id: ReviewedAnswer(
                    attempt_id=attempt.id,
                    question_id=attempt.question_id,
                    answer=answer.text,
                    reviewer_id=review.reviewer_id,
                    verdicts=review.verdicts,
                    created_at=review.created_at,
                )
                for review, answer, attempt in database.exec(query)
            }
        return sorted(newest.values(), key=lambda review: review.created_at)
