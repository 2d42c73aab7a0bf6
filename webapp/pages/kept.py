"""How kept runs read: on their own page, beside an answer, in the report and in the review."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from webapp.interview import KIND
from webapp.pages.wording import shape
from webapp.pictures import sources_of
from webapp.store import Run

APART = (
    "prompt",
    "pictures",
    "text",
    "source",
    "prints",
    "error",
    "tokens",
    "trace",
    "traces",
    "first",
    "second",
    "differences",
    "occlusion",
)
"""What stands in a place of its own."""


def parts(run: Run, *, for_review: bool = False) -> dict[str, Any]:
    """Return what pages show of a run; an interviewer's browser asks for its pictures by the run."""
    trace = run.figures.get("trace")
    own = [f"/sandbox/picture?source={quote(source)}" for source in sources_of(run.settings)]
    given = [f"/review/picture?run={run.id}&number={index}" for index in range(len(own))]
    return {
        "id": run.id,
        "kind": run.kind,
        "when": run.created_at,
        "prompt": str(run.settings.get("prompt", "")),
        "pictures": given if for_review else own,
        "text": str(run.figures.get("text", "")),
        "settings": plain(run.settings),
        "sides": sides(run.settings),
        "figures": plain(run.figures),
        "trace": trace if isinstance(trace, dict) else None,
        "differences": [
            difference(line)
            for line in run.figures.get("differences", ())
            if isinstance(line, dict) and "stage" in line
        ],
        "map": map_of(run.figures.get("occlusion")),
        "receipt": receipt(run.receipt),
        "attached": run.attempt_id is not None,
        "again": f"/sandbox/{'' if run.kind == 'ask' else run.kind}?run={run.id}",
        "tensors": f"/sandbox/tensors?run={run.id}" if run.kind in ("ask", "pipeline") else "",
    }


def evidence(runs: Sequence[Run], *, for_review: bool = False) -> list[dict[str, Any]]:
    """Return what report and review show of the runs beside an answer, oldest first; runs of code stand elsewhere."""
    beside = [run for run in runs if run.kind != KIND]
    return [parts(run, for_review=for_review) for run in sorted(beside, key=lambda run: run.created_at)]


def plain(values: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return settings or figures as name and words, without those that were left as they are."""
    return [
        {"name": name.replace("_", " "), "value": f"{value:.4g}" if isinstance(value, float) else str(value)}
        for name, value in values.items()
        if name not in APART and value is not None and not isinstance(value, dict | list)
    ]


def sides(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the two settings that a comparison put side by side; none for other runs."""
    both = [settings.get("first"), settings.get("second")]
    if not all(isinstance(side, dict) for side in both):
        return []
    return [
        {"label": label, "prompt": str(side.get("prompt", "")), "settings": plain(side)}
        for label, side in zip("AB", both, strict=True)
        if side is not None
    ]


def map_of(drops: Any) -> dict[str, Any] | None:
    """Return a kept occlusion map as cells with their share of the worst drop; None where there is none."""
    if not drops:
        return None
    worst = max(max(row) for row in drops)
    cells = [
        {"x": column, "y": row, "share": max(0.0, drop) / worst if worst > 0 else 0.0}
        for row, line in enumerate(drops)
        for column, drop in enumerate(line)
    ]
    return {"cells": cells, "rows": len(drops), "columns": len(drops[0])}


def receipt(kept: str | None) -> list[dict[str, str]]:
    """Return a receipt's entries; none where a run has none."""
    found = json.loads(kept) if kept else {}
    return [{"name": name.replace("_", " "), "value": str(value)} for name, value in found.items()]


def difference(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stage's line of a comparison's table."""
    first, second = kept["shapes"]
    same_shape = first == second
    same = kept["max_abs"] == 0 or kept["unequal"] == 0
    words = "equal" if same else "" if same_shape else "other shapes"
    if kept["unequal"]:
        words = f"{kept['unequal']} of {first[0]} tokens differ"
    return {
        "stage": kept["stage"],
        "shapes": [shape(first)] if same_shape else [shape(first), shape(second)],
        "words": words,
        **{name: None if words else kept[name] for name in ("max_abs", "mean_abs", "cosine")},
    }
