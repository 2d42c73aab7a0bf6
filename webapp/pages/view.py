"""Views: HTML templates that the browser fills with data.

Templates are Handlebars files in `templates/`; `{{ }}` escapes whatever stands in it, so that candidates' and models'
text can be shown. A view's value is plain data (dict, list, str, number), never markup.
"""

from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

TEMPLATES = Path(__file__).parent / "templates"


@cache
def template(name: str) -> str:
    """Return the text of a template file."""
    return (TEMPLATES / f"{name}.hbs").read_text(encoding="utf-8")


class View(gr.HTML):
    """A template filled with data; `script` runs once it stands in the page."""

    def __init__(self, name: str, *, value: Any = None, script: str | None = None, **kwargs: Any) -> None:
        classes = ["views", *kwargs.pop("elem_classes", [])]
        super().__init__(
            value=value,
            html_template=template(name),
            js_on_load=script,
            apply_default_css=False,
            elem_classes=classes,
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        """Return the type of the value: any data."""
        return {}


class Picture(gr.Image):
    """An image input that hands over the uploaded file as it is; what it is gets checked where it is opened."""

    def preprocess(self, payload: Any) -> str | None:
        """Return the path of the uploaded file, None without one."""
        return payload.path if payload else None
