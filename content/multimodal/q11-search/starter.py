from collections.abc import Iterable, Sequence

import numpy as np


class ImageIndex:
    """Images by their embeddings, searched by cosine similarity."""

    def __init__(self, dim: int) -> None:
        """Make an empty index for vectors of length `dim`."""
        self.dim = dim
        self.vectors: dict[str, np.ndarray] = {}

    def add(self, ids: Sequence[str], vectors: np.ndarray) -> None:
        """Keep one vector for each id; an id that is added again is replaced."""
        # left to you: the errors of the contract, and what a caller does to `vectors` afterwards
        self.vectors.update(zip(ids, vectors, strict=True))

    def search(self, query: np.ndarray, k: int) -> list[tuple[str, float]]:
        """Return the `k` ids nearest to the query with their scores, highest first."""
        # a dot product so far, one image at a time: neither the cosine nor fast, and ties come as they were added
        scores = [(name, float(np.dot(query, vector))) for name, vector in self.vectors.items()]
        return sorted(scores, key=lambda found: -found[1])[:k]

    def remove(self, ids: Iterable[str]) -> None:
        """Forget these ids; unknown ones are ignored."""
        for name in ids:
            self.vectors.pop(name, None)
