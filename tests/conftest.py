"""What several kinds of tests share: a real server in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

START_SECONDS = 120

os.environ.setdefault("SANDBOX_COMPILE", "false")  # a minute of computing that only its own test is about


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running `vivalab serve`."""

    process: subprocess.Popen[bytes]
    url: str
    data_dir: Path
    log: Path

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def stop(self) -> None:
        """End the process as Ctrl+C would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()


Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Return a function that starts a server with settings, and stop all of them at the end."""
    servers: list[Server] = []

    def start(data_dir: Path | None = None, port: int | None = None, **settings: str) -> Server:
        data_dir = data_dir or tmp_path_factory.mktemp("data")
        port = port or free_port()
        log = data_dir / f"server-{len(servers)}.log"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SANDBOX_", "GRADIO_"))},
            "SANDBOX_COMPILE": "false",
            "DATA_DIR": str(data_dir),
            "SERVE_PORT": str(port),
            "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("uploads")),
            **settings,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "webapp.cli", "serve"],
                env=environment,
                cwd=tmp_path_factory.mktemp("cwd"),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        server = Server(process, f"http://127.0.0.1:{port}", data_dir, log)
        servers.append(server)
        wait_until_up(server)
        return server

    yield start
    for server in servers:
        server.stop()


def wait_until_up(server: Server) -> None:
    """Return once the server answers; fail with its log if it ends before."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.process.poll() is not None:
            pytest.fail(f"the server ended:\n{server.log.read_text()[-4000:]}")
        try:
            if httpx.get(f"{server.url}/healthz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"the server did not answer in {START_SECONDS} s:\n{server.log.read_text()[-4000:]}")
