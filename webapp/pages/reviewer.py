"""The interviewers' pages: the submitted answers, one of them in full, and the questions."""

from typing import Any

import gradio as gr

from webapp import review
from webapp.pages import code, questions, system
from webapp.pages.calls import asked
from webapp.pages.frame import ACTS, REVIEW_LINKS, TIDY, attempt_in, bar, interviewer, page_in_words
from webapp.pages.kept import evidence
from webapp.pages.verdicts import NAMES, flag_sentences, gate_sentence, grader_card, segments, verdict_lines
from webapp.pages.view import render, view
from webapp.pages.wording import count
from webapp.services import Services, now
from webapp.store import Grade, GradeState

STATES = {
    GradeState.PENDING: "being read",
    GradeState.FAILED: "could not be graded",
}

CHOICES = [("", "Undecided"), *((verdict.value, name) for verdict, (name, _) in NAMES.items())]


def review_pages(services: Services) -> gr.Blocks:
    """Return the list of submitted attempts, one attempt's view, the questions, and the system."""
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
            return render("queue", items=[queue_line(item) for item in items], grader=services.grader.health())

        pages.load(load_queue, None, shown, queue=False)

    with pages.route("Attempt", "attempt", show_in_navbar=False) as page:
        gr.Navbar(visible=False)
        bar("/review/attempt", REVIEW_LINKS, may_sign_out=may_sign_out)
        with gr.Column(elem_classes=["page"]):
            notice = view()
            one = view(script=ACTS)
            with gr.Row(elem_classes=["actions"]):
                again = gr.Button("Grade this answer again")

        @page_in_words()
        def load_attempt(request: gr.Request) -> str:
            interviewer(request)
            return render_attempt(review.attempt(services.store, services.catalog, attempt_in(request)))

        @page_in_words(2)
        def decide(request: gr.Request, event: gr.EventData) -> list[Any]:
            reviewer_id, attempt_id = interviewer(request), attempt_in(request)
            review.decide(
                services.store,
                services.catalog,
                attempt_id=attempt_id,
                reviewer_id=reviewer_id,
                decisions=decisions(event.fields),
                now=now(),
            )
            return ["", render_attempt(review.attempt(services.store, services.catalog, attempt_id))]

        @page_in_words()
        def grade_again(request: gr.Request) -> str:
            interviewer(request)
            review.grade_again(services.store, attempt_id=attempt_in(request), now=now())
            services.worker.wake()
            return render("queued")

        page.load(load_attempt, None, one, queue=False)
        again.click(grade_again, None, notice, queue=False)
        one.select(decide, None, [notice, one], queue=False)

    with pages.route("Questions", questions.PATH, show_in_navbar=False) as page:
        questions.build(page, services)
    with pages.route("System", system.PATH, show_in_navbar=False) as page:
        system.build(page, services)
    return pages


def queue_line(item: review.QueueItem) -> dict[str, Any]:
    """Return one line of the list."""
    state = STATES.get(item.state)
    if state is None:
        name = grader_card(item.grader_kind)["name"].lower() if item.grader_kind else "grade"
        state = "not assessable" if item.score is None else f"{name} {item.score:.0f} of 100"
    return {
        "id": item.question_id,
        "title": item.title,
        "candidate": item.candidate,
        "when": item.submitted_at,
        "used": item.seconds_used,
        "state": state,
        "alarm": f"look first: two readings differ on {count(item.uncertain, 'criterion', 'criteria')}"
        if item.uncertain
        else "",
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
        code=code.kept_lines(item.runs),
        segments=segments(item.answer, item.criteria),
        grader_name=grader_card(grade.kind)["name"] if grade and grade.kind else "Feedback",
        state=queue_line(item)["state"],
        gate=gate_sentence(grade),
        flags=flag_sentences(grade),
        verdicts=[
            {**shown, "id": line.criterion.id, "decided": line.decided, "decided_reason": line.decided_reason}
            for shown, line in zip(verdict_lines(item.criteria), item.criteria, strict=True)
        ],
        runs=evidence(item.runs, for_review=True),
        choices=CHOICES,
        reviewed_at=item.reviewed_at,
        trouble=grade.error if grade and grade.error else "",
        asked=asked(item.calls),
        others=[other_grade(other) for other in item.grades if grade is None or other.id != grade.id],
        known=item.question.facts if item.question else (),
    )


def decisions(fields: Any) -> dict[str, review.Decision]:
    """Read the page's fields `verdict:<criterion>` and `reason:<criterion>`; anything else is passed over."""
    texts = {str(name): str(value) for name, value in fields.items()} if isinstance(fields, dict) else {}
    return {
        name.removeprefix("verdict:"): review.Decision(value, texts.get(name.replace("verdict:", "reason:", 1), ""))
        for name, value in texts.items()
        if name.startswith("verdict:")
    }


def other_grade(grade: Grade) -> dict[str, str]:
    """Return one line about a grading besides the one that is shown."""
    name = grader_card(grade.kind)["name"] if grade.kind else "Grading"
    state = STATES.get(grade.state) or ("no score" if grade.score is None else f"{grade.score:.0f} of 100")
    return {
        "name": name,
        "facts": ", ".join(fact for fact in (grade.model, grade.version and f"version {grade.version}") if fact),
        "state": f"{state}: {grade.error}" if grade.error else state,
    }
