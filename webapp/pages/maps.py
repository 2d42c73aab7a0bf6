"""Maps over a picture's patches: where an answer's tokens look, and what the answer hangs on."""

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from sandbox import BadOption, Reply, Request, Trace
from sandbox.labs.occlusion import OcclusionMap
from webapp.pages.trace import data_url, pictures
from webapp.pages.view import render

if TYPE_CHECKING:
    from sandbox import Engine

MOST_WEIGHTS = 3_000_000
"""Largest number of attention weights that a page carries, at two bytes each; above it heads are averaged."""


def attention_weights(engine: "Engine", request: Request, reply: Reply) -> np.ndarray:
    """Return the attention of the answer's tokens over the image tokens, float32 (layers, heads, T, C).

    Where that is more than a page can carry, heads is 1: their mean, computed a layer at a time.

    Raises:
        BadOption: There is no answer or no picture, or even that is too much.
    """
    config = engine.checkpoint.model.config.text_config
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    cells = layers * len(reply.tokens) * reply.trace.image_tokens
    if cells * heads <= MOST_WEIGHTS:
        return engine.attention(request, reply)
    if cells > MOST_WEIGHTS:
        raise BadOption("This answer and its pictures have too many tokens to draw its attention. Ask for less.")
    one_by_one = [engine.attention(request, reply, layers=[layer]).mean(1) for layer in range(layers)]
    return np.stack(one_by_one)[:, None]


def render_attention(weights: np.ndarray, trace: Trace) -> str:
    """Return the card on attention: the browser draws the map of a token, a layer and a head from the weights."""
    layers, heads, count, _ = weights.shape
    spans = image_spans(trace)
    if not spans:
        return render(
            "no_map", why="Its image tokens don't stand for one patch each, so they can't be drawn on the patches."
        )
    most = float(weights.max()) or 1.0
    levels = np.rint(weights * (65535 / most)).astype("<u2")
    shown = pictures(trace)
    return render(
        "attention",
        pictures=[{**shown[index], "start": start, "count": size} for index, start, size in spans],
        shape=[layers, heads, count, weights.shape[3]],
        scale=most / 65535,
        data=base64.b64encode(levels.tobytes()).decode(),
        tokens=[piece.replace("\n", "↵") or "∅" for piece in trace.answer_pieces],
        layers=layers,
        heads=heads,
    )


def image_spans(trace: Trace) -> list[tuple[int, int, int]]:
    """Return square, first column among all image tokens, and number of tokens, where there is one for each patch.

    Of a picture that is cut into tiles it is the overview, whose tokens come first.
    """
    spans, start, square = [], 0, 0
    patches = trace.patch_grid[0] * trace.patch_grid[1] if trace.patch_grid else 0
    for segment in trace.tokens:
        if segment.kind == "image" and segment.image is not None:
            tiles = trace.tiles[segment.image] if trace.tiles else 1
            if segment.count == patches or (tiles > 1 and segment.count > patches):
                spans.append((square, start, patches))
            start += segment.count
            square += tiles
    return spans


def render_occlusion(found: OcclusionMap, trace: Trace, answer: str) -> str:
    """Return the map of what the answer hangs on, as far as it is."""
    rows, columns = found.drops.shape
    worst = float(np.nanmax(found.drops)) if found.done else 0.0
    cells: list[dict[str, Any]] = []
    for (row, column), drop in np.ndenumerate(found.drops):
        if np.isfinite(drop):
            share = max(0.0, float(drop)) / worst if worst > 0 else 0.0
            changed = bool(found.changes[row, column])
            cells.append({"x": column, "y": row, "share": share, "drop": float(drop), "changed": changed})
    grid = trace.patch_grid or (rows, columns)
    return render(
        "occlusion",
        src=data_url(trace.processed_image()),
        width=grid[1] / found.block,
        height=grid[0] / found.block,
        cells=cells,
        done=found.done,
        count=found.count,
        block=found.block,
        worst=worst,
        changed=int(found.changes.sum()),
        log_probability=found.log_probability,
        answer=answer,
    )
