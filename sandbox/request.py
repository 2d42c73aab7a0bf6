"""What is asked of the engine, and what it gives back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import BadOption, ImageCountMismatch, PromptEmpty, PromptTooLong
from sandbox.images import ImageSource
from sandbox.settings import SandboxSettings
from sandbox.trace import STAGES, Trace

MAX_TEMPERATURE = 2.0
ANSWER_LENGTH = 128
"""Longest answer in tokens where neither the request nor the checkpoint says."""
PLACEHOLDER = "<image>"
"""What people write where a picture stands, whatever the checkpoint's own token is."""


@dataclass(frozen=True)
class Request:
    """One prompt with its pictures, and how to answer it."""

    prompt: str
    """The user's turn. `<image>` marks where a picture stands; without any, the pictures come first."""
    images: Sequence[ImageSource] = ()
    max_new_tokens: int | None = field(default=None, kw_only=True)
    """Longest answer; None is the checkpoint's own length, or 128."""
    temperature: float = field(default=0.0, kw_only=True)
    """0 takes the likeliest token at every step; above it, tokens are drawn from softmax(logits / temperature)."""
    seed: int | None = field(default=None, kw_only=True)
    """Makes drawn tokens repeatable; None draws a seed and writes it into the trace."""
    feature_layer: int | None = field(default=None, kw_only=True)
    """Vision layer whose hidden states are used: 0 the embeddings, -1 the last; None is the checkpoint's own."""
    replace: Mapping[str, Callable[..., Any]] = field(default_factory=dict, kw_only=True)
    """Functions that take the place of stages, by name. They run in this process and must be trusted."""
    user: str = field(default="", kw_only=True)
    """Whose question it is: users take turns. Empty is nobody in particular, one user among the others."""
    cache: bool = field(default=True, kw_only=True)
    """Whether what was computed for equal pictures and prompts may be used, and kept for others."""
    deterministic: bool | None = field(default=None, kw_only=True)
    """Whether the numbers must be the same alone and in company; None is the settings' choice. If they need not be,
    prompts that wait together are read together, which is faster; the receipt says so."""
    keep: bool = field(default=False, kw_only=True)
    """Whether the trace gets what each stage gave out, as arrays. Every stage is then computed, without the caches."""
    on_token: Callable[[str], None] | None = field(default=None, kw_only=True)
    """Called with each new piece of text, in the thread that asks; a slow one holds up nobody else."""

    def __post_init__(self) -> None:
        """Check the options; BadOption says what may be given."""
        if unknown := sorted(set(self.replace) - set(STAGES)):
            raise BadOption(f"There is no stage {', '.join(map(repr, unknown))}. The stages are {', '.join(STAGES)}.")
        if not (math.isfinite(self.temperature) and 0 <= self.temperature <= MAX_TEMPERATURE):
            raise BadOption(f"The temperature must be between 0 and {MAX_TEMPERATURE:g}; {self.temperature} was given.")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise BadOption(f"An answer has at least 1 token; max_new_tokens={self.max_new_tokens} was given.")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise BadOption(f"A seed is between 0 and 2^63 - 1; {self.seed} was given.")


@dataclass(frozen=True)
class Reply:
    """An answer."""

    text: str
    """Without special tokens and surrounding space."""
    tokens: tuple[int, ...]
    """As the model's `generate` returns them: new tokens only, the end token included."""
    trace: Trace


@dataclass(frozen=True)
class Event:
    """A step of a streamed answer."""

    text: str
    """The text that is new; all of them together are the reply's text."""
    reply: Reply | None = None
    """Set on the last event only."""


def check_prompt(prompt: str, images: int, settings: SandboxSettings) -> None:
    """Check what can be known before the pictures are looked at.

    Raises:
        PromptEmpty: Nothing is left without placeholders and space.
        PromptTooLong: More characters than the settings allow.
        ImageCountMismatch: There are placeholders, but not one for each picture.
    """
    if len(prompt) > settings.max_prompt_chars:
        raise PromptTooLong(
            f"This prompt has {len(prompt):,} characters; at most {settings.max_prompt_chars:,} are read. Shorten it."
        )
    if not prompt.replace(PLACEHOLDER, "").strip():
        raise PromptEmpty("The prompt is empty. Write what you want to ask.")
    placeholders = prompt.count(PLACEHOLDER)
    if placeholders and placeholders != images:
        raise ImageCountMismatch(
            f"The prompt has {placeholders} {PLACEHOLDER} for {images} pictures. Write one for each picture, or none: "
            "the pictures then come first."
        )


def answer_limit(request: Request, own: int | None, settings: SandboxSettings) -> int:
    """Return how long an answer may be, in tokens.

    Args:
        request: What is asked.
        own: The checkpoint's own longest answer, if it has one.
        settings: The limits.

    Raises:
        BadOption: More is asked for than the settings allow.
    """
    most = settings.max_new_tokens
    if request.max_new_tokens is None:
        return min(most, own or ANSWER_LENGTH)
    if request.max_new_tokens > most:
        raise BadOption(f"An answer may have at most {most} tokens; {request.max_new_tokens} were asked for.")
    return request.max_new_tokens
