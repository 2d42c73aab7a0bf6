"""What the page says about a grader: what it is, what it can't tell, and how often it agrees with people."""

from pathlib import Path
from typing import NamedTuple

from webapp.feedback.measured import Figure, headline, load_results


class GraderWords(NamedTuple):
    """A kind of grader in words: what it is called, what it does, and what it can't tell."""

    name: str
    is_what: str
    cannot_tell: str


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


WORDS = {
    "coverage": GraderWords(
        name="Coverage estimate",
        is_what=(
            "Compares your sentences with the rubric's wording by text similarity, on this machine. It estimates which "
            "points you covered; it is not a mark, and no pass or fail follows from it."
        ),
        cannot_tell=(
            "It can't tell a true statement from a false one that uses the same words, it misses points that you put "
            "in words far from the rubric's, and of code it reads the comments alone, of diagrams nothing."
        ),
    ),
    "llm": GraderWords(
        name="Language-model verdict",
        is_what=(
            "A language model read your answer beside the rubric's key points and misconceptions and judged each "
            "criterion. The quotes were checked to be your own words, and the score was computed from the verdicts."
        ),
        cannot_tell=(
            "It can be wrong about a fact, lenient with fluent prose, and judge the same answer differently another "
            "time. An interviewer's verdict counts for more."
        ),
    ),
    "own_llm": GraderWords(
        name="Verdict of the candidate's own model",
        is_what=(
            "A language model that the candidate brought for this visit read the answer beside the rubric and judged "
            "each criterion. The quotes were checked, and the score was computed from the verdicts."
        ),
        cannot_tell=(
            "Nothing was measured here about this model, so nobody can say how often it is right. It never takes the "
            "place of the host's own feedback."
        ),
    ),
    "scripted": GraderWords(
        name="Scripted verdict",
        is_what="Verdicts that were written down beforehand, for tests and demonstrations.",
        cannot_tell="It can't tell anything: it doesn't read your answer.",
    ),
}


def describe(kind: str, data_dir: Path | None = None) -> GraderCard:
    """Return the card of a kind of grader.

    Args:
        kind: The kind.
        data_dir: Where a host's own measurements lie; None takes the shipped ones only.

    Raises:
        KeyError: There is no such kind.
    """
    words, result = WORDS[kind], load_results(data_dir).get(kind)
    return GraderCard(*words, figures=headline(result) if result else ())
