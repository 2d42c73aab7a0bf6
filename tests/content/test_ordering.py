"""The rubrics tell good answers from bad ones, under the embedded grader that every installation has."""

from pathlib import Path

import pytest
import yaml

import content
from content import lint_packs
from webapp.feedback import CoverageGrader, Feedback, grade_with, lint_grading

HERE = Path(__file__).parent
QUESTIONS = content.load_catalog().questions
ANSWERS = {path.stem: yaml.safe_load(path.read_text())["answers"] for path in sorted(HERE.glob("q*.yaml"))}


@pytest.fixture(scope="module")
def grader() -> CoverageGrader:
    return CoverageGrader()


@pytest.fixture(scope="module")
def feedback(grader: CoverageGrader) -> dict[str, dict[str, Feedback]]:
    return {
        question_id: {quality: grade_with(grader, QUESTIONS[question_id], text) for quality, text in answers.items()}
        for question_id, answers in ANSWERS.items()
    }


@pytest.mark.parametrize(("better", "worse"), [("staff", "senior"), ("senior", "weak"), ("senior", "fluent_wrong")])
@pytest.mark.parametrize("question_id", ANSWERS)
def test_a_better_answer_scores_higher(feedback: dict, question_id: str, better: str, worse: str) -> None:
    answers = feedback[question_id]
    assert answers[better].score > answers[worse].score


@pytest.mark.parametrize("question_id", ANSWERS)
def test_no_gate_stops_an_honest_answer(feedback: dict, question_id: str) -> None:
    assert {quality: found.gate for quality, found in feedback[question_id].items() if found.gate} == {}


@pytest.mark.parametrize("question_id", ANSWERS)
def test_well_written_errors_earn_less_than_half_of_a_sound_answer(feedback: dict, question_id: str) -> None:
    answers = feedback[question_id]
    assert answers["fluent_wrong"].score < answers["senior"].score / 2


def test_the_shipped_packs_pass_the_lint_with_the_embedded_grader() -> None:
    assert [str(problem) for problem in lint_packs(grade=lint_grading)] == []
