"""The sandbox's pages in one Gradio app: the live model by itself, and what can be done with it."""

from types import ModuleType

import gradio as gr

from webapp.pages.frame import candidate_bar
from webapp.pages.model import model_choice
from webapp.pages.sandbox import (
    ask,
    batching,
    cache,
    code,
    compare,
    pipeline,
    prompting,
    run,
    runs,
    search,
    swap,
    video,
)
from webapp.pages.view import render, view
from webapp.services import Services

CACHE_SECONDS = 3600
MOUNT = "/sandbox"

TABS: tuple[ModuleType, ...] = (ask, pipeline, compare, prompting, batching, cache, search, video, code, swap, runs)
"""Each has NAME, PATH (under `/sandbox/`) and build(page, services); the first is the sandbox's first page."""
OTHERS: tuple[ModuleType, ...] = (run,)
"""Pages that are reached by links alone."""


def sandbox_pages(services: Services) -> gr.Blocks:
    """Return every page of the sandbox, each under the same head."""
    first, *rest = TABS
    with gr.Blocks(
        title="Vivalab sandbox", analytics_enabled=False, fill_width=True, delete_cache=(CACHE_SECONDS, CACHE_SECONDS)
    ) as pages:
        lay_out(pages, first, services)
    for module in (*rest, *OTHERS):
        with pages.route(module.NAME, module.PATH, show_in_navbar=False) as page:
            lay_out(page, module, services)
    return pages


def lay_out(page: gr.Blocks, module: ModuleType, services: Services) -> None:
    """Lay out a page: the bar, the tabs with the model's line, and what the page itself has."""
    gr.Navbar(visible=False)
    candidate_bar("/sandbox/", services)
    tabs = [{"name": tab.NAME, "href": f"{MOUNT}/{tab.PATH}", "here": tab is module} for tab in TABS]
    view(render("sandbox_tabs", tabs=tabs))
    with gr.Column(elem_classes=["page", "sandbox"]):
        model_choice(page, services)
        module.build(page, services)
