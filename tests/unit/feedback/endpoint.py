"""An OpenAI-compatible endpoint on a real socket that replies as it is told to, faults included."""

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from webapp.feedback import Endpoint

KEY = "sk-a-key-that-nobody-may-see"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}


@dataclass
class Answer:
    """What goes over the wire."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0


Asked = dict[str, Any]
Behavior = Callable[[Asked], Answer]


def completion(text: str | None, *, finish_reason: str = "stop", **message: Any) -> Answer:
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text, **message}}
    return Answer(body=json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": USAGE}))


def fault(status: int, message: str = "", **headers: str) -> Behavior:
    body = json.dumps({"error": {"message": message}})
    return lambda _: Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def prompt_of(asked: Asked) -> str:
    return asked["messages"][-1]["content"]


def data_of(asked: Asked) -> dict[int, str]:
    """Return the answer's passages as the prompt holds them."""
    marker = re.search(r"markers <<(\w+)>>", prompt_of(asked))[1]
    data = prompt_of(asked).split(f"<<{marker}>>\n")[1].split(f"\n<<end {marker}>>")[0]
    return {line["n"]: line["text"] for line in map(json.loads, data.splitlines())}


def criteria_of(asked: Asked) -> list[str]:
    return re.search(r"JSON object for: (.+)\.$", prompt_of(asked))[1].split(", ")


def reading(asked: Asked, verdict: str = "unmet", **found: Any) -> dict[str, Any]:
    """Return a reply's object with the same finding for every criterion, but for those in `found` by underscored id."""
    findings = {name.replace("_", "-"): finding for name, finding in found.items()}
    default = {
        "evidence": [1] if verdict == "met" else [],
        "verdict": verdict,
        "advice": "" if verdict == "met" else "Say it.",
    }
    return {criterion: findings.get(criterion, default) for criterion in criteria_of(asked)}


def says(verdict: str = "unmet", **found: Any) -> Behavior:
    return lambda asked: completion(json.dumps(reading(asked, verdict, **found)))


def finds_the_projector(asked: Asked) -> Answer:
    """Reply as a model would that meets one criterion where a passage names the projector."""
    numbers = [number for number, text in data_of(asked).items() if "MLP" in text]
    met = {"evidence": numbers[:1], "verdict": "met", "advice": ""}
    return completion(json.dumps(reading(asked, **({"projector": met} if numbers else {}))))


class FakeEndpoint:
    """Replies by its behaviors in turn, the last one for ever."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.keys: list[str] = []
        self.behaviors: list[Behavior] = [finds_the_projector]

    def will(self, *behaviors: Behavior) -> None:
        self.behaviors = list(behaviors)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        behavior = self.behaviors[0] if len(self.behaviors) == 1 else self.behaviors.pop(0)
        return behavior(asked)

    def as_endpoint(self, **options: Any) -> Endpoint:
        fields = {"base_url": f"{self.url}/v1", "model": "fake-1", "api_key": SecretStr(KEY), "timeout": 5.0}
        return Endpoint(**{**fields, **options})


@contextmanager
def serving(certified: ssl.SSLContext | None = None) -> Iterator[FakeEndpoint]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            fake.keys.append(self.headers["authorization"])
            answer = fake.answer(asked)
            time.sleep(answer.after)
            body = answer.body.encode()
            try:
                self.send_response(answer.status)
                for name, value in {"content-type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except BrokenPipeError:
                pass  # the client went away

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certified:
        server.socket = certified.wrap_socket(server.socket, server_side=True)
    fake = FakeEndpoint(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
