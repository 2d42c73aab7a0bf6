from pathlib import Path

import pytest

import content
from content import Level, Tier

CORE = ("hash", "bucket", "collision")
DEPTH = ("equality", "chaining", "load")
STAFF = ("growth", "attack")


@pytest.fixture
def question(pack: Path) -> content.Question:
    return content.read_catalog([pack]).questions["t01"]


@pytest.mark.parametrize(
    ("met", "level"),
    [
        ((), None),
        (("bucket",), None),
        (("hash",), Level.MID_SENIOR),
        ((*CORE, "equality"), Level.MID_SENIOR),
        ((*CORE, "equality", "load"), Level.SENIOR),
        ((*DEPTH, *STAFF), None),
        ((*CORE, *DEPTH), Level.SENIOR),
        ((*CORE, *DEPTH, "growth"), Level.STAFF),
    ],
)
def test_a_level_is_reached_with_its_line_and_all_lines_below(
    question: content.Question, met: tuple[str, ...], level: Level | None
) -> None:
    assert question.line_reached(met) == level


def test_a_share_is_of_the_tiers_own_weight(question: content.Question) -> None:
    assert question.share(["hash", "equality"], Tier.CORE) == 0.5
    assert question.share(["hash", "growth"], Tier.STAFF) == 0.5


def test_an_unknown_criterion_is_a_key_error(question: content.Question) -> None:
    with pytest.raises(KeyError):
        question.criterion("colour")
