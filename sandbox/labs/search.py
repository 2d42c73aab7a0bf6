"""Search: pictures by words or by a picture, exactly, with scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sandbox.clip import Clip
from sandbox.errors import BadInput

MOST_PICTURES = 500


class NothingToSearch(BadInput):
    """There are no pictures to search, or nothing is searched for."""


@dataclass(frozen=True)
class Hit:
    """A picture that was found: its place in the gallery, and the cosine of the two vectors, -1 to 1."""

    index: int
    score: float


class Gallery:
    """Pictures with their vectors."""

    def __init__(self, clip: Clip, pictures: Sequence[Image.Image]) -> None:
        """Embed the pictures.

        Raises:
            NothingToSearch: There are none, or more than `MOST_PICTURES`.
        """
        if not pictures:
            raise NothingToSearch("There are no pictures to search. Add some, or take the scenes.")
        if len(pictures) > MOST_PICTURES:
            raise NothingToSearch(f"{len(pictures)} pictures are too many to search here; at most {MOST_PICTURES}.")
        self.pictures = tuple(pictures)
        self._clip = clip
        self._vectors = clip.embed_images(pictures)

    def by_text(self, text: str, count: int = 12) -> list[Hit]:
        """Return the pictures nearest to a description, best first; NothingToSearch if it is blank."""
        if not text.strip():
            raise NothingToSearch("Write what you are looking for, such as: a red circle.")
        return self._nearest(self._clip.embed_texts([text.strip()])[0], count)

    def by_picture(self, picture: Image.Image, count: int = 12) -> list[Hit]:
        """Return the pictures nearest to a picture, best first."""
        return self._nearest(self._clip.embed_images([picture])[0], count)

    def _nearest(self, vector: np.ndarray, count: int) -> list[Hit]:
        scores = self._vectors @ vector
        order = np.argsort(-scores, kind="stable")[:count]
        return [Hit(int(index), float(scores[index])) for index in order]
