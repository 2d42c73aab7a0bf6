"""Swap a stage: one's own function in the live pipeline, on one's own pictures, beside the model's answer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from sandbox.labs.swappable import SELECT, STAGES_TO_SWAP
from webapp import interview
from webapp.pages import pictures
from webapp.pages.frame import candidate, in_words, log
from webapp.pages.kept import difference
from webapp.pages.sandbox.compare import answer_side, plain_differences
from webapp.pages.view import render, view
from webapp.services import MODEL_WAIT_SECONDS, Services
from webapp.words import SORRY, words

if TYPE_CHECKING:
    from sandbox.labs.swap import Swapped

NAME = "Swap a stage"
PATH = "swap"
QUESTION = "What color is the background?"
BEGIN = "Your function takes the place of one stage. Both answers and the difference at every stage appear here."
CANNOT = (
    "The code runs apart, without files and network. With the tiny model a small error in the pixels often leaves the "
    "answer as it is; the table of differences shows it all the same."
)


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    first = next(iter(STAGES_TO_SWAP))
    with gr.Row(elem_classes=["bench"]):
        with gr.Column(elem_classes=["stack", "card"]):
            chooser = pictures.build(page, services)
            question = gr.Textbox(QUESTION, label="Question", lines=1, max_lines=3)
            view(render("small_print", text=CANNOT))
        with gr.Column(elem_classes=["stack"]):
            with gr.Column(elem_classes=["card"]):
                stage = gr.Radio(
                    [(each.function, each.name) for each in STAGES_TO_SWAP.values()],
                    value=first,
                    label="Stage",
                )
                about = view(told_of(first))
                editor = gr.Code(language="python", lines=14, max_lines=30, wrap_lines=True, show_label=False)
                with gr.Row(elem_classes=["actions"]):
                    button = gr.Button("Swap it in and ask", variant="primary")
                    begin_button = gr.Button("My code of the exercise")
            with gr.Column(elem_classes=["card"]):
                shown = view(render("swap", note=BEGIN, trouble="", found=None, run_id=""))

    @in_words
    def open_swap(request: gr.Request) -> list[Any]:
        user_id, run_id = candidate(request), str(request.query_params.get("run", ""))
        if not run_id:
            return [gr.skip(), gr.skip(), begin(services, user_id, first), told_of(first), *[gr.skip()] * 2]
        settings = services.store.run(user_id=user_id, run_id=run_id).settings
        name, sources = str(settings.get("stage", first)), settings.get("pictures") or [""]
        return [
            name,
            str(settings.get("prompt", "")),
            str(settings.get("source", "")),
            told_of(name),
            *pictures.choice(str(sources[0])),
        ]

    @in_words
    def take_stage(name: str, request: gr.Request) -> list[Any]:
        user_id = candidate(request)
        return [begin(services, user_id, name), told_of(name)]

    @in_words
    def swap_stage(name: str, source: str, asked: str, picture: str, request: gr.Request) -> Iterator[str]:
        user_id = services.known_candidate(candidate(request))
        yield render("swap", note=services.engine.progress, trouble="", found=None, run_id="")
        yield swapped(services, user_id, name, source, asked, picture)

    page.load(open_swap, None, [stage, question, editor, about, *chooser.outputs], queue=False)
    stage.input(take_stage, stage, [editor, about])
    begin_button.click(take_stage, stage, [editor, about])
    button.click(
        swap_stage, [stage, editor, question, chooser.source], shown, concurrency_limit=8, concurrency_id="swap"
    )


def begin(services: Services, user_id: str, name: str) -> str:
    """Return one's newest code for the stage's exercise, its starter where there is none yet."""
    exercise = STAGES_TO_SWAP[name].exercise
    if not exercise:
        return SELECT
    return interview.open_code(services.store, services.catalog, user_id=user_id, exercise=exercise).source


def told_of(name: str) -> str:
    """Return what the stage's function takes and gives."""
    return render("small_print", text=STAGES_TO_SWAP[name].about)


def swapped(services: Services, user_id: str, name: str, source: str, asked: str, picture: str) -> str:
    """Swap the stage in, keep the run, and return what the page shows."""
    from sandbox.labs.swap import swap  # with PyTorch, which a page's import shouldn't wait for

    try:
        sources = [picture] if picture else []
        images = services.pictures.get_all(user_id, sources)
        engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
        found = swap(engine, services.jail, name, source, asked, images, user=user_id)
    except Exception as error:
        sentence = words(error)
        if sentence is None:
            log.error("the swap failed", exc_info=error)
        return render("swap", note="", trouble=sentence or SORRY, found=None, run_id="")
    run = services.keep_run(
        user_id=user_id,
        kind=PATH,
        settings={"stage": name, "prompt": asked, "pictures": sources, "source": source},
        figures={
            "text": f"own: {found.texts[0]}\nswapped: {found.texts[1]}",
            "same_answer": "yes" if found.same_answer else "no",
            "differences": plain_differences(found.differences),
        },
    )
    return render("swap", note="", trouble="", found=result(found), run_id=run.id)


def result(found: "Swapped") -> dict[str, Any]:
    """Return both answers and the table of differences as the page shows them."""
    labels = ("The model's own", "With your stage")
    if found.comparison:
        sides = [answer_side(label, reply) for label, reply in zip(labels, found.comparison.replies, strict=True)]
    else:
        sides = [
            {"label": label, "text": text, "figures": "in a batch of three", "pictures": []}
            for label, text in zip(labels, found.texts, strict=True)
        ]
    return {
        "verdict": "The same answer" if found.same_answer else "Two answers",
        "sides": sides,
        "differences": [difference(line) for line in plain_differences(found.differences)],
        "prints": found.prints,
        "milliseconds": 1000 * found.seconds,
    }
