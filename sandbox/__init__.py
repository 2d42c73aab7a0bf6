"""The LLaVA engine and its stages; it knows nothing of the web app.

Importing this package loads neither PyTorch nor transformers; `load_engine` does, and `EngineLoader` in the background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.cache import CacheReport, CacheUse
from sandbox.errors import (
    BadInput,
    BadOption,
    EngineBusy,
    EngineFailed,
    EngineNotReady,
    ImageCountMismatch,
    ImageTooLarge,
    ImageTooNarrow,
    NotAnImage,
    OutOfMemory,
    PromptEmpty,
    PromptTooLong,
    ServerFailed,
    ServerRefused,
    StageFailed,
    StagesNotVisible,
    Stopped,
    TooManyImages,
    TruncatedImage,
)
from sandbox.images import open_image
from sandbox.judge import Check, Verdict, judge  # the name is the function from here on; the package stays importable
from sandbox.loader import EngineLoader, load_engine, model_label
from sandbox.receipt import Receipt
from sandbox.request import Event, Reply, Request
from sandbox.settings import SandboxSettings
from sandbox.trace import STAGES, ArraySummary, Segment, StageOutput, StageRecord, Trace

if TYPE_CHECKING:
    from sandbox.engine import Engine

__all__ = [
    "STAGES",
    "ArraySummary",
    "BadInput",
    "BadOption",
    "CacheReport",
    "CacheUse",
    "Check",
    "Engine",
    "EngineBusy",
    "EngineFailed",
    "EngineLoader",
    "EngineNotReady",
    "Event",
    "ImageCountMismatch",
    "ImageTooLarge",
    "ImageTooNarrow",
    "NotAnImage",
    "OutOfMemory",
    "PromptEmpty",
    "PromptTooLong",
    "Receipt",
    "Reply",
    "Request",
    "SandboxSettings",
    "Segment",
    "ServerFailed",
    "ServerRefused",
    "StageFailed",
    "StageOutput",
    "StageRecord",
    "StagesNotVisible",
    "Stopped",
    "TooManyImages",
    "Trace",
    "TruncatedImage",
    "Verdict",
    "judge",
    "load_engine",
    "model_label",
    "open_image",
]


def __getattr__(name: str) -> Any:
    """Import `Engine`, and PyTorch with it, when it is first asked for."""
    if name == "Engine":
        from sandbox.engine import Engine

        return Engine
    raise AttributeError(f"module 'sandbox' has no attribute {name!r}")
