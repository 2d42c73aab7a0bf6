"""Caching: what the engine's caches save, and that what differs never shares an entry."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sandbox.errors import BadOption
from sandbox.images import ORIENTATION
from sandbox.labs.preprocessing import MEANS_AND_STDS, own_fit, own_side, preprocessing
from sandbox.request import Reply, Request
from sandbox.trace import Trace

if TYPE_CHECKING:
    from sandbox.checkpoint import Checkpoint
    from sandbox.engine import Engine

CACHES = ("pixels", "features", "prefixes")
STAGES_OF = {"pixels": ("open", "preprocess"), "features": ("encode", "select", "reduce", "project")}
"""Stages whose work a hit saves; of the prefixes it is a part of the prefill."""
WAYS = ("without the caches", "with the caches", "again with the caches")
REPEATS = 4
SIDE = 112
"""Pixels, of the picture that the differences are made from."""
OTHER_QUESTION = "How many shapes are there?"
COLORS = 64
MARKED = 32
"""Pixels that are drawn at random, so that nobody has asked about this picture before."""

Hits = tuple[bool | None, bool | None, bool | None]
"""Of each of `CACHES`: found, not found, or not asked."""


@dataclass(frozen=True)
class Asking:
    """One of the ways in which the same was asked."""

    way: str
    reply: Reply
    repeats: tuple[Reply, ...] = ()
    """Further ones up to the first token, for the times alone."""

    @property
    def hits(self) -> Hits:
        """What the caches had."""
        return hits_of(self.reply)

    def seconds(self, cache: str) -> float:
        """Return the seconds of the work that a cache can save; of the prefixes, from the start of prefill to a token.

        The median over all times that it was asked in this way.

        Raises:
            KeyError: There is no such cache.
        """
        return median(_seconds(reply.trace, cache) for reply in (self.reply, *self.repeats))

    @property
    def first_token_seconds(self) -> float:
        """Median seconds from the call to the first token."""
        return median(reply.trace.first_token_seconds for reply in (self.reply, *self.repeats))

    @property
    def digest(self) -> str:
        """SHA-256 of the logits of every step; empty without a receipt."""
        receipt = self.reply.trace.receipt
        return receipt.logits if receipt else ""


@dataclass(frozen=True)
class Probe:
    """Something that is asked after the first picture, and what the caches must then do."""

    name: str
    why: str
    request: Request
    expected: Hits


@dataclass(frozen=True)
class Finding:
    """What the caches did."""

    probe: Probe
    hits: Hits
    reply: Reply

    @property
    def as_expected(self) -> bool:
        """Whether they did what they must."""
        return self.hits == self.probe.expected


def ask_again(engine: Engine, request: Request) -> Iterator[Asking]:
    """Ask the same without the caches, with them, and again with them.

    The first and the last are repeated, up to the first token, so that their times are medians of `1 + REPEATS`; with
    the caches the second can't be, since it is new only once.

    Raises:
        BadOption: There is no picture, so the caches have nothing to keep.
        BadInput: As `Engine.answer`.
    """
    if not request.images:
        raise BadOption("The caches keep pictures and prompts up to the last picture. Choose a picture.")
    engine.answer_many([replace(request, cache=False, max_new_tokens=1)])  # else what is set up first looks saved
    for way in WAYS:
        asked = replace(request, cache=way != WAYS[0])
        reply = engine.answer_many([asked])[0]
        short = replace(asked, max_new_tokens=1)
        repeats = 0 if way == WAYS[1] else REPEATS
        yield Asking(way, reply, tuple(engine.answer_many([short])[0] for _ in range(repeats)))


def _seconds(trace: Trace, cache: str) -> float:
    if cache == "prefixes":
        return trace.token_seconds[0]
    return sum(trace.stage(name).seconds for name in STAGES_OF[cache])


def differences(engine: Engine, picture: Image.Image, prompt: str, *, user: str = "") -> Iterator[Finding]:
    """Ask about a picture that nobody has asked about, then about what differs from it in one thing each.

    Args:
        engine: The engine.
        picture: What the new picture is made from.
        prompt: What is asked, without a mark for the picture.
        user: Whose requests they are.

    Yields:
        What the caches did, in the order of `probes`.

    Raises:
        BadInput: As `Engine.answer`.
    """
    limits = {report.name: report.limit_bytes for report in engine.cache_report()}
    for probe in probes(new_picture(picture), prompt, engine.checkpoint, user=user):
        expected = [
            bool(hit and limits[name]) if hit is not None else None
            for name, hit in zip(CACHES, probe.expected, strict=True)
        ]
        reply = engine.answer_many([probe.request])[0]
        yield Finding(replace(probe, expected=(expected[0], expected[1], expected[2])), hits_of(reply), reply)


def probes(picture: Image.Image, prompt: str, checkpoint: Checkpoint, *, user: str = "") -> list[Probe]:
    """Return what is asked, the first of which is new; `picture` is one of `new_picture`."""
    prompt = prompt.replace("<image>", " ").strip()

    def asked(image: Image.Image | bytes, text: str = prompt, **options: Any) -> Request:
        return Request(text, [image], user=user, **options)

    miss, hit = (False, False, False), (True, True, True)
    found = [
        Probe(
            "A new picture", "Nobody has asked about it: 32 of its pixels were drawn just now.", asked(picture), miss
        ),
        Probe("The same again", "Another object with equal content is the same picture.", asked(picture.copy()), hit),
        Probe("Equal bytes, other size", "The same pixel bytes in other rows.", asked(resized(picture)), miss),
        Probe(
            "Equal bytes, other palette",
            "The same pixel bytes stand for other colors.",
            asked(recolored(picture)),
            miss,
        ),
        Probe("EXIF orientation", "The same pixels, to be turned by a quarter.", asked(turned(picture)), miss),
        Probe(
            "The same picture as a file",
            "Equal to look at, but a file is told by its bytes: this miss is only for caution.",
            asked(png(picture)),
            miss,
        ),
    ]
    if not checkpoint.tiled:
        found.append(
            Probe(
                "Another processor setting",
                "With a function of somebody's in a stage's place the caches are neither asked nor filled.",
                asked(picture, replace={"preprocess": other_processing(checkpoint)}),
                (None, None, None),
            )
        )
    layer = checkpoint.feature_layer
    if isinstance(layer, int):
        found.append(
            Probe(
                f"Vision layer {layer - 1}",
                f"In place of {layer}: the pixels are the same, the features aren't.",
                asked(picture, feature_layer=layer - 1),
                (True, False, False),
            )
        )
    return [
        *found,
        Probe(
            "Another question",
            "It stands behind the picture; the prompt up to there is the same.",
            asked(picture, OTHER_QUESTION),
            hit,
        ),
        Probe(
            "Words before the picture",
            "The prompt up to the picture differs, so only its keys and values are computed anew.",
            asked(picture, f"{prompt} <image>"),
            (True, True, False),
        ),
        Probe(
            "Drawn at temperature 1",
            "How tokens are chosen changes nothing that is kept.",
            asked(picture, temperature=1.0, seed=1),
            hit,
        ),
    ]


def hits_of(reply: Reply) -> Hits:
    """Return what each cache had for an answer; a cache with one miss among several pictures counts as not found."""
    uses = {use.name: use.misses == 0 for use in reply.trace.caches}
    return uses.get(CACHES[0]), uses.get(CACHES[1]), uses.get(CACHES[2])


def new_picture(picture: Image.Image) -> Image.Image:
    """Return a picture with a palette, `SIDE` by `SIDE`, that differs from all before in `MARKED` pixels."""
    small = picture.convert("RGB").resize((SIDE, SIDE)).quantize(COLORS, dither=Image.Dither.NONE)
    data, palette = bytearray(small.tobytes()), small.getpalette() or []
    colors = max(2, len(small.getcolors() or ()))
    data[:MARKED] = (value % colors for value in secrets.token_bytes(MARKED))
    return paletted(bytes(data), small.size, palette)


def paletted(data: bytes, size: tuple[int, int], palette: list[int]) -> Image.Image:
    """Return a picture of a byte a pixel, each a color of the palette (red, green, blue, 0 to 255, in a row)."""
    image = Image.frombytes("P", size, data)
    image.putpalette(palette + [0] * (3 * COLORS - len(palette)))
    return image


def resized(picture: Image.Image) -> Image.Image:
    """Return a picture of half the width and twice the height with the same bytes."""
    return paletted(picture.tobytes(), (picture.width // 2, picture.height * 2), picture.getpalette() or [])


def recolored(picture: Image.Image) -> Image.Image:
    """Return the picture with red, green and blue exchanged in its palette; its bytes are the same."""
    palette = picture.getpalette() or []
    colors = (palette[start : start + 3] for start in range(0, len(palette), 3))
    return paletted(
        picture.tobytes(), picture.size, [part for red, green, blue in colors for part in (blue, red, green)]
    )


def turned(picture: Image.Image) -> Image.Image:
    """Return the picture with an EXIF entry that turns it by a quarter; its bytes are the same."""
    image, exif = picture.copy(), Image.Exif()
    exif[ORIENTATION] = 6  # EXIF 2.32, 4.6.4: the stored rows are columns, from the right
    image.info["exif"] = exif.tobytes()
    return image


def png(picture: Image.Image) -> bytes:
    """Return the picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def other_processing(checkpoint: Checkpoint) -> Callable[[list[Image.Image]], np.ndarray]:
    """Return the checkpoint's preprocessing with SigLIP's mean and standard deviation in place of its own."""
    processor = checkpoint.processor.image_processor
    return preprocessing(own_side(processor), own_fit(processor), MEANS_AND_STDS["half"], resample=processor.resample)
