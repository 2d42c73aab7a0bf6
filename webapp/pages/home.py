"""Home: begin, go on, and look back."""

from collections.abc import Sequence

import gradio as gr

from content import Question
from webapp import feedback, interview
from webapp.pages.frame import ACTS, candidate, candidate_bar, in_words, page_in_words
from webapp.pages.view import render, view
from webapp.services import Services, now

SCREEN_MINUTES = 45
GO = "(url) => vivalab.go(url)"


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    gr.Navbar(visible=False)
    candidate_bar("/", services)
    with gr.Column(elem_classes=["page", "narrow"]):
        shown = view(script=ACTS)
    goto = gr.Textbox(visible=False)

    @page_in_words()
    def load(request: gr.Request) -> str:
        user_id = candidate(request)
        home = interview.home(services.store, services.catalog, user_id=user_id, now=now())
        return render_home(home, list(services.catalog.questions.values()))

    @in_words
    def start(request: gr.Request, event: gr.EventData) -> str:
        user_id = services.known_candidate(candidate(request))
        session = interview.start(
            services.store,
            services.catalog,
            user_id=user_id,
            question_ids=str(event.questions).split(),
            mode=interview.Mode.PRACTICE,
            now=now(),
        )
        return f"/room?attempt={session.attempt_id}"

    page.load(load, None, shown, queue=False)
    shown.select(start, None, goto, queue=False).success(None, goto, None, js=GO)


def render_home(home: interview.HomeView, questions: Sequence[Question]) -> str:
    """Return the page's HTML."""
    return render(
        "home",
        unfinished=[
            {
                "title": sitting.attempt.title if sitting.attempt else "The next question",
                "position": min(sitting.done + 1, sitting.count),
                "count": sitting.count,
                "paused": sitting.attempt is not None and sitting.attempt.paused,
                "left": sitting.attempt.seconds_left if sitting.attempt else None,
                "href": f"/room?attempt={sitting.attempt.attempt_id}"
                if sitting.attempt
                else f"/room?session={sitting.session_id}",
            }
            for sitting in home.unfinished
        ],
        first=questions[0],
        screen=screen_plan(questions),
        questions=questions,
        past=[
            {
                "title": attempt.title,
                "when": attempt.submitted_at,
                "used": attempt.seconds_used,
                "score": past_score(attempt),
                "grader": feedback.describe(attempt.grader_kind).name.lower() if attempt.grader_kind else "",
                "href": f"/report?attempt={attempt.attempt_id}",
            }
            for attempt in home.past
        ],
    )


def past_score(attempt: interview.PastAttempt) -> str:
    """Return what stands for an attempt's score in the list."""
    if attempt.points is not None:
        return f"{attempt.points:.0f} of 100"
    if attempt.state is interview.FeedbackState.WAITING:
        return "being read"
    return "not graded"


def screen_plan(questions: Sequence[Question]) -> dict[str, object]:
    """Return a plan of questions of different kinds that fill, but don't exceed, a screen's minutes."""
    plan: list[Question] = []
    for question in questions:
        fits = sum(q.minutes for q in plan) + question.minutes <= SCREEN_MINUTES
        if fits and question.category not in {q.category for q in plan}:
            plan.append(question)
    several = plan if len(plan) > 1 else []
    return {"ids": [q.id for q in several], "minutes": sum(q.minutes for q in several)}
