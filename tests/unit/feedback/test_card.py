import pytest

from webapp.feedback import Flag, describe
from webapp.feedback.measured import save_result


def test_the_card_says_what_the_estimate_cannot_tell():
    card = describe("coverage")
    assert card.name == "Coverage estimate"
    assert "can't tell" in card.cannot_tell


def test_the_card_shows_measured_agreement_with_its_interval():
    figures = describe("coverage").figures
    assert figures
    for figure in figures:
        assert figure.low < figure.value < figure.high
        assert figure.size > 0


def test_figures_on_answers_that_the_grader_was_developed_on_stay_off_the_card():
    assert not any("development" in figure.about for figure in describe("coverage").figures)


def test_agreement_with_people_is_among_the_figures():
    assert any("students" in figure.about for figure in describe("coverage").figures)


def test_a_hosts_own_measurement_comes_before_the_shipped_one(tmp_path):
    own = {"name": "sample answers, test", "used_in_tuning": False, "answers": 7}
    own["totals"] = {"spearman_of_quality": {"value": 0.5, "low": 0.4, "high": 0.6}}
    save_result({"grader": {"kind": "coverage"}, "sets": [own]}, tmp_path / "evaluations" / "coverage.json")
    assert [figure.size for figure in describe("coverage", tmp_path).figures] == [7]


def test_a_grader_that_nobody_has_measured_has_a_card_without_figures():
    assert describe("scripted").figures == ()


def test_an_unknown_kind_has_no_card():
    with pytest.raises(KeyError):
        describe("oracle")


@pytest.mark.parametrize("flag", Flag)
def test_every_flag_has_a_sentence(flag):
    assert flag.sentence.endswith(".")
