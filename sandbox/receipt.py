"""What an answer was computed with, and the digest of its numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Receipt:
    """Two runs of one request have equal receipts in deterministic mode: alone or in company, today or tomorrow.

    The promise holds between runs whose other fields are equal; another device, library or number of slots computes in
    another order, and the last bits of its numbers may differ.
    """

    logits: str
    """SHA-256 of the logits of every step, as the model gave them, in hexadecimal."""
    steps: int
    model: str
    weights: str
    """Fingerprint of configuration and weights."""
    device: str
    dtype: str
    attention: str
    threads: int
    slots: int
    """Rows of each step."""
    length: int
    """Positions of each row."""
    prefill: tuple[int, int]
    """Padded lengths of the prompt's two parts: up to the last picture, and the rest."""
    compiled: bool
    deterministic: bool
    """Whether the run asked for equal numbers and the self-test found that this machine gives them."""
    torch: str
    transformers: str

    def summary(self) -> dict[str, Any]:
        """Return the receipt as JSON-able data."""
        return {**asdict(self), "prefill": list(self.prefill)}
