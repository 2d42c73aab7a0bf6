"""What the page says about a grader: what it is, what it can't tell, and how often it agrees with people."""

from typing import NamedTuple

from webapp.feedback.measured import MEASURED, Figure


class GraderCard(NamedTuple):
    """A grader in words.

    Attributes:
        name: What it is called.
        is_what: What it does.
        cannot_tell: What it can't tell.
        figures: How far it agrees with people and with what is known, by the latest measurement.
    """

    name: str
    is_what: str
    cannot_tell: str
    figures: tuple[Figure, ...]


CARDS = {
    "coverage": GraderCard(
        name="Coverage estimate",
        is_what=(
            "Compares your sentences with the rubric's wording by text similarity, on this machine. It estimates which "
            "points you covered; it is not a mark, and no pass or fail follows from it."
        ),
        cannot_tell=(
            "It can't tell a true statement from a false one that uses the same words, it misses points that you put "
            "in words far from the rubric's, and it reads neither code nor diagrams."
        ),
        figures=MEASURED["coverage"],
    ),
}


def describe(kind: str) -> GraderCard:
    """Return the card of a kind of grader; KeyError if there is no such kind."""
    return CARDS[kind]
