"""Every number in a rubric or model answer is recomputed, cited, or said to be the author's choice.

`<id>.yaml` beside this file lists them: `numbers` with a formula and its arguments, `cited` with a source of the
question, `chosen` for thresholds and budgets that follow from nothing.
"""

import re
from pathlib import Path

import formulas
import pytest
import yaml

import content

HERE = Path(__file__).parent
QUESTIONS = content.load_catalog().questions
SHEETS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(HERE.glob("q*.yaml"))}
ROWS = [(question_id, row) for question_id, sheet in SHEETS.items() for row in sheet["numbers"]]

# Whole numbers and decimals; parts of names such as ViT-L/14, 7B or LLaVA-1.5 are none.
NUMBER = re.compile(r"(?<![\w./-])(?:(?<![\d)] )-)?\d+(?:,\d{3})*(?:\.\d+)?(?![\w.]?\w)")


def said(question: content.Question) -> str:
    """All that a question states as true: everything but misconceptions and patterns."""
    parts = [question.model_answer_text(), question.looks.senior, question.looks.staff]
    for criterion in question.criteria:
        parts += [criterion.text, *criterion.examples]
    parts += [follow_up.listen_for for follow_up in question.follow_ups]
    return "\n".join([*parts, *(hint.text for hint in question.hints)])


def telling(number: str) -> bool:
    """Whether a number says more than a count of a few: three digits, or decimals."""
    return "." in number or sum(character.isdigit() for character in number) >= 3


def test_every_question_has_its_sheet() -> None:
    assert set(SHEETS) == set(QUESTIONS)


@pytest.mark.parametrize(("question_id", "row"), ROWS, ids=[f"{q}-{r['text']}-{r['formula']}" for q, r in ROWS])
def test_a_number_is_what_its_formula_gives(question_id: str, row: dict) -> None:
    value = float(getattr(formulas, row["formula"])(**row["given"]))
    text = row["text"].replace(",", "")
    decimals = len(text.partition(".")[2])
    tolerance = row["within"] * abs(value) if "within" in row else 0.5 * 10**-decimals
    assert abs(float(text) - value) <= tolerance, f"{row['text']} is printed, {row['formula']} gives {value}"


@pytest.mark.parametrize("question_id", SHEETS)
def test_every_computed_number_is_still_said(question_id: str) -> None:
    text = said(QUESTIONS[question_id])
    missing = [row["text"] for row in SHEETS[question_id]["numbers"] if row["text"] not in text]
    assert not missing


@pytest.mark.parametrize("question_id", SHEETS)
def test_every_telling_number_is_accounted_for(question_id: str) -> None:
    sheet = SHEETS[question_id]
    known = {row["text"] for row in sheet["numbers"]} | set(sheet.get("cited", {})) | set(sheet.get("chosen", ()))
    found = {number for number in NUMBER.findall(said(QUESTIONS[question_id])) if telling(number)}
    assert found <= known, f"recompute, cite or choose {sorted(found - known)} in tests/content/{question_id}.yaml"


@pytest.mark.parametrize("question_id", SHEETS)
def test_every_cited_number_names_a_source_of_the_question(question_id: str) -> None:
    sources = {source.id for source in QUESTIONS[question_id].sources}
    assert set(SHEETS[question_id].get("cited", {}).values()) <= sources
