"""The interview room: the question, the answer and its clock, and the live model beside them."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from content import Form
from webapp import interview
from webapp.pages import code, evidence, live
from webapp.pages.frame import attempt_in, candidate, page_in_words
from webapp.pages.home import GO
from webapp.pages.view import render, view
from webapp.pages.wording import milliseconds
from webapp.services import Services, now

PATH = "room"
FORMULAS = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
    {"left": "\\(", "right": "\\)", "display": False},
    {"left": "\\[", "right": "\\]", "display": True},
]
NOT_JUDGED = """In this version you ask the model and read the trace of every stage; predictions and repairs are not
judged yet."""
HAND_IN = "() => vivalab.room.hand_in()"
HANDED_IN = "(url) => { if (url) { vivalab.room.handed_in(); vivalab.go(url); } }"


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handlers."""
    gr.Navbar(visible=False)
    head = view(script="vivalab.room.mount(element, watch)")
    goto, handed = gr.Textbox(visible=False), gr.JSON(visible=False)
    with gr.Column(elem_classes=["page"]), gr.Row(elem_classes=["room"]):
        with gr.Column(elem_classes=["card", "question"]):
            title = view()
            statement = gr.Markdown(latex_delimiters=FORMULAS)
            hints = view()
            hint = gr.Button("Show a hint", visible=False)
        with gr.Column(elem_classes=["answer", "stack"]):
            with gr.Column(elem_classes=["card"]):
                view(render("editor_head"))
                notice = view()
                with gr.Tabs():
                    with gr.Tab("Write"):
                        text = gr.Textbox(lines=16, max_lines=40, show_label=False, container=False, elem_id="answer")
                    with gr.Tab("Preview") as preview_tab:
                        preview = gr.Markdown(elem_id="preview", latex_delimiters=FORMULAS)
                with gr.Row(elem_classes=["actions"]):
                    submit_button = gr.Button("Submit answer", variant="primary")
                    pause_button = gr.Button("Pause", visible=False)
                    extend_button = gr.Button(f"Add {interview.EXTENSION_MINUTES} minutes", visible=False)
                view(
                    '<p class="small dim">Markdown, formulas ($…$) and Mermaid diagrams work; see Preview. '
                    "Every change is saved.</p>"
                )
            panel = code.build(services, exercise_in(services), "in_room")
        with gr.Column(elem_classes=["card", "live"]):
            exercise_title = view()
            with gr.Accordion("What to do", open=False, elem_classes=["fold"]):
                exercise = gr.Markdown(latex_delimiters=FORMULAS)
                not_judged = view(render("small_print", text=NOT_JUDGED))
            evidence.build(page, services, live.build(page, services, compact=True))

    shown = [head, title, statement, hints, hint, pause_button, extend_button, exercise_title, exercise, not_judged]
    shown.append(notice)

    @page_in_words(len(shown), place=-1)
    def more_time(request: gr.Request) -> list[Any]:
        user_id, attempt_id = candidate(request), attempt_in(request)
        room = interview.extend(services.store, services.catalog, user_id=user_id, attempt_id=attempt_id, now=now())
        return room_values(room, services)

    filled = [*shown, *panel.outputs]

    @page_in_words(len(filled) + 1, place=1)
    def load(request: gr.Request) -> list[Any]:
        user_id, attempt_id = candidate(request), attempt_in(request)
        if session_id := request.query_params.get("session"):
            opened = interview.open_next(
                services.store, services.catalog, user_id=user_id, session_id=session_id, now=now()
            )
            return [*[gr.skip()] * len(filled), f"/room?attempt={opened.attempt_id}"]
        if not attempt_id:
            return [*[gr.skip()] * len(filled), "/"]
        room = interview.room(services.store, services.catalog, user_id=user_id, attempt_id=attempt_id, now=now())
        if room.submitted:
            return [*[gr.skip()] * len(filled), f"/report?attempt={attempt_id}"]
        has_code = services.catalog.questions[room.question_id].exercise.form is Form.CODE
        code_values = code.values(services, user_id, room.question_id, attempt_id) if has_code else code.hidden()
        return [*room_values(room, services), *code_values, gr.skip()]

    @page_in_words(len(shown), place=-1)
    def take_hint(request: gr.Request) -> list[Any]:
        user_id, attempt_id = candidate(request), attempt_in(request)
        before = interview.room(services.store, services.catalog, user_id=user_id, attempt_id=attempt_id, now=now())
        room = interview.take_hint(
            services.store,
            services.catalog,
            user_id=user_id,
            attempt_id=attempt_id,
            number=len(before.hints) + 1,
            now=now(),
        )
        return room_values(room, services)

    @page_in_words(len(shown), place=-1)
    def pause_or_resume(request: gr.Request) -> list[Any]:
        user_id, attempt_id = candidate(request), attempt_in(request)
        before = interview.room(services.store, services.catalog, user_id=user_id, attempt_id=attempt_id, now=now())
        rule = interview.resume if before.paused else interview.pause
        room = rule(services.store, services.catalog, user_id=user_id, attempt_id=attempt_id, now=now())
        return room_values(room, services)

    @page_in_words(2, place=1)
    def submit(handed_in: dict[str, Any], request: gr.Request) -> list[Any]:
        user_id, attempt_id = candidate(request), attempt_in(request)
        if handed_in.get("cancelled"):
            return [gr.skip(), ""]
        done = interview.submit(
            services.store,
            services.catalog,
            user_id=user_id,
            attempt_id=attempt_id,
            text=str(handed_in["text"]),
            revision=int(handed_in["revision"]),
            now=now(),
        )
        services.worker.wake()
        return [f"/report?attempt={attempt_id}" if done.session_over else f"/room?session={done.session_id}", ""]

    page.load(load, None, [*filled, goto], queue=False).success(None, goto, None, js=GO)
    preview_tab.select(None, text, preview, js="(text) => text")
    hint.click(take_hint, None, shown, queue=False)
    pause_button.click(pause_or_resume, None, shown, queue=False)
    extend_button.click(more_time, None, shown, queue=False)
    submit_button.click(submit, handed, [goto, notice], queue=False, js=HAND_IN).success(None, goto, None, js=HANDED_IN)


def room_values(room: interview.RoomView, services: Services) -> list[Any]:
    """Return the page's values, in the order of its outputs, with an empty notice."""
    practice = room.mode is interview.Mode.PRACTICE
    hint_label = f"Show hint {len(room.hints) + 1} of {len(room.hints) + room.hints_left} (−{room.next_hint_cost})"
    exercise = services.catalog.questions[room.question_id].exercise
    return [
        render("room_bar", room=told(room)),
        render("question", room=room),
        room.statement,
        render("hints", hints=room.hints),
        gr.update(value=hint_label, visible=room.next_hint_cost is not None, interactive=not room.paused),
        gr.update(value="Resume" if room.paused else "Pause", visible=practice),
        gr.update(visible=practice, interactive=not room.paused),
        render("exercise", exercise=exercise),
        exercise.statement,
        gr.update(visible=exercise.form is not Form.CODE),
        "",
    ]


def exercise_in(services: Services) -> Callable[[gr.Request], tuple[str, str | None]]:
    """Return what finds the exercise and the attempt that the room's address names."""

    def target(request: gr.Request) -> tuple[str, str | None]:
        attempt_id = attempt_in(request)
        record = services.store.attempt(user_id=candidate(request), attempt_id=attempt_id)
        return record.attempt.question_id, attempt_id

    return target


def told(room: interview.RoomView) -> dict[str, Any]:
    """Return what the browser's clock and editor need; times in milliseconds since 1970, by the server's clock."""
    return {
        "attempt_id": room.attempt_id,
        "report_url": f"/report?attempt={room.attempt_id}"
        if room.position == room.count
        else f"/room?session={room.session_id}",
        "position": room.position,
        "count": room.count,
        "deadline_ms": milliseconds(room.deadline),
        "server_ms": milliseconds(room.server_now),
        "paused_ms": milliseconds(room.deadline) - round(room.seconds_left * 1000) if room.paused else None,
        "allowed_s": room.seconds_allowed,
        "text": room.text,
        "revision": room.revision,
        "saved_ms": milliseconds(room.saved_at) if room.saved_at else None,
    }
