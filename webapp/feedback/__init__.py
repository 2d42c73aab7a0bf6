"""Feedback: the gate, the graders, what they find, and the worker that lets them grade stored answers."""

from webapp.feedback.card import GraderCard, describe
from webapp.feedback.coverage import CoverageGrader
from webapp.feedback.gate import gate
from webapp.feedback.grading import UnknownQuestion, grade, grade_with, lint_grading
from webapp.feedback.measured import Figure, load_results
from webapp.feedback.quote import check_quote
from webapp.feedback.verdict import (
    CriterionVerdict,
    Feedback,
    Findings,
    Flag,
    Gate,
    Grader,
    GraderName,
    Verdict,
)
from webapp.feedback.worker import Worker

__all__ = [
    "CoverageGrader",
    "CriterionVerdict",
    "Feedback",
    "Figure",
    "Findings",
    "Flag",
    "Gate",
    "Grader",
    "GraderCard",
    "GraderName",
    "UnknownQuestion",
    "Verdict",
    "Worker",
    "check_quote",
    "describe",
    "gate",
    "grade",
    "grade_with",
    "lint_grading",
    "load_results",
]
