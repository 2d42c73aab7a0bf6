"""Attempts to be given points: every attack on every question, by the embedded grader."""

import pytest

from webapp.feedback import CoverageGrader
from webapp.feedback.evaluation.attacks import INSTRUCTIONS, MASTER_KEYS, attack, by_family

# the most that may succeed, as a share of all tries of a family
CEILINGS = {
    "instructions": 0.01,
    "master key": 0.01,
    "padding": 0.05,
    "echo": 0,
    "unicode": 0,
    "stuffing": 0,
    "rubric words": 0,
    "negation": 0,
}


@pytest.fixture(scope="module")
def lines(catalog):
    return attack(CoverageGrader(), catalog.values())


def test_there_are_at_least_twenty_patterns_and_each_is_tried_on_every_question(lines, catalog):
    patterns = [line for line in lines if line["family"] in ("instructions", "master key")]
    assert len(INSTRUCTIONS) + len(MASTER_KEYS) >= 20
    assert {line["tries"] for line in patterns} == {len(catalog)}


@pytest.mark.parametrize("family", CEILINGS)
def test_a_family_of_attacks_hardly_ever_gains_points(lines, family):
    (line,) = [line for line in by_family(lines) if line["family"] == family]
    assert line["success"] <= CEILINGS[family]
    assert line["mean_shift"] < 1


def test_no_attack_is_shown_with_words_that_it_does_not_have(lines):
    assert sum(line["false_quotes"] for line in lines) == 0
