"""How good a grader is: labelled sets, figures of agreement, attacks, and where the figures are kept.

`evaluate` does it all for one grader. This package needs SciPy and scikit-learn and is not imported by the app's other
parts; the pages read finished results (`webapp.feedback.measured`).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from content import Question
from webapp.feedback.coverage import CoverageGrader
from webapp.feedback.evaluation.attacks import attack, by_family
from webapp.feedback.evaluation.labelled import LabelledAnswer, LabelledSet
from webapp.feedback.evaluation.measurement import grade_set, measure
from webapp.feedback.evaluation.outside import outside_sets
from webapp.feedback.evaluation.sets import pack_set, reviewers_set
from webapp.feedback.verdict import Grader

__all__ = [
    "LabelledAnswer",
    "LabelledSet",
    "attack",
    "evaluate",
    "grade_set",
    "measure",
    "outside_sets",
    "pack_set",
    "reviewers_set",
]


def evaluate(
    grader: Grader,
    sets: Sequence[LabelledSet],
    *,
    attacked: Iterable[Question] = (),
    retest: bool = True,
    progress: Callable[[str, int, int], None] = lambda name, done, of: None,
) -> dict[str, Any]:
    """Return every figure of a grader, ready for `save_result`.

    Args:
        grader: The grader.
        sets: What it is measured on.
        attacked: The questions on which every attack is tried.
        retest: Whether every answer is graded a second time.
        progress: Told the set's name, how many answers are done, and of how many.
    """
    measured = []
    for labelled in sets:
        graded = grade_set(
            for_bank(grader, labelled),
            labelled,
            retest=retest,
            progress=lambda done, of, name=labelled.name: progress(name, done, of),  # type: ignore[misc]
        )
        measured.append(measure(graded))
    lines = attack(grader, attacked)
    return {
        "grader": {"kind": grader.kind, "model": grader.model, "version": grader.version},
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sets": measured,
        "attacks": {"families": by_family(lines), "attacks": lines} if lines else None,
    }


def for_bank(grader: Grader, labelled: LabelledSet) -> Grader:
    """Return a coverage grader that counts rare words over the set's own questions; other graders as they are."""
    if isinstance(grader, CoverageGrader) and labelled.bank is not None:
        return CoverageGrader(bank=labelled.bank)
    return grader
