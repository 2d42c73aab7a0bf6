"""How far each grader agrees with people and with labels that are known, as last measured.

The figures are written by `python -m tests.bench.grading --write` and are not edited by hand.
"""

from typing import NamedTuple


class Figure(NamedTuple):
    """One measured figure.

    Attributes:
        about: What was compared with what.
        statistic: The statistic's name.
        value: Its value.
        size: On how many answers or verdicts.
    """

    about: str
    statistic: str
    value: float
    size: int


MEASURED_ON = "2026-11-23"
MEASURED: dict[str, tuple[Figure, ...]] = {
    "coverage": (
        Figure("our own answers of six kinds, gaming to strong (used in tuning)", "rank correlation", 0.921, 18),
        Figure("people's scores of students' answers to 20 networking questions (SAF)", "correlation", 0.434, 1835),
        Figure("verdicts known by construction, six interview questions (used in tuning)", "accuracy", 0.729, 96),
        Figure("true and false rubric sentences held out, 15 questions (used in tuning)", "accuracy", 0.702, 1800),
    ),
}
