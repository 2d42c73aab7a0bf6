"""The pipeline opened: every stage of an answer with what it took, gave and cost."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from webapp.pages.frame import candidate, in_words
from webapp.pages.live import MODEL_WAIT_SECONDS, said
from webapp.pages.sandbox import controls
from webapp.pages.trace import figures, render_pipeline
from webapp.pages.view import render, view
from webapp.runs import Asked, outcome
from webapp.services import Services

NAME = "Pipeline"
PATH = "pipeline"
BEGIN = "Every stage of the answer appears here: what it took in, what it gave out, and how long it took."
CANNOT = (
    "The tiny model shows how a LLaVA computes, not how well one sees: 64 image tokens of 112 × 112 pixels, drawn "
    "scenes only. Where its attention lies is no proof of why it answers; the occlusion map tests that."
)


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    with gr.Row(elem_classes=["bench"]):
        with gr.Column(elem_classes=["stack", "card"]):
            asking = controls.build(page, services)
            with gr.Row(elem_classes=["actions"]):
                button = gr.Button("Run the pipeline", variant="primary")
            view(render("small_print", text=CANNOT))
        with gr.Column(elem_classes=["stack"]):
            with gr.Column(elem_classes=["card"]):
                reply = view(said("", note=BEGIN))
            with gr.Column(elem_classes=["card"], visible=False) as stages_card:
                stages = view()

    @in_words
    def open_pipeline(request: gr.Request) -> list[Any]:
        user_id, run_id = candidate(request), str(request.query_params.get("run", ""))
        if not run_id:
            return [gr.skip()] * len(asking.outputs)
        run = services.store.run(user_id=user_id, run_id=run_id)
        return controls.filled(Asked.of(run.settings))

    @in_words
    def run_pipeline(
        source: str,
        text: str,
        temperature: float | None,
        seed: float | None,
        length: float | None,
        layer: float | None,
        request: gr.Request,
    ) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        question = controls.asked(source, text, temperature, seed, length, layer)
        yield [said("", asked=question.prompt, note=services.engine.progress), gr.skip(), gr.skip()]
        engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
        done = engine.answer_many([question.request(services.pictures, user_id)])[0]
        run = services.keep_run(
            user_id=user_id, kind=PATH, settings=question.repeatable(done).settings(), figures=outcome(done)
        )
        told = said(done.text, asked=question.prompt, note=figures(done), run_id=run.id)
        yield [told, gr.update(visible=True), render_pipeline(done.trace)]

    page.load(open_pipeline, None, asking.outputs, queue=False)
    gr.on(
        [button.click, asking.prompt.submit],
        run_pipeline,
        asking.inputs,
        [reply, stages_card, stages],
        concurrency_limit=8,
        concurrency_id="pipeline",
    )
