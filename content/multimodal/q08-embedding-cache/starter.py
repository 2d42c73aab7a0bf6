from collections.abc import Callable

import numpy as np
from PIL import Image


class EmbeddingCache:
    """Embeddings of images, least recently used out first, never more than `max_bytes` of them."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.entries: dict[bytes, np.ndarray] = {}
        self.hits = self.misses = self.evictions = 0

    def get_or_compute(
        self, image: Image.Image, encode: Callable[[Image.Image], np.ndarray], *, model_id: str, preprocess_id: str
    ) -> np.ndarray:
        """Return the image's embedding, from the cache or from `encode(image)`."""
        # a beginning: a bare dictionary; a key that tells images apart, the bound, eviction and threads are yours
        key = image.tobytes()
        if key in self.entries:
            self.hits += 1
            return self.entries[key]
        self.misses += 1
        self.entries[key] = encode(image)
        return self.entries[key]

    def stats(self) -> dict[str, int]:
        """Return hits, misses, evictions and the bytes stored."""
        stored = sum(embedding.nbytes for embedding in self.entries.values())
        return {"hits": self.hits, "misses": self.misses, "evictions": self.evictions, "bytes": stored}
