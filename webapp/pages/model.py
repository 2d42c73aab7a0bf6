"""The line that says which model answers, and how far it is loaded."""

from typing import Any

import gradio as gr

from webapp.pages.frame import candidate, in_words
from webapp.pages.view import render, view
from webapp.services import Services

LOOK_AGAIN_SECONDS = 1.0


def model_line(page: gr.Blocks, services: Services) -> None:
    """Lay out the line; it looks again by itself until the model is loaded."""
    state = view()
    timer = gr.Timer(LOOK_AGAIN_SECONDS, active=False)

    @in_words
    def look(request: gr.Request) -> list[Any]:
        candidate(request)
        loading = services.engine.state in ("idle", "loading")
        return [render_state(services), gr.Timer(LOOK_AGAIN_SECONDS, active=loading)]

    page.load(look, None, [state, timer], queue=False)
    timer.tick(look, None, [state, timer], queue=False)


def render_state(services: Services) -> str:
    """Return the line."""
    state = services.engine.state
    return render("engine", tone="unsure" if state == "failed" else "dim", sentence=services.engine.progress)
