"""The system as an interviewer or the host sees it: the model, what holds candidates' code, the grader, the store."""

from typing import Any

import gradio as gr

from webapp.pages.frame import REVIEW_LINKS, TIDY, bar, interviewer, page_in_words
from webapp.pages.view import render, view
from webapp.services import Services
from webapp.store import StoreNotReady

PATH = "system"


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page and connect its handler."""
    gr.Navbar(visible=False)
    bar("/review/system", REVIEW_LINKS, may_sign_out=not services.settings.personal)
    with gr.Column(elem_classes=["page", "narrow"]):
        shown = view(script=TIDY)

    @page_in_words()
    def load_system(request: gr.Request) -> str:
        interviewer(request)
        return render_system(services)

    page.load(load_system, None, shown, queue=False)


def render_system(services: Services) -> str:
    """Return the page's HTML."""
    engine = services.engine.get(timeout=0) if services.engine.state == "ready" else None
    health = services.grader.health()
    return render(
        "system",
        model=services.engine.progress,
        compiling=engine.compiling if engine else "",
        slots=[
            {"length": length, "slots": slots, "compiled": compiled, "passed": passed}
            for length, slots, compiled, passed in (engine.tables if engine else ())
        ],
        caches=engine.cache_report() if engine else [],
        code=services.jail.status,
        grader=health,
        store=store_line(services),
    )


def store_line(services: Services) -> dict[str, Any]:
    """Return which store it is and whether it answers."""
    kind = "PostgreSQL" if services.settings.store_url.startswith("postgres") else "SQLite"
    try:
        services.store.check()
    except StoreNotReady as error:
        return {"kind": kind, "ready": False, "sentence": str(error)}
    return {"kind": kind, "ready": True, "sentence": f"{kind} answers, with its schema up to date."}
