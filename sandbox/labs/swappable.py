"""The stages that a candidate's function can take the place of."""

from __future__ import annotations

from dataclasses import dataclass

SELECT = '''import numpy as np


def select(hidden: np.ndarray) -> np.ndarray:
    """Return the rows of (T, d) hidden states that the projector gets; a class token, where there is one, is first."""
    return hidden[1:]
'''


@dataclass(frozen=True)
class Stage:
    """A stage that can be swapped.

    Attributes:
        name: As the pipeline calls it; 'collate' stands before it.
        function: What the candidate defines.
        exercise: The question whose exercise has the function, empty for `select`.
        about: What the function is given and gives, for people.
    """

    name: str
    function: str
    exercise: str
    about: str


STAGES_TO_SWAP = {
    stage.name: stage
    for stage in (
        Stage("preprocess", "preprocess", "q05", "Picture to pixels: preprocess(image, *, size, mean, std, fit)."),
        Stage("select", "select", "", "Hidden states (T, d) to rows (P, d): select(hidden)."),
        Stage("reduce", "reduce_tokens", "q12", "Half of the rows: reduce_tokens(features, saliency, keep)."),
        Stage("prompt", "build_prompt", "q04", "The user's turn: build_prompt('vqa', question)."),
        Stage("collate", "collate", "q07", "Your request and two others as one padded batch: collate(requests, ...)."),
    )
}
