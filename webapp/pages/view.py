"""Views: HTML written on the server from templates and data.

Templates are Jinja files in `templates/` with autoescape, so that candidates' and models' text is always text.

Gradio's own templates for `gr.HTML` are not used for data: Gradio fills their `{{ }}` first and then evaluates the
result as a JavaScript template literal, so a candidate's `${...}` would run in the reader's browser, and a backslash
would break the page. A finished string as the component's value is never evaluated.

These are functions rather than subclasses of Gradio's components, because Gradio writes a stub file beside the module
of every subclass.
"""

from pathlib import Path
from typing import Any

import gradio as gr
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from webapp.pages import wording

TEMPLATES = Path(__file__).parent / "templates"

templates = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters.update(clock=wording.clock, moment=wording.moment, shape=wording.shape)
templates.globals.update(count=wording.count)


SCRIPT = '<script src="/site/vivalab.js"></script>'


def render(name: str, **data: Any) -> str:
    """Return a template filled with data; every value is escaped."""
    return templates.get_template(f"{name}.html").render(data)


def view(value: str = "", *, script: str | None = None, **options: Any) -> gr.HTML:
    """Return a component that shows rendered HTML; `script` runs once it stands in the page."""
    return gr.HTML(
        value=value,
        js_on_load=script,
        head=SCRIPT if script else None,  # Gradio runs `script` once this has loaded
        apply_default_css=False,
        elem_classes=["views", *options.pop("elem_classes", [])],
        **options,
    )


def picture_input(**options: Any) -> gr.Image:
    """Return an image input that hands over the uploaded file's path; what it is gets checked where it is opened."""
    image = gr.Image(type="filepath", **options)
    # Gradio would decode the picture here, before any limit on its pixels.
    image.preprocess = lambda payload: payload.path if payload else None
    return image
