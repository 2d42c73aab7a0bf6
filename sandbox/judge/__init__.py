"""Judges candidates' code: nine exercises, each a list of named checks.

Covered: numbers against transformers' or the live engine's own, geometry, order, errors, sharing between threads, speed
against bare numpy in the same run, and memory, each on inputs drawn afresh. Expectations never enter the candidate's
process. A check's failure says what was expected, what came and on which input, never how the reference does it.
Not covered: style, and what can be seen only inside the candidate's process beyond dtype, layout and changed arguments.
"""

from sandbox.judge.bench import Exercise, Probe
from sandbox.judge.exercises import EXERCISES
from sandbox.judge.judging import find, judge, probes_of
from sandbox.judge.prompting import PHRASES
from sandbox.judge.verdict import Check, Verdict

__all__ = ["EXERCISES", "PHRASES", "Check", "Exercise", "Probe", "Verdict", "find", "judge", "probes_of"]
