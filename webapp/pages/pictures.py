"""The choice of a picture: a gallery of scenes, an editor for one's own, and upload, webcam or paste.

What is chosen is a source (see `webapp.pictures`), a short text in a hidden component; handlers take it as input and
open it by `services.pictures.get(user_id, source)`, which gives nobody another person's upload.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from sandbox import BadInput, tiny
from webapp.pages.frame import ACTS, candidate, in_words
from webapp.pages.view import picture_input, render, view
from webapp.pictures import Drawing, Thing, title
from webapp.services import Services

SCENES = (*(f"scene:{seed}" for seed in (11, 27, 32, 58, 64, 71, 80, 93, 104, 117, 126)), "wide:11")
FIRST = SCENES[0]
COMPACT_SCENES = 6


@dataclass(frozen=True)
class Chooser:
    """The components of a choice."""

    source: gr.Textbox
    """Hidden; its value is the chosen picture's source, empty for none."""
    shown: gr.HTML
    """Shows the chosen picture."""

    @property
    def outputs(self) -> list[Any]:
        """What a handler that chooses a picture writes; `choice(source)` gives the values."""
        return [self.shown, self.source]


def choice(source: str) -> list[Any]:
    """Return the values of a chooser's outputs for a picture, or for none by an empty source."""
    return [render("chosen", source=source, title=title(source)), source]


def build(page: gr.Blocks, services: Services, *, compact: bool = False, first: str = FIRST) -> Chooser:
    """Lay out the choice and connect its handlers.

    Args:
        page: The page.
        services: The application's services.
        compact: Whether it stands in a narrow column.
        first: The picture that is chosen to begin with.
    """
    scenes = SCENES[:COMPACT_SCENES] if compact else SCENES
    shown = view(choice(first)[0], script=ACTS)
    source = gr.Textbox(first, visible=False)
    with gr.Tabs(elem_classes=["picture-tabs"]):
        with gr.Tab("Scenes"):
            gallery = view(render("scenes", scenes=scenes), script=ACTS)
        with gr.Tab("Draw"):
            editor = view(render_editor(Drawing()), script=ACTS)
        with gr.Tab("Upload"):
            upload = picture_input(
                label="A picture of yours", sources=["upload", "webcam", "clipboard"], height=190, show_label=False
            )
            view(render("small_print", text=upload_sentence(services)))
    drawing = gr.Textbox(Drawing().source, visible=False)
    chooser = Chooser(source, shown)

    @in_words
    def take_scene(request: gr.Request, event: gr.EventData) -> list[Any]:
        candidate(request)
        return choice(str(event.source))

    @in_words
    def remove_picture(request: gr.Request) -> list[Any]:
        candidate(request)
        return choice("")

    @in_words
    def take_upload(path: str | None, request: gr.Request) -> list[Any]:
        user_id = candidate(request)
        if not path:
            return [gr.skip(), gr.skip(), gr.skip()]
        return [*choice(take_from_cache(services, user_id, Path(path))), None]

    @in_words
    def edit(before: str, request: gr.Request, event: gr.EventData) -> list[Any]:
        candidate(request)
        old = Drawing.of(before)
        new = edited(old, event)
        try:
            new.picture()
        except BadInput as problem:
            return [render_editor(old, picked(event), str(problem)), gr.skip(), gr.skip(), gr.skip()]
        return [render_editor(new, picked(event)), new.source, *choice(new.source)]

    gallery.select(take_scene, None, chooser.outputs, queue=False)
    shown.select(remove_picture, None, chooser.outputs, queue=False)
    editor.select(edit, drawing, [editor, drawing, *chooser.outputs], queue=False)
    upload.input(take_upload, upload, [*chooser.outputs, upload], concurrency_limit=4, concurrency_id="upload")
    return chooser


def take_from_cache(services: Services, user_id: str, path: Path) -> str:
    """Move an uploaded file from Gradio's cache, which every visitor's browser could read, to its owner's folder."""
    try:
        return services.pictures.keep(user_id, path.read_bytes())
    finally:
        path.unlink(missing_ok=True)


def upload_sentence(services: Services) -> str:
    """Return what happens to an upload."""
    days, megabytes = services.settings.upload_days, services.settings.max_upload_mb
    return (
        f"Up to {megabytes} MB. Only you can see it; it is removed after {days} days, or on the page Runs, but stays "
        "with an answer whose run shows it."
    )


def picked(event: Any) -> dict[str, str]:
    """Return what the editor's fields say, as the browser sent them."""
    fields = event.fields if isinstance(event.fields, dict) else {}
    return {name: str(value) for name, value in fields.items()}


def edited(before: Drawing, event: Any) -> Drawing:
    """Return the drawing after a click on a cell, which puts or takes away, or a change of ground or text."""
    fields, act = picked(event), str(event.act)
    if act == "clear":
        return Drawing(background=before.background)
    things = before.things
    if act == "cell":
        cell = int(event.cell)
        rest = tuple(thing for thing in things if thing.cell != cell)
        small_or_large = "small" if fields.get("size") == "small" else "large"
        new = Thing(shape=fields.get("shape", ""), color=fields.get("color", ""), size=small_or_large, cell=cell)
        things = rest if new in things else (*rest, new)
    return Drawing(
        background=fields.get("background", before.background),
        things=things,
        text=fields.get("text", before.text).strip().upper(),
        row=fields.get("row", before.row),
    )


def render_editor(drawing: Drawing, fields: dict[str, str] | None = None, problem: str = "") -> str:
    """Return the editor's HTML, its fields as they were picked."""
    fields = fields or {}
    by_cell = {thing.cell: f"{thing.size} {thing.color} {thing.shape}" for thing in drawing.things}
    return render(
        "editor",
        source=drawing.source,
        cells=[{"place": place, "what": by_cell.get(cell, "empty")} for cell, place in enumerate(tiny.POSITIONS)],
        pickers=[
            picker("shape", "Shape", tiny.SHAPES, fields.get("shape", "circle")),
            picker("color", "Color", tiny.COLORS, fields.get("color", "red")),
            picker("size", "Size", ("large", "small"), fields.get("size", "large")),
        ],
        ground=picker("background", "Ground", tiny.BACKGROUNDS, drawing.background),
        row=picker("row", "in the row", tiny.ROWS, drawing.row),
        text=fields.get("text", drawing.text) if problem else drawing.text,
        problem=problem,
    )


def picker(name: str, label: str, choices: Any, chosen: str) -> dict[str, Any]:
    """Return what a list to pick from shows."""
    return {"name": name, "label": label, "choices": list(choices), "chosen": chosen}
