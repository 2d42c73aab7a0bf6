"""One kept run: what was asked, what came out, what it cost, and the way to do it again."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from webapp.pages.frame import ACTS, candidate, page_in_words
from webapp.pages.view import render, view
from webapp.pictures import sources_of
from webapp.services import Services
from webapp.store import Run

NAME = "Run"
PATH = "run"


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    shown = view(script=ACTS)

    @page_in_words()
    def load_run(request: gr.Request) -> str:
        run = services.store.run(user_id=candidate(request), run_id=run_in(request))
        return render("run", run=parts(run))

    page.load(load_run, None, shown, queue=False)


def run_in(request: gr.Request) -> str:
    """Return the run that the page's address names; empty if none."""
    return str(request.query_params.get("run", ""))


def parts(run: Run) -> dict[str, Any]:
    """Return what pages show of a run."""
    trace = run.figures.get("trace")
    return {
        "id": run.id,
        "kind": run.kind,
        "when": run.created_at,
        "prompt": str(run.settings.get("prompt", "")),
        "pictures": sources_of(run.settings),
        "text": str(run.figures.get("text", "")),
        "settings": plain({k: v for k, v in run.settings.items() if k not in ("prompt", "pictures")}),
        "figures": plain({k: v for k, v in run.figures.items() if k not in ("text", "trace")}),
        "trace": trace if isinstance(trace, dict) else None,
        "receipt": run.receipt,
        "attached": run.attempt_id is not None,
        "again": f"/sandbox/{'' if run.kind == 'ask' else run.kind}?run={run.id}",
    }


def plain(values: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return settings or figures as name and words, without those that were left as they are."""
    return [
        {"name": name.replace("_", " "), "value": f"{value:g}" if isinstance(value, float) else str(value)}
        for name, value in values.items()
        if value is not None and not isinstance(value, dict | list)
    ]
