"""How likely a model finds a given answer: one pass over prompt and answer, without generating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sandbox.checkpoint import Checkpoint


@dataclass(frozen=True)
class Score:
    """What a model makes of a given answer after one prompt."""

    log_probabilities: np.ndarray
    """float32 (T,): the natural logarithm of p(token t | prompt, tokens before t), at temperature 1."""
    likeliest: tuple[int, ...]
    """The T tokens that the model itself would choose at each step after the given tokens before it."""
    tokens: tuple[int, ...]
    """The T tokens of the answer."""

    @property
    def total(self) -> float:
        """The answer's log-probability: the sum over its tokens."""
        return float(self.log_probabilities.sum())

    @property
    def is_greedy(self) -> bool:
        """Whether this is the answer that the model gives at temperature 0, as far as it goes."""
        return self.likeliest == self.tokens


@torch.inference_mode()
def score(prompts: Sequence[np.ndarray], tokens: Sequence[int], checkpoint: Checkpoint) -> list[Score]:
    """Score one answer after several prompts, all in one batch, padded on the left and masked.

    Args:
        prompts: B >= 1 language model inputs, float32 (L_i, D).
        tokens: The answer's T >= 1 tokens.
        checkpoint: The model.

    Returns:
        B scores.
    """
    device = checkpoint.placement.device
    answer = checkpoint.embed(np.asarray(tokens[:-1], np.int64))
    lengths = [len(prompt) + len(answer) for prompt in prompts]
    width = max(lengths)
    inputs = np.zeros((len(prompts), width, prompts[0].shape[1]), np.float32)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
        inputs[row, width - length :] = np.concatenate([prompt, answer])
        mask[row, width - length :] = 1
    hidden = checkpoint.model.model.language_model(
        inputs_embeds=checkpoint.tensor(inputs),
        attention_mask=mask.to(device),
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0).to(device),
        use_cache=False,
    ).last_hidden_state
    logits = checkpoint.model.lm_head(hidden[:, -len(tokens) :]).float()
    given = torch.tensor(tokens, device=device).expand(len(prompts), -1)
    chances = torch.log_softmax(logits, -1).gather(-1, given[..., None])[..., 0].cpu().numpy()
    best = logits.argmax(-1).tolist()
    return [Score(row, tuple(own), tuple(tokens)) for row, own in zip(chances, best, strict=True)]
