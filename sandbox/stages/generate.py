"""Lets the language model answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from transformers import DynamicCache

from sandbox.checkpoint import Checkpoint
from sandbox.errors import StageFailed


@dataclass
class Answer:
    """One row of a batch: what it starts from, its limits, and what has been generated so far."""

    embeddings: np.ndarray
    """float32 (L, D)."""
    limit: int
    """Most tokens."""
    temperature: float = 0.0
    seed: int = 0
    on_text: Callable[[str], None] | None = None
    tokens: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    """`time.perf_counter()` at the start of prefill, then at each token."""
    text: str = ""
    finish: Literal["end", "length"] | None = None
    """Why it ended by itself; None while it goes on, and after it was stopped."""


@torch.inference_mode()
def generate(answers: list[Answer], checkpoint: Checkpoint, stopped: Callable[[], bool] = bool) -> None:
    """Fill the answers, all in one batch: one prefill, then one step of the KV cache for each token.

    The same as `LlavaForConditionalGeneration.generate` from the same embeddings, in a loop of its own so that tokens
    can be passed on, timed and stopped one by one. Shorter prompts are padded on the left and masked; positions count
    from each row's own first token.

    Args:
        answers: B >= 1 rows; their `tokens`, `moments`, `text` and `finish` are written.
        checkpoint: The model.
        stopped: Asked before every token; True ends all answers.
    """
    language, head, device = (
        checkpoint.model.model.language_model,
        checkpoint.model.lm_head,
        checkpoint.placement.device,
    )
    lengths = [len(answer.embeddings) for answer in answers]
    width = max(lengths)
    embeddings = np.zeros((len(answers), width, answers[0].embeddings.shape[1]), np.float32)
    mask = torch.zeros(len(answers), width, dtype=torch.long)
    for row, answer in enumerate(answers):
        embeddings[row, width - lengths[row] :] = answer.embeddings
        mask[row, width - lengths[row] :] = 1
        answer.moments.append(time.perf_counter())
    mask = mask.to(device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache(config=checkpoint.model.config.text_config)
    generators = [torch.Generator().manual_seed(answer.seed) for answer in answers]
    inputs: dict[str, Any] = {"inputs_embeds": checkpoint.tensor(embeddings)}
    while not (all(answer.finish for answer in answers) or stopped()):
        hidden = language(
            **inputs, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        ).last_hidden_state
        logits = head(hidden[:, -1]).float().cpu()
        chosen = [_choose(row, answer, source) for row, answer, source in zip(logits, answers, generators, strict=True)]
        for token, answer in zip(chosen, answers, strict=True):
            if answer.finish is None:
                _append(answer, token, checkpoint)
        inputs = {"input_ids": torch.tensor(chosen, device=device)[:, None]}
        mask = torch.cat([mask, mask.new_ones(len(answers), 1)], dim=1)
        positions = positions[:, -1:] + 1


def _choose(logits: torch.Tensor, answer: Answer, source: torch.Generator) -> int:
    if answer.temperature == 0:
        return int(logits.argmax())
    chances = torch.softmax(logits.double() / answer.temperature, dim=-1)
    return int(torch.multinomial(chances, 1, generator=source))


def _append(answer: Answer, token: int, checkpoint: Checkpoint) -> None:
    answer.tokens.append(token)
    answer.moments.append(time.perf_counter())
    if token in checkpoint.end_tokens:
        answer.finish = "end"
    elif len(answer.tokens) >= answer.limit:
        answer.finish = "length"
    text = decode(answer.tokens, checkpoint)
    if answer.finish is None:
        text = text.rstrip("\ufffd").rstrip()  # the bytes of an unfinished character wait for the next token
    piece, answer.text = text.removeprefix(answer.text), text
    if piece and answer.on_text:
        answer.on_text(piece)


def decode(tokens: list[int], checkpoint: Checkpoint) -> str:
    """Return tokens as text, without special tokens and surrounding space."""
    text: str = checkpoint.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.strip()


def accept(value: Any, vocabulary: int) -> list[int]:
    """Check what a function in this stage's place returned: a list of token ids."""
    ids = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(ids, list | tuple) or not all(
        isinstance(token, int) and 0 <= token < vocabulary for token in ids
    ):
        raise StageFailed(f"'generate' must return a list of token ids from 0 to {vocabulary - 1}.")
    return list(ids)
