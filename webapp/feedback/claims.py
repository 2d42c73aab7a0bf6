"""Claims: how far the wording of a passage is that of false statements.

False statements tend to be absolute ("no", "any", "always", "only") and to bring a reason along ("because", "since").
How much each such word tells is learned from the bank's rubrics, their examples against their misconceptions. By itself
it says little: on the SAF corpus it has nothing to do with the scores that people gave. So the grader holds it against
an answer only where the answer's content is near the misconceptions too.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from webapp.feedback.lexicon import CLAIM_WORDS
from webapp.feedback.text import words

COLUMN = {word: column for column, word in enumerate(sorted(CLAIM_WORDS))}
SHRINKAGE = 50.0  # ridge penalty, in texts


def claim_words(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return which claim words each text has, shape (texts, words), 0 or 1."""
    present = np.zeros((len(texts), len(COLUMN)))
    for row, text in enumerate(texts):
        present[row, [COLUMN[word] for word in set(words(text)) if word in COLUMN]] = 1
    return present


class Claims:
    """How much each claim word tells a bank's true statements (1) from its false ones (-1)."""

    def __init__(self, true: Sequence[str], false: Sequence[str]) -> None:
        """Fit a ridge regression; without false statements nothing is held against anybody."""
        present = claim_words([*true, *false])
        side = np.array([1.0] * len(true) + [-1.0] * len(false))
        if not true or not false:
            self._weights, self._base = np.zeros(len(COLUMN)), 1.0
            return
        apart = present - present.mean(axis=0)
        self._weights = np.linalg.solve(
            apart.T @ apart + SHRINKAGE * np.eye(len(COLUMN)), apart.T @ (side - side.mean())
        )
        self._base = float(side.mean() - present.mean(axis=0) @ self._weights)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return each text's side: towards 1 as true statements are worded, towards -1 as false ones are."""
        return claim_words(texts) @ self._weights + self._base
