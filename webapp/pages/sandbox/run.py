"""One kept run: what was asked, what came out, what it cost, and the way to do it again."""

from typing import Any

import gradio as gr

from webapp import interview
from webapp.pages.frame import ACTS, candidate, page_in_words
from webapp.pages.home import GO
from webapp.pages.kept import parts
from webapp.pages.view import render, view
from webapp.services import Services, now

NAME = "Run"
PATH = "run"


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    notice = view()
    shown = view(script=ACTS)
    goto = gr.Textbox(visible=False)

    @page_in_words()
    def load_run(request: gr.Request) -> str:
        return render("run", run=parts(services.store.run(user_id=candidate(request), run_id=run_in(request))))

    @page_in_words(2)
    def delete_run(request: gr.Request) -> list[Any]:
        interview.delete_run(services.store, user_id=candidate(request), run_id=run_in(request), now=now())
        return ["", "/sandbox/runs"]

    page.load(load_run, None, shown, queue=False)
    shown.select(delete_run, None, [notice, goto], queue=False).success(None, goto, None, js=GO)


def run_in(request: gr.Request) -> str:
    """Return the run that the page's address names; empty if none."""
    return str(request.query_params.get("run", ""))
