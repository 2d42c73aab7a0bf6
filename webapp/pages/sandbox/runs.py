"""One's own runs of the sandbox, newest first, and one's uploads."""

from typing import Any

import gradio as gr

from webapp.pages.frame import ACTS, candidate, page_in_words
from webapp.pages.view import render, view
from webapp.pictures import sources_of
from webapp.services import Services, evidence
from webapp.store import Run

NAME = "Runs"
PATH = "runs"
MOST = 200


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    shown = view(script=ACTS)

    @page_in_words()
    def load_runs(request: gr.Request) -> str:
        return runs_of(services, candidate(request))

    @page_in_words()
    def delete_uploads(request: gr.Request) -> str:
        user_id = candidate(request)
        services.pictures.remove_all(user_id, except_for=evidence(services.store, user_id))
        return runs_of(services, user_id)

    page.load(load_runs, None, shown, queue=False)
    shown.select(delete_uploads, None, shown, queue=False)


def runs_of(services: Services, user_id: str) -> str:
    """Return the page's HTML."""
    runs = services.store.runs(user_id, limit=MOST)
    return render("runs", runs=[line(run) for run in runs], most=MOST, uploads=services.pictures.count(user_id))


def line(run: Run) -> dict[str, Any]:
    """Return what a list shows of a run."""
    pictures = sources_of(run.settings)
    return {
        "id": run.id,
        "kind": "occlusion map" if "occlusion" in run.figures else run.kind,
        "when": run.created_at,
        "prompt": str(run.settings.get("prompt", "")),
        "text": str(run.figures.get("text", "")),
        "picture": pictures[0] if pictures else "",
        "attached": run.attempt_id is not None,
    }
