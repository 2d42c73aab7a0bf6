"""Lets the language model answer: what an answer is, how its tokens are chosen, and plain batches of fixed membership.

Users' answers come from the slots of `sandbox.scheduler`. The batches here are what most programs do instead; the labs
compare the two.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from transformers import DynamicCache

from sandbox.checkpoint import Checkpoint
from sandbox.errors import StageFailed


@dataclass
class Answer:
    """What an answer starts from, its limits, and what has been generated so far."""

    embeddings: np.ndarray
    """float32 (L, D)."""
    limit: int
    """Most tokens."""
    temperature: float = 0.0
    seed: int = 0
    split: int = 0
    """Tokens of the prompt's first part, up to the last picture."""
    prefix: bytes | None = None
    """What the first part is made of, for the prefix cache; None keeps it out of the cache."""
    tokens: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    """`time.perf_counter()` at the start of prefill, then at each token."""
    finish: Literal["end", "length"] | None = None
    """Why it ended by itself; None while it goes on, and after it was stopped."""
    digest: Any = field(default_factory=hashlib.sha256)
    """Of the logits of every step."""
    logits: list[np.ndarray] | None = None
    """Of every step, (vocabulary,) each, where they are wanted."""

    def take(self, logits: np.ndarray, likeliest: int, ends: frozenset[int]) -> int:
        """Choose the next token and write it down.

        Args:
            logits: (vocabulary,), as the model gave them.
            likeliest: The id of the largest, the lowest among equals.
            ends: Tokens that end an answer.

        Returns:
            The token.
        """
        self.digest.update(logits.data)
        if self.logits is not None:
            self.logits.append(logits.astype(np.float32))
        token = likeliest if self.temperature == 0 else draw(logits, self.temperature, self.seed, len(self.tokens))
        self.tokens.append(token)
        self.moments.append(time.perf_counter())
        if token in ends:
            self.finish = "end"
        elif len(self.tokens) >= self.limit:
            self.finish = "length"
        return token


def draw(logits: np.ndarray, temperature: float, seed: int, step: int) -> int:
    """Draw a token from softmax(logits / temperature); the same for the same seed and step, whatever else is drawn."""
    chances = torch.softmax(torch.from_numpy(logits).double() / temperature, dim=-1)
    source = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(b"%d %d" % (seed, step)).digest()[:8], "big"))
    return int(torch.multinomial(chances, 1, generator=source))


class Spelling:
    """Turns tokens into text piece by piece, in work that doesn't grow with the text.

    As the pieces of an unfinished character, surrounding space waits until more text follows: all pieces together are
    `decode` of all tokens.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Begin with no tokens."""
        self._checkpoint = checkpoint
        self._tokens: list[int] = []
        self._from = 0
        """First token of the stretch that is decoded again, so that a token is spelled beside those before it."""
        self._done = 0
        """Tokens whose text is out or held as space."""
        self._space = ""
        self.text = ""

    def add(self, tokens: list[int]) -> str:
        """Take further tokens and return the text that is new."""
        self._tokens += tokens
        before = self._decode(self._tokens[self._from : self._done])
        after = self._decode(self._tokens[self._from :])
        if after.endswith("\ufffd"):
            return ""
        self._from, self._done = self._done, len(self._tokens)
        return self._give(after[len(before) :])

    def finish(self) -> str:
        """Return what is still held back: bytes that never became a character."""
        before = self._decode(self._tokens[self._from : self._done])
        rest = self._decode(self._tokens[self._from :])[len(before) :]
        return self._give(rest)

    def _give(self, text: str) -> str:
        text = self._space + text
        if not self.text:
            text = text.lstrip()
        piece = text.rstrip()
        self._space = text[len(piece) :]
        self.text += piece
        return piece

    def _decode(self, tokens: list[int]) -> str:
        return _decode(tokens, self._checkpoint)


def decode(tokens: list[int], checkpoint: Checkpoint) -> str:
    """Return tokens as text, without special tokens and surrounding space."""
    return _decode(tokens, checkpoint).strip()


def _decode(tokens: list[int], checkpoint: Checkpoint) -> str:
    text: str = checkpoint.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


def generate(answers: list[Answer], checkpoint: Checkpoint, stopped: Callable[[], bool] = bool) -> None:
    """Fill the answers, all in one batch that nobody joins: one prefill, then one step for each token.

    Args:
        answers: B >= 1 rows; their `tokens`, `moments`, `digest` and `finish` are written.
        checkpoint: The model.
        stopped: Asked before every token; True ends all answers.
    """
    for _ in steps(answers, checkpoint):
        if stopped():
            return


@torch.inference_mode()
def steps(answers: list[Answer], checkpoint: Checkpoint) -> Iterator[None]:
    """Yield after each step of a batch as `generate` makes it.

    The same as `LlavaForConditionalGeneration.generate` from the same embeddings. Shorter prompts are padded on the
    left and masked; positions count from each row's own first token. A row that has ended is computed until the last
    one has: that is what a static batch costs.
    """
    model, device = checkpoint.model, checkpoint.placement.device
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
    cache = DynamicCache(config=model.config.text_config)
    inputs: dict[str, Any] = {"inputs_embeds": checkpoint.tensor(embeddings)}
    while not all(answer.finish for answer in answers):
        hidden = model.model.language_model(
            **inputs, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        ).last_hidden_state
        logits = model.lm_head(hidden[:, -1])
        likeliest = logits.argmax(-1).tolist()
        rows = logits.float().cpu().numpy()
        chosen = [
            answer.take(row, token, checkpoint.end_tokens) if answer.finish is None else token
            for row, token, answer in zip(rows, likeliest, answers, strict=True)
        ]
        inputs = {"input_ids": torch.tensor(chosen, device=device)[:, None]}
        mask = torch.cat([mask, mask.new_ones(len(answers), 1)], dim=1)
        positions = positions[:, -1:] + 1
        yield


def accept(value: Any, vocabulary: int) -> list[int]:
    """Check what a function in this stage's place returned: a list of token ids."""
    ids = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(ids, list | tuple) or not all(
        isinstance(token, int) and 0 <= token < vocabulary for token in ids
    ):
        raise StageFailed(f"'generate' must return a list of token ids from 0 to {vocabulary - 1}.")
    return list(ids)
