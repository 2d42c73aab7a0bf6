"""The sandbox: the live model by itself."""

import gradio as gr

from webapp.pages import live
from webapp.pages.frame import candidate_bar
from webapp.services import Services

PATH = "sandbox"


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page."""
    gr.Navbar(visible=False)
    candidate_bar("/sandbox", services)
    with gr.Column(elem_classes=["page"]):
        live.build(page, services)
