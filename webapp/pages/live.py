"""The live part: ask the LLaVA about pictures, and see what each stage of its pipeline did."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import gradio as gr
from PIL import Image

from sandbox import tiny
from webapp.pages.frame import ACTS, attempt_in, candidate, in_words, log
from webapp.pages.trace import data_url, figures, render_trace
from webapp.pages.view import picture_input, render, view
from webapp.services import Services
from webapp.words import SORRY, words

LOOK_AGAIN_SECONDS = 1.0
MODEL_WAIT_SECONDS = 180.0
SCENE_SEEDS = (11, 27, 32, 58, 64, 71)
SCENE_SIDE = 448  # pixels; scenes are drawn at 112 and shown larger
IDEAS = ("Describe the image.", "What color is the circle?", "How many shapes are there?", "What does the text say?")
HOW_TO_BEGIN = "Choose a picture, then ask. The answer streams here, and below it stands what every stage did."
SMALL_PRINT = (
    "The tiny LLaVA that ships was trained on drawn scenes alone: flat shapes, colors, positions, counts and short "
    "upper-case texts. It knows nothing of photographs and only a small part of English."
)


def build(page: gr.Blocks, services: Services, *, compact: bool = False) -> None:
    """Lay out the live part and connect its handlers; `compact` stands it in one column beside a question."""
    card = [] if compact else ["card"]
    with gr.Row(elem_classes=["stacked" if compact else "bench"]):
        with gr.Column(elem_classes=["stack", *card]):
            picture = picture_input(
                label="Picture",
                sources=["upload", "clipboard", "webcam"],
                height=200 if compact else 260,
                buttons=["fullscreen"],
            )
            scenes = view(script=ACTS)
            prompt = gr.Textbox(label="Prompt", value=IDEAS[0], lines=2, max_lines=6)
            ideas = view(render("ideas", ideas=IDEAS), script=ACTS)
            with gr.Row(elem_classes=["actions"]):
                ask_button = gr.Button("Ask the model", variant="secondary" if compact else "primary")
                stop_button = gr.Button("Stop", visible=False)
            state = view()
            view(render("small_print", text=SMALL_PRINT))
        with gr.Column(elem_classes=["stack"]):
            with gr.Column(elem_classes=card):
                reply = view("" if compact else said("", note=HOW_TO_BEGIN))
            with gr.Column(elem_classes=card, visible=False) as trace_card:
                trace = view()
    timer = gr.Timer(LOOK_AGAIN_SECONDS, active=False)
    outputs = [reply, trace, trace_card, ask_button, stop_button]

    @in_words
    def look(request: gr.Request) -> list[Any]:
        candidate(request)
        return [
            render_state(services),
            gr.Timer(LOOK_AGAIN_SECONDS, active=services.engine.state in ("idle", "loading")),
        ]

    @in_words
    def load_scenes(request: gr.Request) -> str:
        candidate(request)
        return render("scenes", scenes=[{"seed": seed, "src": data_url(scene(seed))} for seed in SCENE_SEEDS])

    @in_words
    def take_scene(request: gr.Request, event: gr.EventData) -> Image.Image:
        candidate(request)
        return scene(int(event.seed)).resize((SCENE_SIDE, SCENE_SIDE), Image.Resampling.NEAREST)

    @in_words
    def take_idea(request: gr.Request, event: gr.EventData) -> str:
        candidate(request)
        return str(event.prompt)

    @in_words
    def ask(path: str | None, text: str, request: gr.Request) -> Iterator[list[Any]]:
        user_id = services.known_candidate(candidate(request))
        attempt_id = services.own_attempt(user_id, attempt_in(request))
        images = [Path(path).read_bytes()] if path else []
        yield from answer(services, user_id, attempt_id, text, images)

    @in_words
    def stop(request: gr.Request) -> list[Any]:
        candidate(request)
        return idle()

    page.load(look, None, [state, timer], queue=False)
    page.load(load_scenes, None, scenes, queue=False)
    timer.tick(look, None, [state, timer], queue=False)
    scenes.select(take_scene, None, picture)
    ideas.select(take_idea, None, prompt, queue=False)
    asking = gr.on(
        [ask_button.click, prompt.submit], ask, [picture, prompt], outputs, concurrency_limit=8, concurrency_id="ask"
    )
    stop_button.click(stop, None, [ask_button, stop_button], cancels=asking, queue=False)


def answer(
    services: Services, user_id: str, attempt_id: str | None, prompt: str, images: list[bytes]
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
        engine = services.engine.get(timeout=MODEL_WAIT_SECONDS)
        for event in engine.stream(prompt, images):
            text += event.text
            if event.reply is None:
                yield [said(text, asked=prompt), *unchanged]
            else:
                services.keep_run(user_id=user_id, attempt_id=attempt_id, prompt=prompt, reply=event.reply)
                told = said(event.reply.text, asked=prompt, note=figures(event.reply))
                yield [told, render_trace(event.reply), gr.update(visible=True), *idle()]
    except Exception as error:
        sentence = words(error)
        if sentence is None:
            log.error("the engine failed", exc_info=error)
        yield [said("", asked=prompt, trouble=sentence or SORRY), gr.skip(), gr.skip(), *idle()]


def idle() -> list[Any]:
    """Return the two buttons as they are while nothing is asked."""
    return [gr.update(visible=True), gr.update(visible=False)]


def said(text: str, *, asked: str = "", note: str = "", trouble: str = "") -> str:
    """Return the reply's HTML."""
    return render("reply", asked=asked, text=text, note=note, trouble=trouble)


def render_state(services: Services) -> str:
    """Return the line about the model."""
    tone = {"failed": "unsure", "ready": "dim"}.get(services.engine.state, "dim")
    return render("engine", tone=tone, sentence=services.engine.progress)


@cache
def scene(seed: int) -> Image.Image:
    """Return a picture of the tiny model's world, 112 × 112 pixels."""
    return tiny.draw(tiny.sample_scene(Random(seed)))
