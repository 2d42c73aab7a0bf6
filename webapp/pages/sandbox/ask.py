"""The sandbox's first page: ask the live model."""

import gradio as gr

from webapp.pages import live
from webapp.services import Services

NAME = "Ask"
PATH = ""


def build(page: gr.Blocks, services: Services) -> None:
    """Lay out the page."""
    live.build(page, services)
