"""The line that says which model answers and how far it is loaded, and the interviewers' choice of another."""

from typing import Any

import gradio as gr

from webapp.identity import NotAnInterviewer
from webapp.pages.frame import candidate, in_words, interviewer
from webapp.pages.view import render, view
from webapp.services import Services

LOOK_AGAIN_SECONDS = 1.0
REST_SECONDS = 20.0
"""While nothing is loaded: somebody else may choose another model, and everybody is to see it."""
LISTED = "What the host allows. Everybody in the sandbox gets it; the model that is there answers until it is ready."
ANY = "A folder or a hub id. Everybody in the sandbox gets it; the model that is there answers until it is ready."


def model_line(page: gr.Blocks, services: Services) -> tuple[gr.HTML, gr.Timer]:
    """Lay out the line; it looks again by itself, often while a model is loaded. Return what a change has to set."""
    state = view()
    timer = gr.Timer(LOOK_AGAIN_SECONDS, active=False)

    @in_words
    def look(request: gr.Request) -> list[Any]:
        candidate(request)
        return line(services)

    page.load(look, None, [state, timer], queue=False)
    timer.tick(look, None, [state, timer], queue=False)
    return state, timer


def model_choice(page: gr.Blocks, services: Services) -> None:
    """Lay out the line and the choice of another model; only interviewers see that, and only they may load one."""
    outputs = model_line(page, services)
    personal = services.settings.personal
    with gr.Accordion("Load another model", open=False, visible=False, elem_classes=["card", "at-foot"]) as choice:
        name = gr.Dropdown([], label="Model", info=ANY if personal else LISTED, allow_custom_value=True)
        with gr.Row(elem_classes=["actions"]):
            button = gr.Button("Load it")

    @in_words
    def show_choice(request: gr.Request) -> list[Any]:
        try:
            interviewer(request)
        except NotAnInterviewer:
            return [gr.skip(), gr.skip()]
        choices = services.model_choices()
        return [gr.update(visible=True), gr.update(choices=choices, value=choices[0][1])]

    @in_words
    def load_model(chosen: str | None, request: gr.Request) -> list[Any]:
        interviewer(request)
        services.choose_model(chosen or "")
        return line(services)

    page.load(show_choice, None, [choice, name], queue=False)
    button.click(load_model, name, outputs)


def line(services: Services) -> list[Any]:
    """Return the line, and when to look again."""
    waits = services.engine.busy or services.engine.state == "idle"
    return [render_state(services), gr.Timer(LOOK_AGAIN_SECONDS if waits else REST_SECONDS, active=True)]


def render_state(services: Services) -> str:
    """Return the line."""
    state = services.engine.state
    return render("engine", tone="unsure" if state == "failed" else "dim", sentence=services.engine.progress)
