"""What a grader makes of a labelled set, and how far that agrees with the labels."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from content import Quality
from webapp.feedback.evaluation import baselines, statistics
from webapp.feedback.evaluation.attacks import LITTLE
from webapp.feedback.evaluation.labelled import LabelledAnswer, LabelledSet
from webapp.feedback.evaluation.statistics import Estimate, estimate
from webapp.feedback.grading import grade_with
from webapp.feedback.quote import check_quote
from webapp.feedback.verdict import Feedback, Grader, Verdict

SURE = {Verdict.MET: 1.0, Verdict.CANNOT_ASSESS: 0.5, Verdict.UNMET: 0.0}
NEAR = 15  # points of 100 within which a terse answer should stand of a solid one
Row = tuple[LabelledAnswer, Feedback]


@dataclass(frozen=True)
class Graded:
    """A set as a grader sees it.

    Attributes:
        labelled: The set.
        rows: Each answer with its feedback.
        seconds: What each answer took.
        again: The feedback of a second grading, None where there was none.
    """

    labelled: LabelledSet
    rows: Sequence[Row]
    seconds: Sequence[float]
    again: Sequence[Feedback] | None


def grade_set(
    grader: Grader, labelled: LabelledSet, *, retest: bool = True, progress: Callable[[int, int], None] | None = None
) -> Graded:
    """Grade every answer of a set, twice for a retest; errors of the grader are raised."""
    rows, seconds, again = [], [], []
    for number, answer in enumerate(labelled.answers, 1):
        started = perf_counter()
        feedback = grade_with(grader, answer.question, answer.text)
        seconds.append(perf_counter() - started)
        rows.append((answer, feedback))
        if retest:
            again.append(grade_with(grader, answer.question, answer.text))
        if progress:
            progress(number, len(labelled.answers))
    return Graded(labelled, rows, seconds, again if retest else None)


def measure(graded: Graded) -> dict[str, Any]:
    """Return every figure of a graded set, ready for JSON; figures that the labels don't allow are left out."""
    labelled, rows = graded.labelled, graded.rows
    return {
        "name": labelled.name,
        "about": labelled.about,
        "used_in_tuning": labelled.used_in_tuning,
        "answers": len(rows),
        "questions": len({answer.question.id for answer, _ in rows}),
        **figures(rows),
        "by_question": {name: figures(part, brief=True) for name, part in parts(rows, lambda a: a.question.id)},
        "by_stratum": {name: figures(part, brief=True) for name, part in parts(rows, lambda a: a.stratum)},
        "pairs": pairs(rows),
        "baselines": baseline_figures(labelled),
        "gates": dict(Counter(feedback.gate.reason for _, feedback in rows if feedback.gate)),
        "not_graded": sum(verdict.verdict is None for _, feedback in rows for verdict in feedback.verdicts),
        "quotes": quotes(rows),
        "retest": retest(graded),
        "milliseconds": {
            "median": 1000 * float(np.median(graded.seconds)),
            "p95": 1000 * float(np.quantile(graded.seconds, 0.95)),
        },
    }


def parts(rows: Sequence[Row], key: Callable[[LabelledAnswer], str]) -> Iterable[tuple[str, list[Row]]]:
    """Return the rows by a property of their answers, in the order in which it first occurs."""
    for name in dict.fromkeys(key(answer) for answer, _ in rows):
        yield name, [row for row in rows if key(row[0]) == name]


def figures(rows: Sequence[Row], *, brief: bool = False) -> dict[str, Any]:
    """Return the agreement of totals and of verdicts; `brief` is without intervals."""
    found: dict[str, Any] = {"mean_score": mean(feedback.score for _, feedback in rows), "count": len(rows)}
    if totals := total_figures(rows, brief):
        found["totals"] = totals
    if verdicts := verdict_figures(rows, brief):
        found["verdicts"] = verdicts
    return found


def total_figures(rows: Sequence[Row], brief: bool) -> dict[str, Any]:
    """Compare scores with what the answers deserve, or with the order of their qualities."""
    scored = [(answer, feedback) for answer, feedback in rows if feedback.score is not None]
    known = [(answer.true_total, answer, feedback) for answer, feedback in scored if answer.true_total is not None]
    found: dict[str, Any] = {}
    if len(known) > 1:
        truth, scores = [t for t, _, _ in known], [(f.score or 0) / 100 for _, _, f in known]
        where = [answer.question.id for _, answer, _ in known]
        errors = 100 * (np.array(scores) - np.array(truth, float))
        found = {
            "spearman": _estimate(statistics.spearman, truth, scores, where, brief),
            "pearson": _estimate(statistics.pearson, truth, scores, where, brief),
            "weighted_kappa": _estimate(statistics.weighted_kappa, truth, scores, where, brief),
            "mean_error": float(errors.mean()),
            "mean_absolute_error": float(np.abs(errors).mean()),
        }
        if not brief:
            found["pearson_within_question"] = within_questions(where, truth, scores)
    ranked = [(answer, feedback) for answer, feedback in scored if answer.quality]
    if len({answer.quality for answer, _ in ranked}) > 1:
        order = [float(answer.quality.rank) for answer, _ in ranked if answer.quality]
        where = [answer.question.id for answer, _ in ranked]
        scores = [float(feedback.score or 0) for _, feedback in ranked]
        found["spearman_of_quality"] = _estimate(statistics.spearman, order, scores, where, brief)
    return found


def verdict_figures(rows: Sequence[Row], brief: bool) -> dict[str, Any]:
    """Compare verdicts with the labels; 'cannot assess' counts as not met, and its share is given."""
    judged = [
        (answer.met[verdict.criterion], verdict, answer, number)
        for number, (answer, feedback) in enumerate(rows)
        for verdict in feedback.verdicts
        if verdict.criterion in answer.met and verdict.verdict is not None
    ]
    if not judged:
        return {}
    truth = [float(met) for met, _, _, _ in judged]
    said = [float(verdict.verdict is Verdict.MET) for _, verdict, _, _ in judged]
    sure = [SURE[v.verdict or Verdict.CANNOT_ASSESS] if v.coverage is None else v.coverage for _, v, _, _ in judged]
    where, which = [answer.question.id for _, _, answer, _ in judged], [number for *_, number in judged]
    hits = sum(t and s for t, s in zip(truth, said, strict=True))
    found: dict[str, Any] = {
        "count": len(judged),
        "met": sum(truth),
        "agreement": float(np.mean(np.equal(truth, said))),
        "precision": hits / sum(said) if any(said) else None,
        "recall": hits / sum(truth) if any(truth) else None,
        "cannot_assess": float(np.mean([v.verdict is Verdict.CANNOT_ASSESS for _, v, _, _ in judged])),
        "kappa": _estimate(statistics.kappa, truth, said, where, brief, which),
        "auc": _estimate(statistics.auc, truth, sure, where, brief, which),
    }
    if not brief:
        found["calibration_error"] = statistics.calibration_error(np.array(truth), np.clip(sure, 0, 1))
    return found


def pairs(rows: Sequence[Row]) -> dict[str, list[int]]:
    """Count in how many questions the scores of two qualities stand as they should: [right, of]."""
    scores: dict[str, dict[Quality, float]] = {}
    for answer, feedback in rows:
        if answer.quality and feedback.score is not None:
            scores.setdefault(answer.question.id, {})[answer.quality] = feedback.score
    rules: dict[str, tuple[Quality, Quality, Callable[[float, float], bool]]] = {
        "wrong below solid": (Quality.WRONG, Quality.SOLID, lambda wrong, solid: wrong < solid),
        "wrong below partial": (Quality.WRONG, Quality.PARTIAL, lambda wrong, partial: wrong < partial),
        "terse within 15 of solid": (Quality.TERSE, Quality.SOLID, lambda terse, solid: abs(terse - solid) <= NEAR),
        "strong above partial": (Quality.STRONG, Quality.PARTIAL, lambda strong, partial: strong > partial),
        "gaming at most 5": (Quality.GAMING, Quality.GAMING, lambda gaming, _: gaming <= LITTLE),
    }
    counted = {}
    for name, (first, second, holds) in rules.items():
        both = [found for found in scores.values() if first in found and second in found]
        if both:
            counted[name] = [sum(holds(found[first], found[second]) for found in both), len(both)]
    return counted


def baseline_figures(labelled: LabelledSet) -> dict[str, dict[str, float]]:
    """Return how far plain text similarity agrees with the totals, in the same way as the grader is measured."""
    rows = [answer for answer in labelled.answers if answer.true_total is not None]
    if len(rows) < 2:
        return {}
    truth, where = [float(answer.true_total or 0) for answer in rows], [answer.question.id for answer in rows]
    found = {}
    for name, values in baselines.similarities(labelled, rows).items():
        found[name] = {
            "spearman": statistics.spearman(np.array(truth), np.array(values)),
            "pearson": statistics.pearson(np.array(truth), np.array(values)),
            "pearson_within_question": within_questions(where, truth, values),
        }
    return found


def quotes(rows: Sequence[Row]) -> dict[str, int]:
    """Count the quotes that are shown, and those that stand in their answer verbatim."""
    shown = [(verdict.quote, answer.text) for answer, f in rows for verdict in f.verdicts if verdict.quote]
    return {"shown": len(shown), "verbatim": sum(check_quote(quote, text) is not None for quote, text in shown)}


def retest(graded: Graded) -> dict[str, float] | None:
    """Return the share of verdicts that a second grading repeats, and the mean difference of scores in points."""
    if graded.again is None:
        return None
    same, apart = [], []
    for (_, first), second in zip(graded.rows, graded.again, strict=True):
        same += [a.verdict is b.verdict for a, b in zip(first.verdicts, second.verdicts, strict=True)]
        if first.score is not None and second.score is not None:
            apart.append(abs(first.score - second.score))
    return {"same_verdicts": float(np.mean(same)), "mean_score_difference": float(np.mean(apart)) if apart else 0.0}


def within_questions(questions: Sequence[str], truth: Sequence[float], found: Sequence[float]) -> float:
    """Return the mean over questions of the correlation within each; NaN where no question's truth varies."""
    values = []
    for name in dict.fromkeys(questions):
        rows = [row for row, question in enumerate(questions) if question == name]
        values.append(statistics.pearson(np.array(truth, float)[rows], np.array(found, float)[rows]))
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are there, None of none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _estimate(
    statistic: Callable[[Any, Any], float],
    truth: Sequence[float],
    found: Sequence[float],
    questions: Sequence[str],
    brief: bool,
    answers: Sequence[int] | None = None,
) -> dict[str, float | None]:
    if brief:
        return Estimate(statistic(np.array(truth, float), np.array(found, float)))._asdict()
    return estimate(statistic, truth, found, questions, answers or range(len(truth)))._asdict()
