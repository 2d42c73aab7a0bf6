"""How a run's trace reads: stages, shapes, times, the processed pictures and the prompt's tokens."""

import base64
import io
from typing import Any

from PIL import Image

from sandbox import ArraySummary, Reply, Trace
from webapp.pages.view import render
from webapp.pages.wording import count, shape

MOST_PIECES = 400
MOST_SQUARES = 12
MOST_MARKS = 600
"""Marks in the strip for one picture; above it, a mark stands for several tokens."""
WORK = {
    "open": "decodes the files, turns them upright, makes them RGB",
    "preprocess": "resizes, crops and normalizes to what the vision tower takes",
    "encode": "runs the vision tower up to the chosen layer",
    "select": "drops the class token",
    "reduce": "may drop or merge image tokens; by itself it keeps all",
    "project": "maps each feature into the language model's embedding space",
    "prompt": "applies the chat template, makes room for the pictures, tokenizes",
    "merge": "puts the projected features where the image tokens stand",
    "generate": "prefills the prompt, then chooses token after token",
}
"""What each stage does, in words."""


def data_url(image: Image.Image) -> str:
    """Return a small picture as a `data:` address; as such it never lies in a folder that others can read."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return png_url(buffer.getvalue())


def png_url(data: bytes) -> str:
    """Return an encoded PNG as a `data:` address."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def render_trace(reply: Reply) -> str:
    """Return the trace's HTML."""
    trace = reply.trace
    slowest = max((record.seconds for record in trace.stages), default=0) or 1
    return render(
        "trace",
        pictures=pictures(trace),
        left_out=left_out(trace),
        stages=[
            {
                "name": record.name,
                "out": f"{shape(record.output.shape)} {record.output.dtype}",
                "note": record.note,
                "share": 100 * record.seconds / slowest,
                "ms": 1000 * record.seconds,
            }
            for record in trace.stages
        ],
        hidden=hidden(trace),
        counts=counts(trace),
        tokens=pieces(trace),
    )


def render_pipeline(trace: Trace) -> str:
    """Return every stage's HTML: input, output, shape, dtype, range and time, the pictures and the token strip."""
    slowest = max((record.seconds for record in trace.stages), default=0) or 1
    return render(
        "pipeline",
        stages=[
            {
                "name": record.name,
                "does": WORK[record.name],
                "note": record.note,
                "input": array(record.input),
                "output": array(record.output),
                "share": 100 * record.seconds / slowest,
                "ms": 1000 * record.seconds,
            }
            for record in trace.stages
        ],
        hidden=hidden(trace),
        counts=counts(trace),
        tokens=strip(trace),
        answer=trace.answer_pieces,
    )


def array(summary: ArraySummary) -> dict[str, str]:
    """Return how a stage's input or output reads: shape, kind, and range of its values."""
    if summary.minimum is None or summary.maximum is None or summary.mean is None:
        return {"shape": shape(summary.shape), "dtype": summary.dtype, "range": ""}
    spread = f"{summary.minimum:.4g} to {summary.maximum:.4g}"
    if summary.dtype.startswith("float"):
        spread += f", mean {summary.mean:.3g}"
    return {"shape": shape(summary.shape), "dtype": summary.dtype, "range": spread}


def marks(tokens: int) -> dict[str, int]:
    """Return a picture's tokens, the marks that stand for them, and how many tokens each mark stands for."""
    each = -(-tokens // MOST_MARKS)
    return {"count": tokens, "each": each, "marks": -(-tokens // each)}


def strip(trace: Trace) -> list[dict[str, Any]]:
    """Return the prompt's tokens one by one; those of a picture as marks."""
    return [
        {"image": segment.image, **marks(segment.count), "start": segment.start, "pieces": []}
        if segment.kind == "image"
        else {
            "image": None,
            "count": segment.count,
            "start": segment.start,
            "pieces": [piece.replace("\n", "↵") for piece in segment.pieces],
        }
        for segment in trace.tokens
    ]


def counts(trace: Trace) -> str:
    """Return how many tokens went in and came out, and where."""
    read, new = count(trace.prompt_tokens, "prompt token"), count(trace.new_tokens, "new token")
    if trace.server:
        told = f"{read}, {new}, as the server counts them. " if trace.server_counts else ""
        return f"{told}{trace.model} at {trace.server}."
    return f"{read}, {trace.image_tokens} of them of pictures; {new}. {trace.model} on {trace.device}, {trace.dtype}."


def hidden(trace: Trace) -> str:
    """Return why no stages can be shown; empty where they can."""
    if not trace.server:
        return ""
    return (
        f"{trace.server} answered, and the stages of a model on a server can't be seen from here: "
        "only the times of the whole answer are known."
    )


def pictures(trace: Trace) -> list[dict[str, Any]]:
    """Return the first squares that the vision tower saw, pictures or their tiles, with their patch grid."""
    if trace.pixels is None or trace.patch_grid is None:
        return []
    rows, columns = trace.patch_grid
    shown = []
    for index, (name, pixels) in enumerate(zip(squares(trace), trace.pixels[:MOST_SQUARES], strict=False)):
        height, width = pixels.shape[1:]
        caption = f"{name} as the vision tower sees it: {width} × {height}, {rows} × {columns} patches"
        shown.append(
            {"src": data_url(trace.processed_image(index)), "rows": rows, "columns": columns, "caption": caption}
        )
    return shown


def squares(trace: Trace) -> list[str]:
    """Return what each square that the vision tower saw is called."""
    names = []
    for number, tiles in enumerate(trace.tiles, 1):
        picture = f"Picture {number}"
        names.append(f"{picture}, overview," if tiles > 1 else picture)
        names += [f"{picture}, tile {tile} of {tiles - 1}," for tile in range(1, tiles)]
    return names


def left_out(trace: Trace) -> str:
    """Return how many squares aren't shown; empty if all are."""
    more = sum(trace.tiles) - MOST_SQUARES
    return f"The vision tower saw {count(more, 'more tile')}, which this page leaves out." if more > 0 else ""


def pieces(trace: Trace) -> list[dict[str, Any]]:
    """Return the prompt's tokens; a picture's stand as one."""
    shown: list[dict[str, Any]] = []
    for segment in trace.tokens:
        if segment.kind == "image":
            shown.append({"image": True, "text": f"picture {(segment.image or 0) + 1}: {segment.count} image tokens"})
        else:
            shown += [{"image": False, "text": piece.replace("\n", "↵")} for piece in segment.pieces]
    if len(shown) > MOST_PIECES:
        more = {"image": False, "text": f"and {len(shown) - MOST_PIECES} more"}
        return [*shown[:MOST_PIECES], more]
    return shown


def figures(reply: Reply) -> str:
    """Return a run's figures in one line."""
    trace = reply.trace
    line = (
        f"First token after {1000 * trace.first_token_seconds:.0f} ms, whole answer after {1000 * trace.seconds:.0f} ms"
    )
    if trace.tokens_per_second:
        line += f", {trace.tokens_per_second:.0f} tokens a second"
    return f"{line}."
