"""The pipeline opened: every stage of an answer, where its tokens look, and what it hangs on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from sandbox import BadInput, BadOption, Reply, Request
from sandbox.labs.occlusion import OcclusionMap, occlude
from webapp.pages.frame import candidate, in_words, spoken
from webapp.pages.live import said
from webapp.pages.maps import attention_weights, render_attention, render_occlusion
from webapp.pages.sandbox import controls
from webapp.pages.trace import figures, render_pipeline
from webapp.pages.view import render, view
from webapp.runs import Asked, outcome, receipt_of
from webapp.services import MODEL_WAIT_SECONDS, Services
from webapp.store import Run

if TYPE_CHECKING:
    from sandbox import Engine

NAME = "Pipeline"
PATH = "pipeline"
BEGIN = "Every stage of the answer appears here: what it took in, what it gave out, and how long it took."
CANNOT = (
    "The tiny model shows how a LLaVA computes, not how well one sees: 64 image tokens of 112 × 112 pixels, drawn "
    "scenes only. Where its attention lies is no proof of why it answers; the occlusion map tests that."
)
OCCLUSION = (
    "Each block is grayed in turn, and the answer's tokens are scored again: how much less likely does the answer get?"
)
BLOCKS = [("8 × 8 blocks", 8), ("4 × 4 blocks", 4)]


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
            with gr.Row(elem_classes=["two"], visible=False) as maps:
                with gr.Column(elem_classes=["card"]):
                    attention = view(script="vivalab.attention(element, watch)")
                with gr.Column(elem_classes=["card"]):
                    view(render("occlusion_head", text=OCCLUSION))
                    blocks = gr.Radio(BLOCKS, value=8, show_label=False, container=False)
                    with gr.Row(elem_classes=["actions"]):
                        map_button = gr.Button("Map the answer")
                        stop_button = gr.Button("Stop", visible=False)
                    occlusion = view()
            with gr.Column(elem_classes=["card"], visible=False) as stages_card:
                stages = view()
    last_run = gr.Textbox(visible=False)
    results = [reply, stages_card, stages, maps, attention, occlusion, last_run]

    @in_words
    def open_pipeline(request: gr.Request) -> list[Any]:
        user_id, run_id = candidate(request), str(request.query_params.get("run", ""))
        if not run_id:
            return [gr.skip()] * len(asking.outputs)
        return controls.filled(Asked.of(services.store.run(user_id=user_id, run_id=run_id).settings))

    @in_words
    def run_pipeline(
        source: str,
        text: str,
        temperature: float | None,
        seed: str,
        length: str,
        layer: str,
        request: gr.Request,
    ) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        question = controls.asked(source, text, temperature, seed, length, layer)
        yield [said("", asked=question.prompt, note=services.engine.progress), *[gr.skip()] * 6]
        engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
        asked = question.request(services.pictures, user_id, keep=True)
        done = engine.answer_many([asked])[0]
        run = services.keep_run(
            user_id=user_id,
            kind=PATH,
            settings=question.repeatable(done).settings(),
            figures=outcome(done),
            receipt=receipt_of(done),
        )
        told = said(done.text, asked=question.prompt, note=figures(done), run_id=run.id, tensors=True)
        shown = [told, gr.update(visible=True), render_pipeline(done.trace)]
        looks = where_it_looks(engine, asked, done)
        yield [*shown, gr.update(visible=bool(looks)), looks, "", run.id]

    @in_words
    def map_answer(run_id: str, along: int, request: gr.Request) -> Iterator[list[Any]]:
        run = services.store.run(user_id=candidate(request), run_id=run_id)
        yield [gr.skip(), gr.update(visible=False), gr.update(visible=True)]
        try:
            for shown in map_of(services, run, blocks=4 if along == 4 else 8):
                yield [shown, gr.skip(), gr.skip()]
            yield [gr.skip(), *idle_map()]
        except Exception as error:
            yield [render("trouble", sentence=str(spoken(error).message)), *idle_map()]

    @in_words
    def stop_map(request: gr.Request) -> list[Any]:
        candidate(request)
        return idle_map()

    page.load(open_pipeline, None, asking.outputs, queue=False)
    gr.on(
        [button.click, asking.prompt.submit],
        run_pipeline,
        asking.inputs,
        results,
        concurrency_limit=8,
        concurrency_id="pipeline",
    )
    mapping = map_button.click(
        map_answer,
        [last_run, blocks],
        [occlusion, map_button, stop_button],
        concurrency_limit=4,
        concurrency_id="occlusion",
    )
    stop_button.click(stop_map, None, [map_button, stop_button], cancels=mapping, queue=False)


def where_it_looks(engine: "Engine", request: Request, reply: Reply) -> str:
    """Return the card on attention; empty without a picture."""
    if not reply.trace.image_tokens:
        return ""
    try:
        return render_attention(attention_weights(engine, request, reply), reply.trace)
    except BadInput as problem:
        return render("no_map", why=str(problem))


def map_of(services: Services, run: Run, *, blocks: int) -> Iterator[str]:
    """Map a run's answer and yield how far it is, as HTML; a finished map is kept as a run of its own."""
    engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
    asked = Asked.of(run.settings).request(services.pictures, run.user_id)
    # one token is enough to learn what the vision tower saw
    trace = engine.answer_many([replace(asked, max_new_tokens=1)])[0].trace
    if trace.pixels is None:
        raise BadOption("This answer was given without a picture, so there is nothing to hide.")
    found: OcclusionMap | None = None
    for found in occlude(engine, asked, trace, run.figures["tokens"], blocks=blocks):
        yield render_occlusion(found, trace, str(run.figures["text"]))
    if found is not None:
        keep_map(services, run, found)


def keep_map(services: Services, run: Run, found: OcclusionMap) -> None:
    """Keep a finished map as a run of its own."""
    services.keep_run(
        user_id=run.user_id,
        kind=PATH,
        settings={**run.settings, "occlusion_block_patches": found.block},
        figures={
            **run.figures,
            "log_probability": found.log_probability,
            "costliest_block": float(found.drops.max()),
            "blocks_that_change_the_answer": int(found.changes.sum()),
            "occlusion": found.drops.tolist(),
        },
        receipt=run.receipt,
    )


def idle_map() -> list[Any]:
    """Return the map's two buttons as they are while nothing is mapped."""
    return [gr.update(visible=True), gr.update(visible=False)]
