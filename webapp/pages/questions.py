"""The questions as interviewers and authors read them: as the candidate sees one, and with everything else."""

from typing import Any

import gradio as gr

from content import Question, show
from webapp.pages.frame import REVIEW_LINKS, bar, interviewer, page_in_words
from webapp.pages.room import FORMULAS
from webapp.pages.view import render, view
from webapp.services import Services
from webapp.store import NotFound

PATH = "questions"


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    gr.Navbar(visible=False)
    bar("/review/questions", REVIEW_LINKS, may_sign_out=not services.settings.personal)
    with gr.Column(elem_classes=["page", "narrow"]):
        catalog = view()
        with gr.Column(elem_classes=["card"], visible=False) as shown, gr.Tabs():
            with gr.Tab("As the candidate sees it"):
                title = view()
                statement = gr.Markdown(latex_delimiters=FORMULAS)
                exercise_title = view()
                exercise = gr.Markdown(latex_delimiters=FORMULAS)
                starter = gr.Code(language="python", label="Starter code", interactive=False, visible=False)
            with gr.Tab("With everything else"):
                sheet = gr.Markdown(latex_delimiters=FORMULAS)

    @page_in_words(8)
    def load_questions(request: gr.Request) -> list[Any]:
        interviewer(request)
        return question_values(services, str(request.query_params.get("question", "")))

    page.load(
        load_questions,
        None,
        [catalog, shown, title, statement, exercise_title, exercise, starter, sheet],
        queue=False,
    )


def question_values(services: Services, question_id: str) -> list[Any]:
    """Return the page's values: the list, and the question's parts if one is named; NotFound if it isn't there."""
    questions = services.catalog.questions
    problem = services.live_catalog.problem if services.live_catalog else None
    listed = render("questions", questions=questions.values(), here=question_id, problem=str(problem or ""))
    if not question_id:
        return [listed, gr.update(visible=False), *[gr.skip()] * 6]
    if question_id not in questions:
        raise NotFound(f"question {question_id}")
    return [listed, gr.update(visible=True), *question_parts(questions[question_id])]


def question_parts(question: Question) -> list[Any]:
    """Return a question's parts: title, statement, exercise's title and text, starter code, sheet."""
    return [
        render("question", room=question),
        question.statement,
        render("exercise", exercise=question.exercise),
        question.exercise.statement,
        gr.update(value=question.exercise.starter, visible=question.exercise.starter is not None),
        show(question),
    ]
