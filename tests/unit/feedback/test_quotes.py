import pytest

from webapp.feedback import check_quote

ANSWER = "The ViT gives 576 patches.\n  They are\tprojected by an MLP (a+b)*."


@pytest.mark.parametrize(
    "quote",
    ["576 patches", "They are projected by an MLP", "patches. They", "  576   patches ", "(a+b)*", ANSWER],
)
def test_words_of_the_answer_are_found_whatever_the_white_space(quote):
    start, end = check_quote(quote, ANSWER)
    assert ANSWER[start:end].split() == quote.split()


@pytest.mark.parametrize(
    "quote",
    ["", "   ", ".", "(", "577 patches", "The vit gives", "576patches", "a.b", "They are projected by the MLP"],
)
def test_words_that_the_answer_does_not_have_are_not_found(quote):
    assert check_quote(quote, ANSWER) is None


def test_nothing_is_found_in_an_empty_answer():
    assert check_quote("576", "") is None
