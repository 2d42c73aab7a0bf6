"""The pictures of the sandbox: scenes that are drawn, and uploads, which stay their owner's.

A picture is named by a short text, its source: `scene:27` (a sampled scene), `wide:27` (two of them side by side),
`drawn:{...}` (one put together in the editor) or `upload:<sha256>`. Drawn ones are made anew from their source. Uploads
lie in the data folder, by owner and content; whoever asks gets only their own, and they are removed by age.
"""

import hashlib
import io
import os
import re
import tempfile
from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox import BadOption, SandboxSettings, open_image, tiny
from webapp.store import NotFound

MOST_UPLOADS = 200
"""Pictures that one person may keep at a time."""
SHOWN_SIDE = 1024
"""Longest side of a picture as pages show it, in pixels."""
SAMPLED, WIDE, DRAWN, UPLOADED = "scene", "wide", "drawn", "upload"

_USER = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Thing(BaseModel):
    """A shape of a drawing, in a cell of the 3 x 3 grid."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: str
    color: str
    size: Literal["small", "large"]
    cell: int


class Drawing(BaseModel):
    """A scene that a person put together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    background: str = "white"
    things: tuple[Thing, ...] = ()
    text: str = ""
    row: str = "bottom"

    @property
    def source(self) -> str:
        """The picture's name."""
        return f"{DRAWN}:{self.model_dump_json(exclude_defaults=True)}"

    @classmethod
    def of(cls, source: str) -> "Drawing":
        """Return the drawing that a source names; NotFound if it names none."""
        kind, _, rest = source.partition(":")
        if kind != DRAWN:
            raise NotFound("drawing")
        try:
            return cls.model_validate_json(rest)
        except ValidationError as error:
            raise NotFound("drawing") from error

    def picture(self) -> Image.Image:
        """Return it drawn, 112 x 112 pixels; BadOption says what the world doesn't have."""
        things = [tiny.Placed(thing.shape, thing.color, thing.size, thing.cell) for thing in self.things]
        return tiny.draw(tiny.compose(self.background, things, self.text, self.row))


class Upload(NamedTuple):
    """A picture somebody uploaded."""

    user_id: str
    digest: str


class Pictures:
    """Opens the pictures that sources name, and keeps uploads."""

    def __init__(self, folder: Path, settings: SandboxSettings) -> None:
        """Take the uploads' folder, which need not exist, and the limits on pictures."""
        self._folder = folder
        self._max_pixels = settings.max_image_pixels

    def keep(self, user_id: str, data: bytes) -> str:
        """Keep an uploaded file as its owner's; return its source.

        Raises:
            BadInput: It can't be opened as a picture, or the owner has too many.
        """
        open_image(data, max_pixels=self._max_pixels)
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(Upload(user_id, digest))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            os.utime(path)
        elif sum(1 for _ in path.parent.iterdir()) >= MOST_UPLOADS:
            raise BadOption(f"You keep {MOST_UPLOADS} uploaded pictures already. Delete them on the page Runs first.")
        else:
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(data)
            Path(file.name).replace(path)
        return f"{UPLOADED}:{digest}"

    def get(self, user_id: str, source: str) -> Image.Image | bytes:
        """Return a picture as the engine takes it: drawn, or the uploaded file's bytes.

        Raises:
            NotFound: It names nothing, or another person's upload.
            BadOption: The drawing has something that the world doesn't.
        """
        kind, _, rest = source.partition(":")
        if kind in (SAMPLED, WIDE) and rest.isdecimal() and len(rest) < 10:
            return (sampled if kind == SAMPLED else wide)(int(rest))
        if kind == DRAWN:
            return Drawing.of(source).picture()
        if kind == UPLOADED and _DIGEST.fullmatch(rest):
            try:
                return self._path(Upload(user_id, rest)).read_bytes()
            except FileNotFoundError:
                raise NotFound(f"upload {rest}") from None
        raise NotFound("picture")

    def get_all(self, user_id: str, sources: Collection[str]) -> list[Image.Image | bytes]:
        """Return several, as `get` does; empty sources stand for no picture and are passed over."""
        return [self.get(user_id, source) for source in sources if source]

    def shown(self, user_id: str, source: str) -> bytes:
        """Return a picture as a page shows it: PNG of its pixels alone, without what else a file carries.

        Raises:
            NotFound: As `get`.
            BadInput: As `get`.
        """
        image = open_image(self.get(user_id, source), max_pixels=self._max_pixels).copy()
        image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        clean = Image.frombytes("RGB", image.size, image.tobytes())
        buffer = io.BytesIO()
        clean.save(buffer, "PNG", compress_level=3)
        return buffer.getvalue()

    def sources(self, user_id: str) -> tuple[str, ...]:
        """Return a person's uploads by their sources."""
        own = sorted(upload.digest for upload in self._uploads() if upload.user_id == user_id)
        return tuple(f"{UPLOADED}:{digest}" for digest in own)

    def count(self, user_id: str) -> int:
        """Count a person's uploads."""
        return len(self.sources(user_id))

    def remove_all(self, user_id: str, *, except_for: Collection[Upload]) -> int:
        """Remove a person's uploads but some; return how many went."""
        return self._remove([upload for upload in self._uploads() if upload.user_id == user_id], except_for)

    def remove_older(self, than: datetime, *, except_for: Collection[Upload]) -> int:
        """Remove what was last uploaded before a moment, but some; return how many went."""
        old = [upload for upload in self._uploads() if self._path(upload).stat().st_mtime < than.timestamp()]
        return self._remove(old, except_for)

    def _remove(self, uploads: list[Upload], except_for: Collection[Upload]) -> int:
        gone = [upload for upload in uploads if upload not in except_for]
        for upload in gone:
            self._path(upload).unlink(missing_ok=True)
        return len(gone)

    def _uploads(self) -> list[Upload]:
        return [
            Upload(path.parent.name, path.name) for path in self._folder.glob("*/*") if _DIGEST.fullmatch(path.name)
        ]

    def _path(self, upload: Upload) -> Path:
        if not _USER.fullmatch(upload.user_id):
            raise NotFound("upload")
        return self._folder / upload.user_id / upload.digest


def upload_of(user_id: str, source: str) -> Upload | None:
    """Return the upload that a source names, None if it names none."""
    kind, _, digest = source.partition(":")
    return Upload(user_id, digest) if kind == UPLOADED and _DIGEST.fullmatch(digest) else None


def title(source: str) -> str:
    """Return what a page calls a picture."""
    kind = source.partition(":")[0]
    return {SAMPLED: "A drawn scene", WIDE: "A wide scene", DRAWN: "Your own scene", UPLOADED: "Your upload"}.get(
        kind, "No picture"
    )


@lru_cache(maxsize=256)
def sampled(seed: int) -> Image.Image:
    """Return a picture of the tiny model's world, 112 x 112 pixels."""
    return tiny.draw(tiny.sample_scene(Random(seed)))


def wide(seed: int) -> Image.Image:
    """Return a picture twice as wide as high, 224 x 112 pixels: a scene of the seed and one of the next."""
    both = Image.new("RGB", (224, 112))
    for index in range(2):
        both.paste(sampled(seed + index), (112 * index, 0))
    return both


def sources_of(settings: object) -> list[str]:
    """Return the pictures that a run's settings name, none where they hold something else."""
    found = settings.get("pictures", []) if isinstance(settings, dict) else []
    return [source for source in found if isinstance(source, str)] if isinstance(found, list) else []
