"""How far each grader agrees with people and with labels that are known: files that `vivalab evaluate` writes.

One file a kind of grader ships; a host's own, in the data folder, comes before it.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

SHIPPED = Path(__file__).parent / "measured"
FOLDER = "evaluations"  # in the data folder


def save_result(result: Mapping[str, Any], path: Path) -> None:
    """Write a result as JSON; figures that don't exist (NaN) become null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_plain(result), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load_results(data_dir: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return the newest result of each kind of grader, a host's own before a shipped one."""
    found: dict[str, dict[str, Any]] = {}
    for folder in (SHIPPED, *([data_dir / FOLDER] if data_dir else [])):
        for path in sorted(folder.glob("*.json")):
            result = json.loads(path.read_text(encoding="utf-8"))
            found[result["grader"]["kind"]] = result
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


class Figure(NamedTuple):
    """One measured figure, with its 95 % interval where it has one.

    Attributes:
        about: What was compared with what.
        statistic: The statistic's name.
        value: Its value.
        low: Where the interval begins.
        high: Where it ends.
        size: On how many answers or verdicts.
    """

    about: str
    statistic: str
    value: float
    low: float | None
    high: float | None
    size: int


STATISTICS = (
    ("totals", "spearman_of_quality", "rank correlation of score and quality"),
    ("verdicts", "kappa", "Cohen's kappa of verdicts"),
    ("totals", "spearman", "rank correlation of scores"),
)


def headline(result: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Return the few figures of a result that stand beside a score, of sets that weren't used in tuning."""
    figures = []
    for measured in result["sets"]:
        for part, name, words in STATISTICS:
            found = measured.get(part, {}).get(name)
            if found and found["value"] is not None and not measured["used_in_tuning"]:
                size = measured["verdicts"]["count"] if part == "verdicts" else measured["answers"]
                figures.append(Figure(measured["name"], words, found["value"], found["low"], found["high"], size))
    return tuple(figures)
