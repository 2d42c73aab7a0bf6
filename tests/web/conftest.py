import json
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
HTML = {"accept": "text/html"}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; install the system's package `chromium` to run the browser tests")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Visitor:
    """Somebody with a cookie jar of their own who speaks HTTP to a server, and Gradio's protocol to its handlers."""

    def __init__(self, server: Server) -> None:
        self.http = httpx.Client(base_url=server.url, timeout=60, follow_redirects=False)

    def visit(self, path: str = "/") -> httpx.Response:
        return self.http.get(path, headers=HTML)

    def config(self, mount: str = "") -> dict[str, Any]:
        answer = self.http.get(f"{mount}/config")
        answer.raise_for_status()
        return answer.json()

    def call(
        self, fn_index: int, data: list[Any], *, mount: str = "", query: str = "", event_data: Any = None
    ) -> dict[str, Any]:
        """Call a handler as the page does, through the queue, and return what it came to."""
        session = f"test{fn_index}"
        body = {"data": data, "fn_index": fn_index, "session_hash": session, "event_data": event_data}
        joined = self.http.post(f"{mount}/gradio_api/queue/join{query}", json=body)
        if joined.status_code != 200:
            return {"success": False, "status": joined.status_code, "text": joined.text}
        with self.http.stream("GET", f"{mount}/gradio_api/queue/data?session_hash={session}") as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    message = json.loads(line[5:])
                    if message["msg"] == "process_completed":
                        return {"success": message["success"], "status": 200, "output": message["output"]}
        raise AssertionError("the handler's stream ended without a result")


@pytest.fixture
def visitor_of() -> Iterator[Any]:
    visitors: list[Visitor] = []

    def make(server: Server) -> Visitor:
        visitors.append(Visitor(server))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.http.close()
