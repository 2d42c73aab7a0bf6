"""The interviewers' pages: the submitted answers, one of them in full, and the questions."""

from typing import Any

import gradio as gr

from webapp import review
from webapp.pages import questions
from webapp.pages.frame import REVIEW_LINKS, TIDY, attempt_in, bar, interviewer, page_in_words
from webapp.pages.verdicts import flag_sentences, gate_sentence, grader_card, segments, verdict_lines
from webapp.pages.view import render, view
from webapp.pages.wording import count
from webapp.services import Services
from webapp.store import GradeState

STATES = {
    GradeState.PENDING: "being read",
    GradeState.FAILED: "could not be graded",
}


def review_pages(services: Services) -> gr.Blocks:
    """Return the list of submitted attempts, one attempt's view, and the questions."""
    may_sign_out = not services.settings.personal
    with gr.Blocks(title="Vivalab review", analytics_enabled=False, fill_width=True) as pages:
        gr.Navbar(visible=False)
        bar("/review/", REVIEW_LINKS, may_sign_out=may_sign_out)
        with gr.Column(elem_classes=["page", "narrow"]):
            shown = view(script=TIDY)

        @page_in_words()
        def load_queue(request: gr.Request) -> str:
            interviewer(request)
            items = review.queue(services.store, services.catalog)
            return render("queue", items=[queue_line(item) for item in items])

        pages.load(load_queue, None, shown, queue=False)

    with pages.route("Attempt", "attempt", show_in_navbar=False) as page:
        gr.Navbar(visible=False)
        bar("/review/attempt", REVIEW_LINKS, may_sign_out=may_sign_out)
        with gr.Column(elem_classes=["page"]):
            one = view(script=TIDY)

        @page_in_words()
        def load_attempt(request: gr.Request) -> str:
            interviewer(request)
            return render_attempt(review.attempt(services.store, services.catalog, attempt_in(request)))

        page.load(load_attempt, None, one, queue=False)

    with pages.route("Questions", questions.PATH, show_in_navbar=False) as page:
        questions.build(page, services)
    return pages


def queue_line(item: review.QueueItem) -> dict[str, Any]:
    """Return one line of the list."""
    state = STATES.get(item.state)
    if state is None:
        state = "not assessable" if item.score is None else f"{item.grader_kind} estimate {item.score:.0f} of 100"
    return {
        "id": item.question_id,
        "title": item.title,
        "candidate": item.candidate,
        "when": item.submitted_at,
        "used": item.seconds_used,
        "state": state,
        "href": f"/review/attempt?attempt={item.attempt_id}",
    }


def render_attempt(item: review.AttemptReview) -> str:
    """Return the page of one attempt."""
    grade = item.grade
    return render(
        "review",
        title=item.title,
        candidate=item.candidate,
        used=item.seconds_used,
        allowed=item.seconds_allowed,
        when=item.submitted_at,
        facts=[
            item.question_id,
            str(item.mode),
            f"submitted by the {item.submitted_by}",
            count(item.drafts, "draft"),
            f"{count(len(item.hints), 'hint')}{f', −{item.hint_cost}' if item.hint_cost else ''}",
            count(len(item.runs), "sandbox run"),
        ],
        segments=segments(item.answer, item.criteria),
        grader_name=grader_card(grade.kind)["name"] if grade and grade.kind else "Feedback",
        state=queue_line(item)["state"],
        gate=gate_sentence(grade),
        flags=flag_sentences(grade),
        verdicts=verdict_lines(item.criteria),
        known=item.question.facts if item.question else (),
    )
