"""Writes the prompt as tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

from sandbox.checkpoint import Checkpoint
from sandbox.errors import PromptTooLong, StageFailed
from sandbox.request import PLACEHOLDER


def prompt(text: str, counts: list[int], checkpoint: Checkpoint) -> np.ndarray:
    """Apply the chat template, make room for the pictures and tokenize.

    Args:
        text: The user's turn, with one placeholder for each picture or none.
        counts: Number of feature rows of each picture.
        checkpoint: The model.

    Returns:
        int64 (L,); `counts[i]` copies of the image token stand where picture i stands.
    """
    processor, tokenizer = checkpoint.processor, checkpoint.tokenizer
    text = text.encode("utf-8", "replace").decode()  # lone surrogates, which JSON can carry and tokenizers refuse
    if PLACEHOLDER in text:
        content = [{"type": "text", "text": text.replace(PLACEHOLDER, processor.image_token)}]
    else:
        content = [*({"type": "image"} for _ in counts), {"type": "text", "text": text}]
    rendered = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    head, *rest = rendered.split(processor.image_token)
    expanded = head + "".join(processor.image_token * n + after for n, after in zip(counts, rest, strict=True))
    has_start = tokenizer.bos_token is not None and expanded.startswith(tokenizer.bos_token)
    return np.asarray(tokenizer(expanded, add_special_tokens=not has_start)["input_ids"], np.int64)


def check_length(tokens: int, context: int) -> None:
    """Check that a prompt of so many tokens and one token of an answer fit; PromptTooLong if not."""
    if tokens + 1 > context:
        raise PromptTooLong(
            f"This prompt takes {tokens:,} tokens with its pictures; the model holds {context:,}, answer included. "
            "Shorten the text or remove pictures."
        )


def token_pieces(ids: list[int], tokenizer: Any) -> tuple[str, ...]:
    """Return each token as text by itself, leading spaces kept."""
    pieces = {}
    for each in set(ids):
        token = tokenizer.convert_ids_to_tokens(each)
        piece = tokenizer.convert_tokens_to_string([token])
        pieces[each] = " " + piece if token.startswith("▁") and not piece.startswith(" ") else piece
    return tuple(pieces[each] for each in ids)


def accept(value: Any, vocabulary: int) -> np.ndarray:
    """Check what a function in this stage's place returned: a sequence of token ids."""
    ids = np.asarray(value)
    if ids.ndim != 1 or not len(ids) or not np.issubdtype(ids.dtype, np.integer):
        raise StageFailed(
            f"'prompt' must return a sequence of token ids; it returned {ids.dtype} of shape {ids.shape}."
        )
    if ids.min() < 0 or ids.max() >= vocabulary:
        raise StageFailed(
            f"'prompt' must return ids from 0 to {vocabulary - 1}; it returned {ids.min()} to {ids.max()}."
        )
    return ids.astype(np.int64)
