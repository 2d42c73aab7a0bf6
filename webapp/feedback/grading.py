"""Grading: the gate first, then a grader, then the check of its quotes and the sum of its weights."""

from functools import cache

from content import Grading, Question, load_catalog
from webapp.feedback.gate import gate
from webapp.feedback.host import HostGrader, coverage_grader
from webapp.feedback.llm import LlmSettings, Progress
from webapp.feedback.llm.grader import unwatched
from webapp.feedback.verdict import Feedback, Grader, Verdict, gated, settle


class UnknownQuestion(KeyError):
    """No pack has a question of that id."""

    def __str__(self) -> str:
        return f"no question {self.args[0]!r} in the packs"


@cache
def default_host() -> HostGrader:
    """Return the grader that the environment names."""
    return HostGrader(LlmSettings())


def grade(question_id: str, answer: str, progress: Progress = unwatched) -> Feedback:
    """Return the feedback on an answer to one of the catalog's questions, by the grader that the environment names.

    Raises:
        UnknownQuestion: There is no question of that id.
        GraderAway: A language model is to grade, and doesn't answer now.
    """
    try:
        question = load_catalog().questions[question_id]
    except KeyError:
        raise UnknownQuestion(question_id) from None
    return grade_with(default_host().grader(progress=progress), question, answer)


def grade_with(grader: Grader, question: Question, answer: str) -> Feedback:
    """Return the feedback of a grader on an answer."""
    stopped = gate(question, answer)
    if stopped:
        return gated(question, grader, stopped)
    return settle(question, grader, grader.grade(question, answer), answer)


def estimate(question: Question, answer: str) -> Feedback:
    """Return the coverage grader's feedback, whichever grader the host has."""
    return grade_with(coverage_grader(), question, answer)


def lint_grading(question: Question, answer: str) -> Grading:
    """Return what the coverage grader makes of a model answer, as the packs' lint asks for it."""
    found = estimate(question, answer)
    met = frozenset(verdict.criterion for verdict in found.verdicts if verdict.verdict is Verdict.MET)
    return Grading(found.gate.sentence if found.gate else None, met)
