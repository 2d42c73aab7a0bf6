"""The runs beside an answer, in the room: those that stand there, and the earlier ones that can be attached."""

import gradio as gr

from webapp import interview
from webapp.pages.frame import ACTS, attempt_in, candidate, page_in_words
from webapp.pages.kept import parts
from webapp.pages.view import render, view
from webapp.services import Services, now

MOST_EARLIER = 12


def build(page: gr.Blocks, services: Services, asking: gr.events.Dependency) -> None:
    """Lay out the lists and connect their handlers; they are read again after each run that `asking` makes."""
    shown = view(script=ACTS)

    @page_in_words()
    def load_evidence(request: gr.Request) -> str:
        return render_evidence(services, candidate(request), attempt_in(request))

    @page_in_words()
    def attach_run(request: gr.Request, event: gr.EventData) -> str:
        user_id, attempt_id = candidate(request), attempt_in(request)
        interview.attach(services.store, user_id=user_id, run_id=str(event.run), attempt_id=attempt_id, now=now())
        return render_evidence(services, user_id, attempt_id)

    page.load(load_evidence, None, shown, queue=False)
    asking.then(load_evidence, None, shown, queue=False)
    shown.select(attach_run, None, shown, queue=False)


def render_evidence(services: Services, user_id: str, attempt_id: str) -> str:
    """Return the lists' HTML; empty without an attempt."""
    if not attempt_id:
        return ""
    services.store.attempt(user_id=user_id, attempt_id=attempt_id)
    earlier = interview.attachable(services.store, user_id=user_id, limit=MOST_EARLIER)
    return render(
        "evidence",
        beside=[parts(run) for run in services.store.runs(user_id, attempt_id) if run.kind != interview.KIND],
        earlier=[parts(run) for run in earlier],
    )
