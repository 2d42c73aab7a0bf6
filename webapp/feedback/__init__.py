"""Feedback: the gate, the graders, what they find, and the worker that lets them grade stored answers."""

from webapp.feedback.card import GraderCard, describe
from webapp.feedback.coverage import CoverageGrader
from webapp.feedback.gate import gate
from webapp.feedback.grading import UnknownQuestion, estimate, grade, grade_with, lint_grading
from webapp.feedback.host import Health, HostGrader
from webapp.feedback.llm import (
    Client,
    Endpoint,
    EndpointRefuses,
    GraderAway,
    LlmGrader,
    LlmSettings,
    MemoryLog,
    NotPublic,
    Progress,
)
from webapp.feedback.measured import Figure, load_results
from webapp.feedback.own import OwnModelRefused, OwnModels, OwnReading, new_visit
from webapp.feedback.quote import check_quote
from webapp.feedback.scripted import ScriptedGrader, ScriptOver
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
from webapp.feedback.worker import Worker, save_feedback

__all__ = [
    "Client",
    "CoverageGrader",
    "CriterionVerdict",
    "Endpoint",
    "EndpointRefuses",
    "Feedback",
    "Figure",
    "Findings",
    "Flag",
    "Gate",
    "Grader",
    "GraderAway",
    "GraderCard",
    "GraderName",
    "Health",
    "HostGrader",
    "LlmGrader",
    "LlmSettings",
    "MemoryLog",
    "NotPublic",
    "OwnModelRefused",
    "OwnModels",
    "OwnReading",
    "Progress",
    "ScriptOver",
    "ScriptedGrader",
    "UnknownQuestion",
    "Verdict",
    "Worker",
    "check_quote",
    "describe",
    "estimate",
    "gate",
    "grade",
    "grade_with",
    "lint_grading",
    "load_results",
    "new_visit",
    "save_feedback",
]
