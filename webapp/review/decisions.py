"""An interviewer's verdicts on an attempt, beside the grader's."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from content import Catalog
from webapp.review.attempts import attempt
from webapp.store import ReviewedVerdict, Store

LONGEST_REASON = 2_000  # characters


class BadDecision(Exception):
    """Verdicts that can't be kept: of another rubric, of no known kind, or with too long a reason."""


class ReasonMissing(Exception):
    """A verdict differs from the grader's and says no reason; `criteria` are the texts of those concerned."""

    def __init__(self, criteria: tuple[str, ...]) -> None:
        self.criteria = criteria
        super().__init__("; ".join(criteria))


class Decision(NamedTuple):
    """What an interviewer chose for a criterion; an empty verdict leaves the criterion undecided."""

    verdict: str
    reason: str = ""


def decide(
    store: Store,
    catalog: Catalog,
    *,
    attempt_id: str,
    reviewer_id: str,
    decisions: Mapping[str, Decision],
    now: datetime,
) -> None:
    """Keep an interviewer's verdicts on a submitted attempt; the grader's stay beside them.

    Raises:
        NotFound: There is no such submitted attempt.
        BadDecision: A verdict isn't one, or isn't of this rubric.
        ReasonMissing: A verdict differs from the grader's without a reason.
    """
    lines = {line.criterion.id: line for line in attempt(store, catalog, attempt_id).criteria}
    made = {name: decision for name, decision in decisions.items() if decision.verdict}
    if set(made) - set(lines) or any(len(decision.reason) > LONGEST_REASON for decision in made.values()):
        raise BadDecision(attempt_id)
    overrides = [
        lines[name].criterion.text
        for name, decision in made.items()
        if lines[name].verdict not in (None, decision.verdict) and not decision.reason.strip()
    ]
    if overrides:
        raise ReasonMissing(tuple(overrides))
    try:
        verdicts = [
            ReviewedVerdict.model_validate({"criterion": name, "verdict": d.verdict, "reason": d.reason.strip()})
            for name, d in made.items()
        ]
    except ValidationError:
        raise BadDecision(attempt_id) from None
    store.ensure_guest(reviewer_id)
    store.add_review(attempt_id=attempt_id, reviewer_id=reviewer_id, verdicts=verdicts, now=now)
