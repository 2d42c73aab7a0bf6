from pathlib import Path

import pytest

import content


@pytest.fixture
def sheet(pack: Path) -> str:
    return content.show(content.read_catalog([pack]).questions["t01"])


def test_a_sheet_holds_every_text_of_a_question(pack: Path, sheet: str) -> None:
    question = content.read_catalog([pack]).questions["t01"]
    for criterion in question.criteria:
        for text in (criterion.text, criterion.probe, *criterion.examples, *criterion.misconceptions):
            assert text in sheet
    for text in (
        question.statement,
        *(part.text for part in question.model_answer),
        *(hint.text for hint in question.hints),
        *(fact.answer for fact in question.facts),
        *(follow_up.ask for follow_up in question.follow_ups),
        *(source.ref for source in question.sources),
        question.exercise.statement,
        question.exercise.starter or "",
    ):
        assert text in sheet


def test_a_sheet_says_what_passes_at_each_level(sheet: str) -> None:
    assert "- Senior: 80% of core, 50% of depth" in sheet


def test_a_sheet_links_the_model_answer_to_the_criteria(sheet: str) -> None:
    assert "*Covers: equality, chaining.*" in sheet
