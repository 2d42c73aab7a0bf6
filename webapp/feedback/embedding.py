"""Static word-piece embeddings: a text's vector is the mean of its pieces' vectors.

The weights and the tokenizer are those of WordLlama (MIT), 32,000 pieces of 256 dimensions, which arrive inside its
wheel. The package is located, not imported: its loader wants to download a tokenizer that is already there, and
importing it sets up the root logger.
"""

import importlib.util
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

Vectors = NDArray[np.float32]


class Embedder:
    """Static embeddings over one table.

    Attributes:
        model: The name and version of the table.
    """

    def __init__(self, model: str, table: Vectors, tokenizer: Tokenizer) -> None:
        self.model = model
        self._table = table
        self._tokenizer = tokenizer

    def __call__(self, texts: Sequence[str], weights: Vectors | None = None) -> Vectors:
        """Return the texts' unit vectors.

        Args:
            texts: The texts.
            weights: How much each piece of the vocabulary counts in the mean, shape (pieces,); all the same by default.

        Returns:
            Shape (texts, dimensions); a text without any piece gets the zero vector.
        """
        vectors = np.zeros((len(texts), self._table.shape[1]), np.float32)
        for row, ids in enumerate(self.pieces(texts)):
            if ids:
                vectors[row] = np.average(self._table[ids], axis=0, weights=None if weights is None else weights[ids])
        return unit(vectors)

    @property
    def vocabulary_size(self) -> int:
        """The number of pieces."""
        return len(self._table)

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the pieces that each text is cut into: few for known words, many for chance letters."""
        # one by one: for texts this short the threads of `encode_batch` cost more than they save
        return [self._tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


def unit(vectors: Vectors) -> Vectors:
    """Scale rows to length 1; rows near zero stay zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-6)


@cache
def load_embedder() -> Embedder:
    """Return the process's embedder; the first call reads 16 MB from disk."""
    found = importlib.util.find_spec("wordllama")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("wordllama is not installed; the coverage grader takes its weights from it")
    folder = Path(found.submodule_search_locations[0])
    (table,) = load_file(folder / "weights" / "l2_supercat_256.safetensors").values()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return Embedder(f"wordllama-{version('wordllama')}/l2_supercat_256", table.astype(np.float32), tokenizer)
