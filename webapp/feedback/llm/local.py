"""A language model of one's own: a GGUF file served by llama.cpp in a child process, behind the same client.

The server listens on a loopback port that the system chooses, with a key that is drawn for each start. It is started
again, after growing pauses, when it dies, and ends with this process, also when that is killed.
"""

import importlib.util
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import SecretStr

from webapp.feedback.llm.client import Client
from webapp.feedback.llm.endpoint import Endpoint
from webapp.feedback.llm.errors import GraderAway

log = logging.getLogger(__name__)

LocalState = Literal["idle", "fetching", "starting", "ready", "restarting", "failed"]

SERVER = Path(__file__).with_name("gguf_server.py")
CONTEXT = 8192  # tokens
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds
SOUND_AFTER = 300.0  # seconds; a server that lived so long begins again with the first pause


class ModelMissing(Exception):
    """The model can't be had; the sentence says why."""


class LocalModel:
    """Keeps a llama.cpp server running for a GGUF file, or for `owner/repository:file` on the Hub."""

    def __init__(self, source: str, *, context: int = 0, timeout: float = 60.0) -> None:
        """Remember what to serve; nothing is started before `start`.

        Args:
            source: A file, or `owner/repository:file.gguf`.
            context: Tokens of prompt and reply together, 0 for 8192.
            timeout: Seconds after which a request is given up.
        """
        self._source, self._context, self._timeout = source, context or CONTEXT, timeout
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._endpoint: Endpoint | None = None
        self._said: deque[str] = deque(maxlen=20)
        self.state: LocalState = "idle"
        self.progress = "The model is not started."

    @property
    def model(self) -> str:
        """The file's name, without its ending."""
        return Path(self._source.rpartition(":")[2] or self._source).name.removesuffix(".gguf")

    @property
    def endpoint(self) -> Endpoint:
        """The server's endpoint; GraderAway, with what is being done, while there is none."""
        endpoint = self._endpoint
        if endpoint is None:
            raise GraderAway(self.progress)
        return endpoint

    def start(self) -> None:
        """Start the server in the background; nothing happens if that was done before."""
        with self._lock:
            if self._thread is None:
                self._stopping.clear()
                self._thread = threading.Thread(target=self._keep_running, name="local model", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the server."""
        self._stopping.set()
        with self._lock:
            self._end(self._process)
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(10)
        self._tell("idle", "The model is stopped.")

    def _keep_running(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._run(self._path())
                state, sentence = "restarting", f"The local model ended ({self._last_words()}); it is started again."
            except ModelMissing as error:
                state, sentence = "failed", str(error)
            except Exception as error:
                log.exception("The local model could not be started")
                state, sentence = "failed", f"The local model could not be started ({type(error).__name__})."
            if self._stopping.is_set():
                return
            pause = FIRST_PAUSE if time.monotonic() - began > SOUND_AFTER else pause
            log.warning("%s Next try in %.0f s", sentence, pause)
            self._tell(state, sentence)  # type: ignore[arg-type]
            self._stopping.wait(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _run(self, path: Path) -> None:
        """Serve a file until the server ends."""
        key = secrets.token_urlsafe(32)
        self._tell("starting", f"The local model {self.model} is being loaded.")
        orders = {
            "path": str(path),
            "api_key": key,
            "alias": self.model,
            "context": self._context,
            "threads": max(1, (os.cpu_count() or 2) // 2),
        }
        with self._lock:
            if self._stopping.is_set():
                return
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", str(SERVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl+C is for the app, which ends the server itself
            )
        assert process.stdin  # noqa: S101
        assert process.stdout  # noqa: S101
        assert process.stderr  # noqa: S101
        self._said.clear()
        listener = threading.Thread(target=self._listen, args=(process.stderr,), daemon=True)
        listener.start()
        try:
            process.stdin.write(json.dumps(orders) + "\n")
            process.stdin.flush()
            if line := process.stdout.readline():
                self._endpoint = Endpoint(
                    base_url=f"{json.loads(line)['address']}/v1",
                    model=self.model,
                    api_key=SecretStr(key),
                    timeout=self._timeout,
                    known_as=f"{path.name}, {path.stat().st_size} bytes",
                )
                self._tell("ready", f"The local model {self.model} is ready.")
            process.wait()
        except (BrokenPipeError, ValueError):
            process.wait()  # it ended, or was ended, before it could read its orders
        finally:
            self._endpoint = None
            self._end(process)
            listener.join(2)
            for pipe in (process.stdout, process.stderr):
                pipe.close()

    def _end(self, process: subprocess.Popen[str] | None) -> None:
        if process is None:
            return
        assert process.stdin  # noqa: S101
        with suppress(BrokenPipeError):
            process.stdin.close()  # the server ends with its input
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)

    def _listen(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._said.append(line.strip())

    def _last_words(self) -> str:
        code = self._process.returncode if self._process else None
        errors = [line for line in self._said if "error" in line.lower()]
        return f"exit status {code}" + (f": {errors[-1][:200]}" if errors else "")

    def _path(self) -> Path:
        """Return the file, fetched if it is on the Hub; ModelMissing if it can't be had."""
        if importlib.util.find_spec("xllamacpp") is None:
            raise ModelMissing("LLM_GGUF needs llama.cpp: pip install 'vivalab[local-llm]'.")
        path = Path(self._source).expanduser()
        if path.is_file():
            return path
        repository, _, name = self._source.rpartition(":")
        if "/" not in repository or not name:
            raise ModelMissing(f"There is no file {self._source}; LLM_GGUF names a file or owner/repository:file.gguf.")
        return self._fetch(repository, name)

    def _fetch(self, repository: str, name: str) -> Path:
        from huggingface_hub import hf_hub_download
        from tqdm import tqdm

        tell = self._tell

        class Told(tqdm):
            """A progress bar that is told instead of drawn."""

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                kwargs.pop("name", None)
                super().__init__(*args, **{**kwargs, "disable": False, "file": _Nowhere()})

            def display(self, *args: Any, **kwargs: Any) -> None:
                share = (
                    f"{self.n / self.total:.0%} of {self.total / 1e6:.0f} MB"
                    if self.total
                    else f"{self.n / 1e6:.0f} MB"
                )
                tell("fetching", f"The local model is being fetched: {share}.")

        self._tell("fetching", f"The local model is being fetched from {repository}.")
        try:
            return Path(hf_hub_download(repository, name, tqdm_class=Told))
        except Exception as error:  # of the hub's, the network's and the disk's own kinds
            raise ModelMissing(f"{repository}:{name} can't be fetched ({type(error).__name__}).") from error

    def _tell(self, state: LocalState, progress: str) -> None:
        self.state, self.progress = state, progress


class LocalClient(Client):
    """The client of a local model, wherever its server listens now."""

    def __init__(self, local: LocalModel) -> None:
        super().__init__(Endpoint(base_url="", model=local.model))
        self._local = local

    @property
    def endpoint(self) -> Endpoint:
        """The server's endpoint; GraderAway while there is none."""
        return self._local.endpoint


class _Nowhere:
    def write(self, text: str) -> None:
        """Drop it."""

    def flush(self) -> None:
        """Do nothing."""
