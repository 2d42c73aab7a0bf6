"""What doesn't fit is refused before it is read, a hub model says how far it is, and models change in operation."""

import gc
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from random_llava import save_random_family

from sandbox import BadOption, EngineFailed, EngineLoader, SandboxSettings, load_engine
from sandbox.device import Placement
from sandbox.memory import count_weights, ensure_fits, estimate, free_memory
from sandbox.settings import TINY_LLAVA

MROPE = {"model_type": "qwen2_vl", "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}}
CPU = Placement("cpu", torch.float32, "sdpa", "")


def settings_for(model, **options):
    return SandboxSettings(_env_file=None, sandbox_model=str(model), sandbox_device="cpu", **options)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return save_random_family(tmp_path_factory.mktemp("other"), "llava_next")


def giant(folder, source, numbers=10**13):
    """Make a checkpoint whose weights claim to be huge: only their header is there."""
    for file in source.iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    header = json.dumps({"weight": {"dtype": "F16", "shape": [numbers], "data_offsets": [0, 2 * numbers]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return folder


def test_weights_are_counted_from_the_files_headers(engine, random_llava):
    assert count_weights(random_llava) == engine.checkpoint.parameters


def test_the_estimate_of_llava_15_7b_is_known():
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    text = LlamaConfig(max_position_embeddings=4096)
    config = LlavaConfig(text_config=text, vision_config=CLIPVisionConfig(num_hidden_layers=24))
    half = Placement("cuda:0", torch.float16, "sdpa", "")
    need = estimate(7_063_427_072, config, half, settings_for("", sandbox_kv_tokens=16_384))
    assert need.weights == 2 * 7_063_427_072
    assert need.cache == 16_384 * 2**19  # half a MiB a token
    quarter = estimate(7_063_427_072, config, half, settings_for("", sandbox_quantize="4bit"))
    assert 0.27 < quarter.weights / need.weights < 0.36


def test_a_model_that_doesnt_fit_is_refused_before_it_is_read(tmp_path, random_llava):
    with pytest.raises(EngineFailed, match=r"needs about 44000\.0 GB of memory .*GB are free\. Nothing was loaded"):
        load_engine(giant(tmp_path, random_llava), settings=settings_for(""))


def test_free_memory_is_what_the_container_leaves(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 100 kB\nMemAvailable: 80 kB\n")
    assert free_memory(meminfo, tmp_path / "nothing") == 80 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(meminfo, tmp_path) == 80 * 1024
    (tmp_path / "memory.max").write_text("50000\n")
    (tmp_path / "memory.current").write_text("30000\n")
    (tmp_path / "memory.stat").write_text("anon 20000\ninactive_file 6000\nactive_file 4000\n")
    assert free_memory(meminfo, tmp_path) == 30000
    older = tmp_path / "older" / "memory"
    older.mkdir(parents=True)
    (older / "memory.limit_in_bytes").write_text("5000\n")
    (older / "memory.usage_in_bytes").write_text("4000\n")
    (older / "memory.stat").write_text("total_cache 1\n")
    assert free_memory(meminfo, tmp_path / "older") == 1000


def test_where_free_memory_isnt_known_a_model_is_let_through(tmp_path, engine, monkeypatch):
    monkeypatch.setattr("sandbox.memory.free_memory", lambda: free_memory(tmp_path / "nothing"))
    settings = settings_for("")
    ensure_fits("it", estimate(10**13, engine.checkpoint.model.config, CPU, settings), CPU, settings)


def test_four_bits_need_cuda(random_llava):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(EngineFailed, match="SANDBOX_QUANTIZE is 4bit, which needs a CUDA device; the sandbox runs on"):
        load_engine(random_llava, settings=settings_for("", sandbox_quantize="4bit"))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (MROPE, "is a qwen2_vl model, whose positions run along time, height and width"),
        ({"model_type": "llava_next_video"}, "is a llava_next_video model. The sandbox runs those of the types llava,"),
        ({"model_type": "llava", "vision_config": {"model_type": "pixtral"}}, "vision tower of type pixtral"),
    ],
)
def test_a_model_that_cant_run_here_is_refused_by_its_settings(tmp_path, config, sentence):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineFailed, match=sentence):
        load_engine(tmp_path, settings=settings_for(""))


def test_the_old_engine_answers_until_the_new_one_is_ready(random_llava, other):
    loader = EngineLoader(settings_for(random_llava))
    old = loader.get()
    loader.switch(str(other))
    told = set()
    while loader.busy:
        told.add(loader.progress)
        if loader.get(timeout=0) is old:
            assert loader.state == "ready"
    assert loader.get(timeout=0).checkpoint.tiled
    assert loader.progress == f"Ready: {loader.get().description}"
    assert any(f"Meanwhile {other.name} is being loaded: " in sentence for sentence in told)
    assert loader.get().answer("What?", max_new_tokens=1).tokens
    loader.get().close()


def test_who_works_with_the_old_engine_goes_on_and_then_its_model_is_let_go(random_llava, other):
    loader = EngineLoader(settings_for(random_llava))
    events = loader.get().stream("What?", max_new_tokens=64)
    pieces = [next(events).text]
    model = weakref.ref(loader.get().checkpoint.model)
    loader.switch(str(other))
    while loader.busy:
        time.sleep(0.01)
    pieces += [event.text for event in events]
    assert "".join(pieces) == loader_text(random_llava)
    del events
    deadline = time.monotonic() + 20
    while model() and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.05)
    assert model() is None
    loader.get().close()


def loader_text(folder):
    """What a fresh engine answers to the same question."""
    engine = load_engine(folder, settings=settings_for(""))
    text = engine.answer("What?", max_new_tokens=64).text
    engine.close()
    return text


def test_a_model_that_cant_be_loaded_leaves_the_old_one(random_llava, tmp_path):
    loader = EngineLoader(settings_for(random_llava))
    old = loader.get()
    loader.switch(str(tmp_path / "nothing"))
    while loader.busy:
        pass
    assert loader.get(timeout=0) is old
    assert old.answer("What?", max_new_tokens=1).tokens
    assert loader.state == "ready"
    assert loader.progress.startswith(f"Ready: {old.description}. ")
    assert "nothing could not be loaded: There is no model at" in loader.progress
    old.close()


def test_only_one_model_is_loaded_at_a_time(random_llava, other):
    loader = EngineLoader(settings_for(random_llava))
    loader.start()
    with pytest.raises(BadOption, match="being loaded already"):
        loader.switch(str(other))
    loader.get().close()


def test_another_model_can_be_chosen_where_the_first_one_failed(random_llava, tmp_path):
    loader = EngineLoader(settings_for(tmp_path / "nothing"))
    with pytest.raises(EngineFailed):
        loader.get()
    loader.switch(str(random_llava))
    assert loader.get().answer("What?", max_new_tokens=1).tokens
    loader.get().close()


def test_a_switch_wants_a_name(random_llava):
    with pytest.raises(BadOption, match="Name a model"):
        EngineLoader(settings_for(random_llava)).switch(" ")


def test_the_choices_are_what_is_set_what_is_listed_and_what_ships():
    settings = settings_for("", sandbox_models=" a/b, /models/c ,,a/b")
    assert settings.choices == [str(TINY_LLAVA), "a/b", "/models/c"]
    remote = settings_for("llava", sandbox_base_url="http://127.0.0.1:8000/v1")
    assert remote.choices == ["http://127.0.0.1:8000/v1", str(TINY_LLAVA)]


class Hub(BaseHTTPRequestHandler):
    """Serves folders as the Hugging Face Hub serves models."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args, models, asked):
        self.models, self.asked = models, asked
        super().__init__(*args)

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        path = urlsplit(self.path).path.removeprefix("/api/models").strip("/").split("/")
        self.asked.append((self.command, self.path))
        folder = self.models.get("/".join(path[:2]))
        if folder is None:
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
        if "resolve" in path:
            file = folder / path[-1]
            if not file.is_file():
                return self.send(404, b"", {"X-Error-Code": "EntryNotFound"}, body)
            return self.send(200, file.read_bytes(), {"ETag": f'"{file.name}"', "X-Repo-Commit": "0" * 40}, body)
        files = [file for file in folder.iterdir() if file.is_file()]
        if "tree" in path:
            listed = [{"type": "file", "path": f.name, "size": f.stat().st_size, "oid": f.name} for f in files]
            return self.send(200, json.dumps(listed).encode(), {}, body)
        siblings = [{"rfilename": f.name, "size": f.stat().st_size, "blobId": f.name} for f in files]
        numbers = count_weights(folder)
        info = {"id": "/".join(path[:2]), "sha": "0" * 40, "siblings": siblings}
        info["safetensors"] = {"parameters": {"F32": numbers}, "total": numbers}
        return self.send(200, json.dumps(info).encode(), {}, body)

    def send(self, status, content, headers, body):
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


LOAD = """
import sys
from sandbox import EngineFailed, SandboxSettings, load_engine
for name in sys.argv[1:]:
    try:
        load_engine(name, settings=SandboxSettings(_env_file=None, sandbox_device="cpu"), progress=print)
    except EngineFailed as error:
        print(error)
"""


def test_a_hub_model_says_how_far_it_is_and_what_doesnt_fit_is_never_fetched(tmp_path, random_llava):
    huge, bare = tmp_path / "huge", tmp_path / "bare"
    huge.mkdir()
    giant(huge, random_llava)
    bare.mkdir()
    (bare / "config.json").write_bytes((random_llava / "config.json").read_bytes())
    asked = []
    models = {"owner/small": random_llava, "owner/huge": huge, "owner/bare": bare}
    hub = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, models=models, asked=asked))
    thread = threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(tmp_path / "hf")}
    environment |= {"HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", LOAD, "owner/small", "owner/huge", "owner/nothing", "owner/bare", "owner/small"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    hub.shutdown()
    hub.server_close()
    thread.join()
    assert done.returncode == 0, done.stderr
    assert "Downloading owner/small: 0.4 MB of 0.4 MB" in done.stdout
    assert done.stdout.count("Ready: owner/small") == 2
    assert "owner/huge needs about 44000.0 GB of memory" in done.stdout
    assert "owner/nothing" in done.stdout
    assert "owner/bare has no weights in the safetensors format" in done.stdout
    assert not any("huge" in path and path.endswith(".safetensors") for _, path in asked)
    weights = [
        path
        for method, path in asked
        if method == "GET" and path.endswith("small/resolve/" + "0" * 40 + "/model.safetensors")
    ]
    assert len(weights) == 1
