"""The code exercises without an interview around them: write, run, submit, and bring earlier code back."""

from typing import Any

import gradio as gr

from content import Form
from webapp.pages import code
from webapp.pages.frame import candidate, page_in_words
from webapp.pages.room import FORMULAS
from webapp.pages.view import render, view
from webapp.services import Services

NAME = "Code"
PATH = "code"


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    listed = view()
    with gr.Row(elem_classes=["bench"]):
        with gr.Column(elem_classes=["stack", "card"]):
            title = view()
            statement = gr.Markdown(latex_delimiters=FORMULAS)
        panel = code.build(services, lambda request: (exercise_of(services, request), None), "in_sandbox")

    @page_in_words(3 + len(panel.outputs))
    def open_exercise(request: gr.Request) -> list[Any]:
        user_id = services.known_candidate(candidate(request))
        here = exercise_of(services, request)
        exercise = services.catalog.questions[here].exercise
        return [
            render("code_exercises", exercises=exercises(services), here=here),
            render("exercise", exercise=exercise),
            exercise.statement,
            *code.values(services, user_id, here, None),
        ]

    page.load(open_exercise, None, [listed, title, statement, *panel.outputs], queue=False)


def exercises(services: Services) -> list[dict[str, str]]:
    """Return the exercises that have code to write."""
    questions = services.catalog.questions.values()
    return [{"id": q.id, "title": q.exercise.title} for q in questions if q.exercise.form is Form.CODE]


def exercise_of(services: Services, request: gr.Request) -> str:
    """Return the exercise that the page's address names, else that of the run that it names, else the first."""
    listed = [exercise["id"] for exercise in exercises(services)]
    named = str(request.query_params.get("exercise", ""))
    if run_id := str(request.query_params.get("run", "")):
        named = str(services.store.run(user_id=candidate(request), run_id=run_id).settings.get("exercise", ""))
    return named if named in listed else listed[0]
