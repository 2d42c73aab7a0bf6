"""An answer's passages hold all of it, and what a model names of them is a stretch of the answer."""

import random

import pytest

from webapp.feedback.llm.passages import LONGEST, Passage, halves, passages, span_of

ANSWER = "First. Second is e.g. longer!\n\n- a bullet\n2. numbered\n```python\nif x:\n    y = {}\n```\nLast 😀 one"


def texts(answer):
    return [answer[passage.start : passage.end] for passage in passages(answer)]


def test_passages_are_sentences_lines_and_bullets():
    assert texts(ANSWER)[:4] == ["First.", "Second is e.g. longer!", "- a bullet", "2. numbered"]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_but_white_space_lies_between_passages(seed):
    answer = "".join(random.Random(seed).choices("ab 1.\n!?{}`-→😀#", k=3000))
    assert "".join("".join(texts(answer)).split()) == "".join(answer.split())


def test_an_endless_sentence_is_cut_at_white_space():
    pieces = texts("word " * 1000)
    assert max(map(len, pieces)) <= LONGEST
    assert all(piece.startswith("word") and piece.endswith("word") for piece in pieces)
    assert max(map(len, texts("x" * 5000))) == LONGEST


def test_numbers_count_from_one_without_gaps():
    assert [passage.number for passage in passages(ANSWER)] == list(range(1, len(passages(ANSWER)) + 1))


def test_a_part_is_halved_at_its_sections():
    answer = "One. Two.\n\n# Next\nThree. Four. Five."
    first, second = halves(answer, passages(answer))
    assert (answer[first[-1].start : first[-1].end], answer[second[0].start :]) == (
        "Two.",
        "# Next\nThree. Four. Five.",
    )


@pytest.mark.parametrize(
    ("named", "span"),
    [
        ([2], (10, 19)),
        ([2, 3], (10, 29)),
        ([3, 2, 1], (0, 29)),
        ([1, 3], (0, 9)),
        ([], None),
        ([9], None),
        ([2, 2], (10, 19)),
    ],
)
def test_evidence_is_the_first_named_passage_and_its_named_neighbours(named, span):
    part = [Passage(number, 10 * (number - 1), 10 * number - 1) for number in (1, 2, 3)]
    assert span_of(named, part) == span
