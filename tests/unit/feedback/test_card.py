import pytest

from webapp.feedback import Flag, describe


def test_the_card_says_what_the_estimate_cannot_tell():
    card = describe("coverage")
    assert card.name == "Coverage estimate"
    assert "can't tell" in card.cannot_tell


def test_the_card_shows_measured_agreement():
    for figure in describe("coverage").figures:
        assert 0 < figure.value <= 1
        assert figure.size > 0
        assert figure.about


def test_agreement_with_people_is_among_the_figures():
    assert any("people" in figure.about for figure in describe("coverage").figures)


def test_an_unknown_kind_has_no_card():
    with pytest.raises(KeyError):
        describe("oracle")


@pytest.mark.parametrize("flag", Flag)
def test_every_flag_has_a_sentence(flag):
    assert flag.sentence.endswith(".")
