"""One kept run: what was asked, what came out, what it cost, and the way to do it again."""

from typing import Any

import gradio as gr

from webapp import interview
from webapp.pages.frame import ACTS, candidate, page_in_words
from webapp.pages.home import GO
from webapp.pages.kept import parts
from webapp.pages.view import render, view
from webapp.runs import Asked, outcome, receipt_of, repeated
from webapp.services import MODEL_WAIT_SECONDS, Services, now

NAME = "Run"
PATH = "run"
REPEATABLE = ("ask", "pipeline")
"""Kinds whose settings say all that the model was asked."""


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    notice = view()
    shown = view(script=ACTS)
    with gr.Row(elem_classes=["actions"]):
        repeat = gr.Button("Run again and compare", visible=False)
    goto = gr.Textbox(visible=False)

    @page_in_words(2)
    def load_run(request: gr.Request) -> list[Any]:
        run = services.store.run(user_id=candidate(request), run_id=run_in(request))
        return [render("run", run=parts(run)), gr.update(visible=run.kind in REPEATABLE)]

    @page_in_words(2)
    def delete_run(request: gr.Request) -> list[Any]:
        interview.delete_run(services.store, user_id=candidate(request), run_id=run_in(request), now=now())
        return ["", "/sandbox/runs"]

    @page_in_words(2)
    def repeat_run(request: gr.Request) -> list[Any]:
        run = services.store.run(user_id=candidate(request), run_id=run_in(request))
        asked = Asked.of(run.settings)
        question = asked.request(services.pictures, run.user_id)
        reply = services.engine.get(timeout=MODEL_WAIT_SECONDS).answer_many([question])[0]
        again = services.keep_run(
            user_id=run.user_id,
            kind=run.kind,
            settings=asked.settings(),
            figures=outcome(reply),
            receipt=receipt_of(reply),
        )
        return [render("repeated", sentence=repeated(run, reply), text=reply.text, run_id=again.id), gr.skip()]

    page.load(load_run, None, [shown, repeat], queue=False)
    repeat.click(repeat_run, None, [notice, repeat], concurrency_limit=4, concurrency_id="repeat")
    shown.select(delete_run, None, [notice, goto], queue=False).success(None, goto, None, js=GO)


def run_in(request: gr.Request) -> str:
    """Return the run that the page's address names; empty if none."""
    return str(request.query_params.get("run", ""))
