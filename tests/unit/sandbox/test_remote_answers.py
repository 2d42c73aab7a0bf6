"""Answers can come from an OpenAI-compatible vision server: the real client over real sockets."""

import base64
import io
import json
import subprocess
import sys

import pytest
from PIL import Image

from sandbox import (
    BadOption,
    EngineLoader,
    ImageCountMismatch,
    PromptEmpty,
    Request,
    SandboxSettings,
    ServerFailed,
    ServerRefused,
    StagesNotVisible,
    load_engine,
)
from tests.vision_server import WORDS, vision_server


@pytest.fixture(scope="module")
def server():
    with vision_server() as server:
        yield server


def settings_for(server, **options):
    options = {"sandbox_model": "", "sandbox_api_key": "right", **options}
    return SandboxSettings(_env_file=None, sandbox_base_url=f"http://127.0.0.1:{server.server_port}/v1", **options)


@pytest.fixture(scope="module")
def remote(server):
    engine = load_engine(settings=settings_for(server))
    yield engine
    engine.close()


def sent_picture(part):
    head, data = part["image_url"]["url"].split(",", 1)
    return head, Image.open(io.BytesIO(base64.b64decode(data)))


def test_an_answer_streams_in_pieces(remote):
    *pieces, last = list(remote.stream("What?"))
    assert [event.text for event in pieces] == WORDS
    assert (last.text, last.reply.text, last.reply.tokens) == ("", "A red circle é.", ())


def test_the_trace_has_total_times_and_the_servers_counts_only(remote):
    trace = remote.answer("What?").trace
    assert (trace.stages, trace.tokens, trace.pixels) == ((), (), None)
    assert (trace.prompt_tokens, trace.new_tokens, trace.finish) == (590, 6, "end")
    assert 0 < trace.first_token_seconds <= trace.seconds
    assert trace.server == remote.server
    assert json.loads(json.dumps(trace.summary()))["server"] == remote.server


def test_an_answer_that_was_cut_says_so(remote):
    assert remote.answer("short", max_new_tokens=5).trace.finish == "length"


def test_pictures_are_sent_upright_and_exact_where_they_stand(remote, server):
    picture = Image.new("RGB", (30, 20), "red")
    picture.putpixel((0, 0), (0, 0, 255))
    exif = picture.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    picture.save(file, "PNG", exif=exif)
    remote.answer("First <image> then <image> which?", [file.getvalue(), Image.new("L", (8, 8), 255)])
    kinds = [part["type"] for part in server.bodies[-1]["messages"][0]["content"]]
    assert kinds == ["text", "image_url", "text", "image_url", "text"]
    head, sent = sent_picture(server.bodies[-1]["messages"][0]["content"][1])
    assert (head, sent.size, sent.getpixel((19, 0))) == ("data:image/png;base64", (20, 30), (0, 0, 255))


def test_without_placeholders_the_pictures_come_first(remote, server):
    remote.answer("What?", [Image.new("RGB", (8, 8))])
    assert [part["type"] for part in server.bodies[-1]["messages"][0]["content"]] == ["image_url", "text"]


def test_a_large_picture_is_sent_as_jpeg(remote, server):
    remote.answer("What?", [Image.new("RGB", (1600, 1300), "red")])
    head, sent = sent_picture(server.bodies[-1]["messages"][0]["content"][0])
    assert (head, sent.size) == ("data:image/jpeg;base64", (1600, 1300))


def test_options_are_sent(remote, server):
    trace = remote.answer("What?", max_new_tokens=7, temperature=0.5, seed=3).trace
    body = server.bodies[-1]
    assert [body[name] for name in ("model", "max_tokens", "temperature", "seed")] == ["llava", 7, 0.5, 3]
    assert trace.seed == 3


def test_several_requests_are_answered_in_order(remote):
    replies = remote.answer_many([Request("What?"), Request("short"), Request("Why?")])
    assert [reply.trace.finish for reply in replies] == ["end", "length", "end"]
    assert remote.answer_many([]) == []


def test_closing_the_stream_hangs_up(remote, server):
    events = remote.stream("on and on")
    next(events)
    events.close()
    assert server.hung_up.wait(5)


@pytest.mark.parametrize(
    ("prompt", "kind", "sentence"),
    [
        (
            "too long",
            ServerRefused,
            r"refuses this prompt: This model's maximum context length is 4096 tokens\. Change",
        ),
        ("broken", ServerFailed, r"failed \(status 500\)"),
        ("busy", ServerFailed, "is busy"),
        ("ends early", ServerFailed, "broke off its answer"),
        ("dies", ServerFailed, "broke off its answer|can't be reached"),
        ("breaks off", ServerFailed, r"broke off its answer \(out of memory\)"),
    ],
)
def test_what_goes_wrong_at_the_server_is_said_in_words(remote, prompt, kind, sentence):
    with pytest.raises(kind, match=sentence):
        remote.answer(prompt)


def test_a_silent_server_is_given_up(server, monkeypatch):
    monkeypatch.setattr("sandbox.remote.SILENT_SECONDS", 0.2)
    monkeypatch.setattr("sandbox.remote.RETRIES", 0)
    engine = load_engine(settings=settings_for(server))
    with pytest.raises(ServerFailed, match="has said nothing for"):
        engine.answer("silent")
    engine.close()


def test_a_busy_server_is_asked_again(remote):
    assert remote.answer("busy once").text


@pytest.mark.parametrize(
    ("prompt", "images", "options", "kind"),
    [
        ("", [], {}, PromptEmpty),
        ("<image> <image>?", [Image.new("RGB", (1, 1))], {}, ImageCountMismatch),
        ("What?", [], {"max_new_tokens": 513}, BadOption),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(remote, server, prompt, images, options, kind):
    before = len(server.bodies)
    with pytest.raises(kind):
        remote.answer(prompt, images, **options)
    assert len(server.bodies) == before


@pytest.mark.parametrize("options", [{"keep": True}, {"feature_layer": -1}, {"replace": {"reduce": list}}])
def test_what_needs_the_stages_is_refused_in_words(remote, options):
    with pytest.raises(StagesNotVisible, match="can't be seen or changed here"):
        remote.answer("What?", **options)
    with pytest.raises(StagesNotVisible):
        _ = remote.checkpoint


def test_the_loader_says_that_there_are_answers_only(server):
    loader = EngineLoader(settings_for(server))
    assert loader.get(timeout=30).answer("What?").text
    assert loader.progress == (
        f"Ready: llava at 127.0.0.1:{server.server_port}, answers only: "
        "the stages of a model on a server can't be seen from here"
    )
    loader.get().close()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sandbox_api_key": "wrong"}, "refuses the key. The host can set SANDBOX_API_KEY"),
        ({"sandbox_model": "gpt"}, "has no model gpt; it has llava. Set SANDBOX_MODEL"),
    ],
)
def test_a_server_that_cant_be_used_is_refused_at_the_start(server, options, sentence):
    with pytest.raises(ServerFailed, match=sentence):
        load_engine(settings=settings_for(server, **options))


def test_a_server_that_isnt_there_is_said_in_words(server):
    settings = SandboxSettings(_env_file=None, sandbox_model="", sandbox_base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ServerFailed, match=r"127\.0\.0\.1:9 can't be reached"):
        load_engine(settings=settings)


def test_a_server_needs_no_pytorch():
    code = "import sandbox.remote, sys; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
