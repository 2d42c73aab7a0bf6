"""A small vision server that speaks the OpenAI chat protocol over real sockets."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ["A", " red", " circle", " é", "."]


class Server(BaseHTTPRequestHandler):
    """Speaks the OpenAI chat protocol: lists a model, and streams WORDS; some prompts make it misbehave."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers["Authorization"] != "Bearer right":
            self.reply(401, {"error": {"message": "no such key", "type": "auth"}})
        else:
            self.reply(200, {"object": "list", "data": [{"id": "llava", "object": "model"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = body["messages"][0]["content"][-1].get("text", "")
        self.server.bodies.append(body)
        self.server.tries[asked] = self.server.tries.get(asked, 0) + 1
        if asked == "silent":
            time.sleep(0.6)
        if asked == "too long":
            self.reply(400, {"error": {"message": "This model's maximum context length is 4096 tokens."}})
        elif asked == "busy" or (asked == "busy once" and self.server.tries[asked] == 1):
            self.reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "0"})
        elif asked == "broken":
            self.reply(500, {"error": {"message": "oops"}})
        else:
            self.stream(asked)

    def stream(self, asked):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        if asked == "dies":
            self.send_header("Content-Length", "100000")
        self.end_headers()
        for number, word in enumerate(WORDS * (200 if asked == "on and on" else 1)):
            try:
                self.chunk([{"index": 0, "delta": {"content": word}, "finish_reason": None}])
            except OSError:
                self.server.hung_up.set()
                return
            if asked == "on and on":
                time.sleep(0.01)
            if asked == "breaks off" and number == 1:
                self.wfile.write(b'data: {"error": {"message": "out of memory"}}\n\n')
                return
            if asked in ("ends early", "dies") and number == 1:
                return
        finish = "length" if asked == "short" else "stop"
        self.chunk([{"index": 0, "delta": {}, "finish_reason": finish}])
        self.chunk([], usage={"prompt_tokens": 590, "completion_tokens": 6, "total_tokens": 596})
        self.wfile.write(b"data: [DONE]\n\n")

    def chunk(self, choices, **more):
        data = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "llava", "choices": choices}
        self.wfile.write(f"data: {json.dumps({**data, **more})}\n\n".encode())
        self.wfile.flush()

    def reply(self, status, body, headers=None):
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(text), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@contextmanager
def vision_server() -> Iterator[ThreadingHTTPServer]:
    """Serve on a free port; `bodies` are the requests so far, `hung_up` is set when a client leaves a stream."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.bodies, server.tries, server.hung_up = [], {}, threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
