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


def model_line(page: gr.Blocks, services: Services) -> None:
    """Lay out the line; it looks again by itself, often while a model is loaded."""
    state = view()
    timer = gr.Timer(LOOK_AGAIN_SECONDS, active=False)

    @in_words
    def look(request: gr.Request) -> list[Any]:
        candidate(request)
        waits = services.engine.busy or services.engine.state == "idle"
        return [render_state(services), gr.Timer(LOOK_AGAIN_SECONDS if waits else REST_SECONDS, active=True)]

    page.load(look, None, [state, timer], queue=False)
    timer.tick(look, None, [state, timer], queue=False)


def model_choice(page: gr.Blocks, services: Services) -> None:
    """Lay out the choice of another model; only interviewers see it, and only they may load one."""
    personal = services.settings.personal
    with gr.Accordion("Load another model", open=False, visible=False, elem_classes=["card"]) as choice:
        name = gr.Dropdown([], label="Model", info=ANY if personal else LISTED, allow_custom_value=True)
        with gr.Row(elem_classes=["actions"]):
            button = gr.Button("Load it")
        told = view()

    @in_words
    def show_choice(request: gr.Request) -> list[Any]:
        try:
            interviewer(request)
        except NotAnInterviewer:
            return [gr.skip(), gr.skip()]
        choices = services.model_choices()
        return [gr.update(visible=True), gr.update(choices=choices, value=choices[0][1])]

    @in_words
    def load_model(chosen: str | None, request: gr.Request) -> str:
        interviewer(request)
        services.choose_model(chosen or "")
        return render("engine", tone="dim", sentence="It is being loaded; the line above says how far it is.")

    page.load(show_choice, None, [choice, name], queue=False)
    button.click(load_model, name, told)


def render_state(services: Services) -> str:
    """Return the line."""
    state = services.engine.state
    return render("engine", tone="unsure" if state == "failed" else "dim", sentence=services.engine.progress)
