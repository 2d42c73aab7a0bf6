"""How a run's trace reads: stages, shapes, times, the processed pictures and the prompt's tokens."""

import base64
import io
from typing import Any

from PIL import Image

from sandbox import Reply, Trace
from webapp.pages.view import render
from webapp.pages.wording import count, shape

MOST_PIECES = 400


def data_url(image: Image.Image) -> str:
    """Return a small picture as a `data:` address; as such it never lies in a folder that others can read."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def render_trace(reply: Reply) -> str:
    """Return the trace's HTML."""
    trace = reply.trace
    slowest = max((record.seconds for record in trace.stages), default=0) or 1
    return render(
        "trace",
        pictures=pictures(trace),
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
        counts=f"{count(trace.prompt_tokens, 'prompt token')}, {trace.image_tokens} of them of pictures; "
        f"{count(trace.new_tokens, 'new token')}. {trace.model} on {trace.device}, {trace.dtype}.",
        tokens=pieces(trace),
    )


def pictures(trace: Trace) -> list[dict[str, Any]]:
    """Return the pictures as the vision tower saw them, with their patch grid."""
    if trace.pixels is None or trace.patch_grid is None:
        return []
    rows, columns = trace.patch_grid
    shown = []
    for index, pixels in enumerate(trace.pixels):
        height, width = pixels.shape[1:]
        caption = f"Picture {index + 1} as the vision tower sees it: {width} × {height}, {rows} × {columns} patches"
        shown.append(
            {"src": data_url(trace.processed_image(index)), "rows": rows, "columns": columns, "caption": caption}
        )
    return shown


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
