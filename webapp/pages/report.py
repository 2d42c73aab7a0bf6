"""The report on one answer: what was found in the candidate's own words."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from content import Question, Tier
from webapp import feedback, interview
from webapp.pages import code
from webapp.pages.frame import TIDY, attempt_in, candidate, candidate_bar, page_in_words, visit_of
from webapp.pages.kept import evidence
from webapp.pages.room import FORMULAS
from webapp.pages.verdicts import flag_sentences, gate_sentence, grader_card, segments, verdict_lines
from webapp.pages.view import render, view
from webapp.pages.wording import count, moment
from webapp.services import Services, now
from webapp.store import Grade, Run

PATH = "report"
ASK_AGAIN_SECONDS = 2.0
STATES = {
    interview.FeedbackState.FAILED: "Your answer is stored, but it could not be graded. It has no score; the host can "
    "have it graded again.",
    interview.FeedbackState.NOT_RELEASED: "This was an assessment. An interviewer releases its feedback.",
    interview.FeedbackState.ASSESSMENT_UNDERWAY: "The feedback appears once your open assessment is over.",
}


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    gr.Navbar(visible=False)
    candidate_bar("/report", services)
    with gr.Column(elem_classes=["page"]):
        shown = view(script=TIDY)
        own = view(script="vivalab.own(element)")
        with gr.Accordion("Model answer", open=False, visible=False, elem_classes=["card"]) as model_answer:
            model_text = gr.Markdown(latex_delimiters=FORMULAS)
        with gr.Accordion(
            "Your answer as it reads with formulas and diagrams", open=False, visible=False, elem_classes=["card"]
        ) as own_answer:
            own_text = gr.Markdown(latex_delimiters=FORMULAS)
    timer = gr.Timer(ASK_AGAIN_SECONDS, active=False)

    def values(request: gr.Request, *, again: bool) -> list[Any]:
        user_id, attempt_id = candidate(request), attempt_in(request)
        report = interview.report(
            services.store,
            services.catalog,
            user_id=user_id,
            attempt_id=attempt_id,
            grade_id=str(request.query_params.get("grade", "")),
            now=now(),
        )
        reading = services.own_models.reading(visit_of(request), report.answer_id)
        is_read = reading is not None and not reading.done
        waiting = is_read or report.state is interview.FeedbackState.WAITING
        runs = services.store.runs(user_id, attempt_id)
        question = services.catalog.questions.get(report.question_id)
        estimate = meanwhile(services, report, question)
        unchanged = [gr.skip()] * 4
        return [
            render_report(report, question, runs, meanwhile=estimate, reading=reading),
            # what is being typed there stays while the page looks again
            gr.skip() if again and waiting else render_own(services, report, visit_of(request), is_read=is_read),
            *(
                unchanged
                if again
                else [
                    gr.update(visible=report.model_answer is not None),
                    report.model_answer or "",
                    gr.update(visible=bool(report.answer)),
                    report.answer,
                ]
            ),
            gr.Timer(ASK_AGAIN_SECONDS, active=waiting),
        ]

    @page_in_words(7)
    def load(request: gr.Request) -> list[Any]:
        return values(request, again=False)

    @page_in_words(7)
    def look_again(request: gr.Request) -> list[Any]:
        return values(request, again=True)

    outputs = [shown, own, model_answer, model_text, own_answer, own_text, timer]
    page.load(load, None, outputs, queue=False)
    timer.tick(look_again, None, outputs, queue=False)


def render_own(services: Services, report: interview.ReportView, visit: str | None, *, is_read: bool) -> str:
    """Return the part in which a candidate brings a model of their own; empty where none may be used."""
    if not services.own_models.open or not report.shown:
        return ""
    endpoint = services.own_models.endpoint(visit)
    return render(
        "own_model",
        attempt=report.attempt_id,
        kept={"model": endpoint.model, "host": endpoint.host} if endpoint else None,
        is_read=is_read,
    )


def meanwhile(services: Services, report: interview.ReportView, question: Question | None) -> str:
    """Return what the embedded estimate makes of an answer that the host's language model is still to read."""
    unread = report.state is interview.FeedbackState.WAITING
    if not unread or services.grader.kind == feedback.CoverageGrader.kind or question is None:
        return ""
    estimate = feedback.estimate(question, report.answer)
    if estimate.gate:
        return ""
    met = sum(verdict.verdict is feedback.Verdict.MET for verdict in estimate.verdicts)
    return (
        f"Meanwhile, the embedded coverage estimate finds {met} of {len(question.criteria)} key points. It is another "
        "kind of grader; its figure is not kept and can't be compared with the model's."
    )


def waiting_sentence(grade: Grade | None) -> str:
    """Return how far the reading of a stored answer is."""
    if grade and grade.error:
        return (
            "Your answer is stored. The grader could not be asked just now, so the answer waits and is tried again by "
            f"itself, at the latest at {moment(grade.due_at)}. It gets no score until it is read."
        )
    if grade and grade.criteria_count:
        read = f"{grade.criteria_read} of {grade.criteria_count} criteria read"
        return f"Your answer is stored and is being read: {read}. This page shows the result by itself."
    return "Your answer is stored and is being read. This page shows the result by itself."


def render_report(
    report: interview.ReportView,
    question: Question | None,
    runs: Sequence[Run],
    meanwhile: str = "",
    reading: feedback.OwnReading | None = None,
) -> str:
    """Return the page's HTML; `reading` is how far the candidate's own model is."""
    grade = report.grade if report.state is interview.FeedbackState.GRADED else None
    card = grader_card(grade.kind) if grade and grade.kind else None
    return render(
        "report",
        title=report.title,
        used=report.seconds_used,
        allowed=report.seconds_allowed,
        by_deadline=report.submitted_by is interview.Submitter.DEADLINE,
        when=report.submitted_at,
        facts=[
            *([f"{report.extended_seconds / 60:.0f} minutes added"] if report.extended_seconds else []),
            *([f"{count(len(report.hints), 'hint')}, −{report.hint_cost}"] if report.hints else []),
            *([count(len(runs), "sandbox run")] if runs else []),
        ],
        points=points(report, question, card) if grade and question else None,
        waiting=waiting_sentence(report.grade)
        if report.state is interview.FeedbackState.WAITING
        else STATES.get(report.state),
        progress=reading_progress(report.grade) if report.state is interview.FeedbackState.WAITING else None,
        meanwhile=meanwhile,
        own=own_sentence(reading),
        gradings=[grading_line(report, grading) for grading in report.gradings] if len(report.gradings) > 1 else [],
        gate=gate_sentence(grade),
        flags=flag_sentences(grade),
        tiers=tiers(report, question) if grade and question and grade.score is not None else [],
        runs=evidence(runs),
        code=code.kept_lines(runs),
        segments=segments(report.answer, report.criteria),
        verdicts=verdict_lines(report.criteria, probe_when_missed=True) if grade else [],
        grader=card,
    )


def reading_progress(grade: Grade | None) -> dict[str, int] | None:
    """Return how many of how many criteria are read, None where that isn't known."""
    if grade is None or not grade.criteria_count or grade.error:
        return None
    return {"read": grade.criteria_read or 0, "count": grade.criteria_count}


def own_sentence(reading: feedback.OwnReading | None) -> str:
    """Return how far the candidate's own model is, or why it gave no grade."""
    if reading is None or (reading.done and not reading.trouble):
        return ""
    if reading.trouble:
        return f"Your own model gave no grade: {reading.trouble} Nothing was changed; try again or enter another model."
    return f"Your own model is reading: {reading.read} of {count(reading.count, 'criterion', 'criteria')} read."


def grading_line(report: interview.ReportView, grading: Grade) -> dict[str, Any]:
    """Return one line of the list of gradings."""
    return {
        "name": grader_card(grading.kind)["name"] if grading.kind else "Grade",
        "model": grading.model,
        "version": grading.version,
        "when": grading.graded_at,
        "score": "no score" if grading.score is None else f"{grading.score:.0f} of 100",
        "here": report.grade is not None and grading.id == report.grade.id,
        "href": f"/report?attempt={report.attempt_id}&grade={grading.id}",
    }


def points(report: interview.ReportView, question: Question, card: dict[str, Any] | None) -> dict[str, Any]:
    """Return how many of the criteria were found, and the words that stand with the figure."""
    met = [line for line in report.criteria if line.verdict == feedback.Verdict.MET]
    words = f"{card['name'] if card else 'Score'}, not a grade."
    ungraded = [line for line in report.criteria if line.verdict is None]
    if report.score is None and ungraded and len(ungraded) < len(report.criteria):
        words += f" {count(len(ungraded), 'criterion', 'criteria')} could not be graded, so there is no score."
    elif report.score is None:
        words += " This answer could not be assessed."
    else:
        words += f" Weighted {report.score:.0f} of 100"
        words += f", {report.points:.0f} after hints." if report.hint_cost else "."
    return {"found": len(met), "total": len(question.criteria), "words": words}


def tiers(report: interview.ReportView, question: Question) -> list[dict[str, Any]]:
    """Return for each tier how many criteria were met, and the line that the answer reached."""
    met = {line.criterion.id for line in report.criteria if line.verdict == feedback.Verdict.MET}
    reached = question.line_reached(met)
    levels = list(question.lines)
    shown = []
    for tier, level in zip(Tier, levels, strict=False):
        criteria = [c for c in question.criteria if c.tier is tier]
        missed = [c for c in criteria if c.id not in met]
        is_reached = reached is not None and levels.index(level) <= levels.index(reached)
        words = f"{level} line reached" if is_reached else f"{level} line not reached"
        if missed and not is_reached:
            words += f"; next: {missed[0].text[0].lower()}{missed[0].text[1:]}"
        shown.append(
            {
                "name": tier.value.capitalize(),
                "met": len(criteria) - len(missed),
                "count": len(criteria),
                "tone": "good" if is_reached else "bad",
                "words": words,
            }
        )
    return shown
