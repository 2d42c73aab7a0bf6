"""Loads the engine, at once or in the background, so that neither a page nor an import waits for PyTorch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from os import PathLike, fspath
from typing import TYPE_CHECKING, Literal

from sandbox.errors import EngineFailed, EngineNotReady
from sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from sandbox.engine import Engine

LoaderState = Literal["idle", "loading", "ready", "failed"]

log = logging.getLogger(__name__)


def load_engine(
    model: str | PathLike[str] | None = None,
    device: str | None = None,
    *,
    settings: SandboxSettings | None = None,
    progress: Callable[[str], None] = log.info,
) -> Engine:
    """Load a LLaVA and return its engine, warmed up.

    Args:
        model: A folder or a hub id; None is the settings' model, by default the tiny LLaVA that ships.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:1`; None is the settings' device.
        settings: Limits and defaults; None reads them from the environment and `.env`.
        progress: Told what is being done, for people.

    Raises:
        EngineFailed: The model or the device isn't there, or can't be used.
    """
    settings = settings or SandboxSettings()
    progress("Importing PyTorch and transformers")
    from sandbox.engine import open_engine

    name = settings.checkpoint if model is None else fspath(model)
    return open_engine(name, device or settings.sandbox_device, settings, progress)


class EngineLoader:
    """Loads the engine once, in a thread of its own, for everybody in the process."""

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        """Remember the settings; nothing is loaded before `start` or `get`."""
        self._settings = settings
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._engine: Engine | None = None
        self._failure = ""
        self._progress = "Not started"
        self._began: float | None = None
        self._ended: float | None = None

    @property
    def state(self) -> LoaderState:
        """How far it is."""
        if self._began is None:
            return "idle"
        if not self._done.is_set():
            return "loading"
        return "ready" if self._engine else "failed"

    @property
    def progress(self) -> str:
        """What is being done, or why it failed, as a sentence for people."""
        return self._failure or self._progress

    @property
    def seconds(self) -> float:
        """How long loading has taken, or took."""
        return 0.0 if self._began is None else (self._ended or time.monotonic()) - self._began

    def start(self) -> None:
        """Begin to load in the background, also again after a failure; otherwise the first call is the only one."""
        with self._lock:
            if self.state in ("loading", "ready"):
                return
            self._done.clear()
            self._failure, self._began, self._ended = "", time.monotonic(), None
            threading.Thread(target=self._load, name="engine loader", daemon=True).start()

    def get(self, timeout: float | None = None) -> Engine:
        """Return the engine, starting it if nobody has.

        Args:
            timeout: Seconds to wait; None waits until it is loaded or has failed.

        Raises:
            EngineNotReady: It is still loading after `timeout`.
            EngineFailed: It can't be loaded; the sentence says why.
        """
        if self.state == "idle":
            self.start()
        if not self._done.wait(timeout):
            raise EngineNotReady(
                f"The model is still loading ({self.progress}, {self.seconds:.0f} s so far). Try again in a moment."
            )
        if self._engine is None:
            raise EngineFailed(self._failure)
        return self._engine

    def _load(self) -> None:
        try:
            self._engine = load_engine(settings=self._settings, progress=self._tell)
        except EngineFailed as error:
            self._failure = str(error)
        except Exception as error:
            log.exception("The engine could not be loaded")
            self._failure = f"The model could not be loaded ({type(error).__name__}); the log says more."
        finally:
            self._ended = time.monotonic()
            self._done.set()

    def _tell(self, progress: str) -> None:
        log.info(progress)
        self._progress = progress
