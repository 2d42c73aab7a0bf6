"""Maps vision features into the language model's embedding space."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sandbox.checkpoint import Checkpoint, to_array
from sandbox.errors import StageFailed
from sandbox.stages.contract import expect_rows


@torch.inference_mode()
def project(features: list[np.ndarray], checkpoint: Checkpoint) -> list[np.ndarray]:
    """Run the projector, all pictures at once: it treats each row by itself.

    Args:
        features: N arrays float32 (P_i, d).
        checkpoint: The model.

    Returns:
        N arrays float32 (P_i, D), D the language model's width.

    Raises:
        StageFailed: d isn't the projector's.
    """
    projector = checkpoint.model.model.multi_modal_projector
    expected = projector.linear_1.in_features
    for rows in features:
        if rows.shape[1] != expected:
            raise StageFailed(f"The projector takes features of width {expected}; these have {rows.shape[1]}.")
    projected = to_array(projector(checkpoint.tensor(np.concatenate(features))))
    return np.split(projected, np.cumsum([len(rows) for rows in features])[:-1])


def accept(value: Any, count: int, width: int) -> list[np.ndarray]:
    """Check what a function in this stage's place returned: `count` arrays of floats (rows, width)."""
    return expect_rows("project", value, count, width)
