"""Right solutions pass every check; each wrong one fails the check that names its fault."""

import importlib
from typing import Any

import pytest

from sandbox import Engine, judge
from sandbox.jail import Jail
from tests.unit.judge.conftest import Examine

EXERCISES = ("q04", "q05", "q06", "q07", "q08", "q10", "q11", "q12", "q14")


def solutions(exercise: str) -> Any:
    return importlib.import_module(f"tests.unit.judge.{exercise}")


CALLS = {"q05": "patches", "q06": "form", "q07": "form", "q10": "form", "q11": "cosine", "q12": "form"}
"""A check whose calls the check of arguments can look back at."""
FAULTS = [(exercise, fault) for exercise in EXERCISES for fault in solutions(exercise).FAULTS]


@pytest.mark.parametrize("style", ["RIGHT", "OTHER_RIGHT"])
@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_right_solution_passes(exercise: str, style: str, jail: Jail, engine: Engine) -> None:
    verdict = judge(exercise, getattr(solutions(exercise), style), 11, engine=engine, jail=jail)
    assert verdict.passed, [(check.name, check.detail) for check in verdict.checks if not check.passed]
    assert (verdict.score, verdict.error) == (1.0, "")


@pytest.mark.parametrize(("exercise", "fault"), FAULTS, ids=[f"{exercise} {fault.what}" for exercise, fault in FAULTS])
def test_a_wrong_solution_fails_the_check_that_names_its_fault(exercise: str, fault: Any, examine: Examine) -> None:
    names = {fault.check} | ({CALLS[exercise]} if fault.check == "arguments" else set())
    check = examine(exercise, fault.put_into(solutions(exercise).RIGHT), names)[fault.check]
    assert not check.passed, check.detail
    assert "could not be judged" not in check.detail
