"""Keeps models from running while PyTorch traces.

`torch.fx` replaces `nn.Module.__call__` for the whole process, not for its own thread alone, as long as it traces a
function, which compiling does many times for moments. A model that another thread runs meanwhile fails ("module is not
installed as a submodule"). So tracing and running take turns.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

import torch.fx

MODELS = threading.RLock()
"""Held by whoever runs a model beside a thread that may compile, and by whoever traces."""


def take_turns() -> None:
    """Make tracing wait for models that run, and hold them off; once a process."""
    trace = torch.fx.Tracer.trace
    if getattr(trace, "takes_turns", False):
        return

    @functools.wraps(trace)
    def in_turn(self: torch.fx.Tracer, *args: Any, **kwargs: Any) -> Any:
        with MODELS:
            return trace(self, *args, **kwargs)

    in_turn.takes_turns = True  # type: ignore[attr-defined]
    torch.fx.Tracer.trace = in_turn
