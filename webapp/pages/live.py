"""The live part: ask the LLaVA about a picture, and see what each stage of its pipeline did."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from webapp.pages import pictures
from webapp.pages.frame import ACTS, attempt_in, candidate, in_words, log
from webapp.pages.model import model_line
from webapp.pages.trace import figures, render_trace
from webapp.pages.view import render, view
from webapp.runs import Asked, outcome, receipt_of
from webapp.services import MODEL_WAIT_SECONDS, Services
from webapp.words import SORRY, words

IDEAS = ("Describe the image.", "What color is the circle?", "How many shapes are there?", "What does the text say?")
HOW_TO_BEGIN = "A scene is chosen already: ask. The answer streams here, and below it stands what every stage did."
SMALL_PRINT = (
    "The tiny LLaVA that ships was trained on drawn scenes alone: flat shapes, colors, positions, counts and short "
    "upper-case texts. It knows nothing of photographs and only a small part of English."
)


def build(page: gr.Blocks, services: Services, *, compact: bool = False) -> gr.events.Dependency:
    """Lay out the live part and connect its handlers; `compact` stands it in one column beside a question.

    Returns:
        The event of asking, to go on from.
    """
    card = [] if compact else ["card"]
    with gr.Row(elem_classes=["stacked" if compact else "bench"]):
        with gr.Column(elem_classes=["stack", *card]):
            chooser = pictures.build(page, services, compact=compact)
            prompt = gr.Textbox(label="Prompt", value=IDEAS[0], lines=2, max_lines=6)
            ideas = view(render("ideas", ideas=IDEAS), script=ACTS)
            with gr.Row(elem_classes=["actions"]):
                ask_button = gr.Button("Ask the model", variant="secondary" if compact else "primary")
                stop_button = gr.Button("Stop", visible=False)
            if compact:
                model_line(page, services)
            view(render("small_print", text=SMALL_PRINT))
        with gr.Column(elem_classes=["stack"]):
            with gr.Column(elem_classes=card):
                reply = view("" if compact else said("", note=HOW_TO_BEGIN))
            with gr.Column(elem_classes=card, visible=False) as trace_card:
                trace = view()
    outputs = [reply, trace, trace_card, ask_button, stop_button]

    @in_words
    def take_idea(request: gr.Request, event: gr.EventData) -> str:
        candidate(request)
        return str(event.prompt)

    @in_words
    def ask(source: str, text: str, request: gr.Request) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        attempt_id = services.own_attempt(user_id, attempt_in(request))
        yield from answer(services, user_id, attempt_id, text, [source] if source else [])

    @in_words
    def stop(request: gr.Request) -> list[Any]:
        candidate(request)
        return idle()

    if not compact:

        @in_words
        def open_question(request: gr.Request) -> list[Any]:
            user_id, run_id = candidate(request), str(request.query_params.get("run", ""))
            if not run_id:
                return [gr.skip()] * 3
            asked = Asked.of(services.store.run(user_id=user_id, run_id=run_id).settings)
            return [*pictures.choice(asked.pictures[0] if asked.pictures else ""), asked.prompt]

        page.load(open_question, None, [*chooser.outputs, prompt], queue=False)

    ideas.select(take_idea, None, prompt, queue=False)
    asking = gr.on(
        [ask_button.click, prompt.submit],
        ask,
        [chooser.source, prompt],
        outputs,
        concurrency_limit=8,
        concurrency_id="ask",
    )
    stop_button.click(stop, None, [ask_button, stop_button], cancels=asking, queue=False)
    return asking


def answer(
    services: Services, user_id: str, attempt_id: str | None, prompt: str, sources: list[str]
) -> Iterator[list[Any]]:
    """Ask the engine and yield what the page shows meanwhile: reply, trace, trace card, the two buttons."""
    unchanged = [gr.skip()] * 4
    yield [
        said("", note=services.engine.progress),
        gr.skip(),
        gr.skip(),
        gr.update(visible=False),
        gr.update(visible=True),
    ]
    text = ""
    try:
        images = services.pictures.get_all(user_id, sources)
        engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
        for event in engine.stream(prompt, images, user=user_id):
            text += event.text
            if event.reply is None:
                yield [said(text, asked=prompt), *unchanged]
            else:
                run = services.keep_run(
                    user_id=user_id,
                    attempt_id=attempt_id,
                    kind="ask",
                    settings={"prompt": prompt, "pictures": sources},
                    figures=outcome(event.reply),
                    receipt=receipt_of(event.reply),
                )
                told = said(event.reply.text, asked=prompt, note=figures(event.reply), run_id=run.id)
                yield [told, render_trace(event.reply), gr.update(visible=True), *idle()]
    except Exception as error:
        sentence = words(error)
        if sentence is None:
            log.error("the engine failed", exc_info=error)
        yield [said("", asked=prompt, trouble=sentence or SORRY), gr.skip(), gr.skip(), *idle()]


def idle() -> list[Any]:
    """Return the two buttons as they are while nothing is asked."""
    return [gr.update(visible=True), gr.update(visible=False)]


def said(
    text: str, *, asked: str = "", note: str = "", trouble: str = "", run_id: str = "", tensors: bool = False
) -> str:
    """Return the reply's HTML, with the way to the kept run and its tensors."""
    return render("reply", asked=asked, text=text, note=note, trouble=trouble, run_id=run_id, tensors=tensors)
