"""Loads the engine, at once or in the background, so that neither a page nor an import waits for PyTorch.

A model can be changed while people work: the old engine answers until the new one is ready.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from sandbox.errors import BadOption, EngineFailed, EngineNotReady
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
        model: A folder or a hub id; None is the settings' model, by default the tiny LLaVA that ships, or the server
            that the settings name.
        device: `auto`, `cpu`, `mps`, `cuda` or `cuda:1`; None is the settings' device.
        settings: Limits and defaults; None reads them from the environment and `.env`.
        progress: Told what is being done, for people.

    Raises:
        EngineFailed: The model or the device isn't there, or can't be used.
    """
    settings = settings or SandboxSettings()
    if settings.sandbox_base_url and model in (None, settings.sandbox_base_url):
        from sandbox.remote import open_remote

        return cast("Engine", open_remote(settings, progress))  # refuses in words what it can't do
    progress("Importing PyTorch and transformers")
    from sandbox.engine import open_engine

    name = settings.checkpoint if model is None else fspath(model)
    return open_engine(name, device or settings.sandbox_device, settings, progress)


class EngineLoader:
    """Loads the engine in a thread of its own, for everybody in the process, and changes it on demand."""

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        """Remember the settings; nothing is loaded before `start`, `get` or `switch`."""
        self._settings = settings
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._engine: Engine | None = None
        self._name: str | None = None
        """What is loaded, or being loaded for the first time; None is the settings' model."""
        self._failure = ""
        self._progress = "Not started"
        self._began: float | None = None
        self._ended: float | None = None
        self._next = ""
        """What is being loaded while another engine answers."""
        self._next_progress = ""
        self._notice = ""
        """What became of the last change, if it failed."""

    @property
    def state(self) -> LoaderState:
        """How far it is."""
        if self._began is None:
            return "idle"
        if not self._done.is_set():
            return "loading"
        return "ready" if self._engine else "failed"

    @property
    def busy(self) -> bool:
        """Whether a model is being loaded, be it the first or another."""
        return self.state == "loading" or bool(self._next)

    @property
    def progress(self) -> str:
        """What is being done, what is loaded, or why that failed, in sentences for people."""
        if self._next:
            return f"{self._progress}. Meanwhile {model_label(self._next)} is being loaded: {self._next_progress}."
        if self._notice:
            return f"{self._progress}. {self._notice}"
        return self._failure or self._progress

    @property
    def seconds(self) -> float:
        """How long the first load has taken, or took."""
        return 0.0 if self._began is None else (self._ended or time.monotonic()) - self._began

    def start(self) -> None:
        """Begin to load in the background, also again after a failure; otherwise the first call is the only one."""
        with self._lock:
            if self.state not in ("loading", "ready"):
                self._begin(self._name)

    def switch(self, name: str) -> None:
        """Begin to load another model in the background, for everybody in the process.

        The engine that is there answers until the new one is ready. Who works with it then goes on to the end; its
        memory is free once nobody does. If the new one can't be loaded the old one stays, and `progress` says why.

        Args:
            name: A folder or a hub id. Who may name which is the caller's to check.

        Raises:
            BadOption: Nothing is named, or a model is being loaded already.
        """
        name = name.strip()
        if not name:
            raise BadOption("Name a model: a folder, or a hub id such as llava-hf/llava-1.5-7b-hf.")
        with self._lock:
            if self.busy:
                raise BadOption("A model is being loaded already. Wait until it is there, then choose again.")
            if self._engine is None:
                self._begin(name)
                return
            self._next, self._next_progress, self._notice = name, "starting", ""
            threading.Thread(target=self._change, args=(name,), name="engine loader", daemon=True).start()

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

    def _begin(self, name: str | None) -> None:
        self._done.clear()
        self._name, self._failure, self._began, self._ended = name, "", time.monotonic(), None
        threading.Thread(target=self._load, args=(name,), name="engine loader", daemon=True).start()

    def _load(self, name: str | None) -> None:
        try:
            self._engine = load_engine(name, settings=self._settings, progress=self._tell)
        except Exception as error:
            self._failure = _reason(error)
        finally:
            self._ended = time.monotonic()
            self._done.set()

    def _change(self, name: str) -> None:
        try:
            engine = load_engine(name, settings=self._settings, progress=self._tell_next)
        except Exception as error:
            with self._lock:
                self._notice, self._next = f"{model_label(name)} could not be loaded: {_reason(error)}", ""
            return
        with self._lock:
            self._engine, self._name = engine, name  # the old one ends once nobody holds it
            self._next, self._progress = "", f"Ready: {engine.description}"

    def _tell(self, progress: str) -> None:
        log.info(progress)
        self._progress = progress

    def _tell_next(self, progress: str) -> None:
        log.info(progress)
        self._next_progress = progress


def model_label(name: str) -> str:
    """Return what people call a model: a folder's own name, or the hub id."""
    return Path(name).name if Path(name).expanduser().is_dir() else name


def _reason(error: Exception) -> str:
    if isinstance(error, EngineFailed):
        return str(error)
    log.error("The engine could not be loaded", exc_info=error)
    return f"The model could not be loaded ({type(error).__name__}); the log says more."
