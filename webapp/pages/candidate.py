"""The candidates' pages in one Gradio app."""

import gradio as gr

from webapp.pages import grader, home, report, room
from webapp.services import Services

CACHE_SECONDS = 3600


def candidate_pages(services: Services) -> gr.Blocks:
    """Return home, the interview room, the report, and how good the graders are."""
    with gr.Blocks(
        title="Vivalab", analytics_enabled=False, fill_width=True, delete_cache=(CACHE_SECONDS, CACHE_SECONDS)
    ) as pages:
        home.build(pages, services)
    for name, module in (("Interview", room), ("Report", report), ("Grader", grader)):
        with pages.route(name, module.PATH, show_in_navbar=False) as page:
            module.build(page, services)
    return pages
