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


MEASURED: dict[str, tuple[Figure, ...]] = {"coverage": ()}
