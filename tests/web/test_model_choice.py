"""A server answers, then an interviewer loads a model for everybody."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from sandbox.settings import TINY_LLAVA
from tests.conftest import Serve, Server
from tests.vision_server import vision_server
from tests.web.test_guests import PASSWORD
from tests.web.test_roles import handlers

SHOTS = os.environ.get("VIVALAB_SHOTS")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(TINY_LLAVA, tmp_path_factory.mktemp("models") / "second-llava"))


@pytest.fixture(scope="module")
def server(serve: Serve, second: Path) -> Iterator[Server]:
    with vision_server() as remote:
        yield serve(
            PUBLIC_URL="http://interviews.test",
            INTERVIEWER_PASSWORD=PASSWORD,
            SANDBOX_BASE_URL=f"http://127.0.0.1:{remote.server_port}/v1",
            SANDBOX_API_KEY="right",
            SANDBOX_MODELS=str(second),
        )


def load(visitor: Any, name: str) -> dict[str, Any]:
    return visitor.call(handlers(visitor.config("/sandbox"))["load_model"], [name], mount="/sandbox")


def test_only_an_interviewer_sees_the_models_and_loads_one_of_those_listed(
    server: Server, visitor_of: Any, second: Path
) -> None:
    guest, interviewer = visitor_of(server), visitor_of(server)
    guest.visit()
    interviewer.visit()
    interviewer.http.post("/sign-in", data={"password": PASSWORD})
    assert str(second) not in json.dumps(guest.config("/sandbox"))
    shown = guest.call(handlers(guest.config("/sandbox"))["show_choice"], [], mount="/sandbox")
    assert str(second) not in json.dumps(shown)
    assert "Only interviewers" in json.dumps(load(guest, str(second)))
    assert "Only the models that the host lists" in json.dumps(load(interviewer, "/etc"))


def test_answers_come_from_the_server_until_an_interviewers_model_is_there(
    server: Server, browser: Browser, second: Path
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    guest = context.new_page()
    guest.goto(f"{server.url}/sandbox/")
    expect(guest.get_by_text("answers only: the stages of a model on a server")).to_be_visible()
    guest.get_by_role("button", name="Ask the model").click()
    expect(guest.locator(".reply")).to_contain_text("A red circle")
    expect(guest.get_by_text("can't be seen from here: only the times")).to_be_visible()
    expect(guest.get_by_text("Load another model")).to_be_hidden()
    if SHOTS:
        guest.screenshot(path=f"{SHOTS}/remote.png", full_page=True)

    other = browser.new_context(viewport={"width": 1280, "height": 900})
    interviewer = other.new_page()
    interviewer.goto(f"{server.url}/sign-in")
    interviewer.locator("input[type=password]").fill(PASSWORD)
    interviewer.locator("input[type=password]").press("Enter")
    interviewer.wait_for_url(re.compile("/review"))
    interviewer.goto(f"{server.url}/sandbox/")
    interviewer.get_by_text("Load another model").click()
    interviewer.get_by_label("Model", exact=True).click()
    interviewer.get_by_role("option", name="second-llava").click()
    if SHOTS:
        interviewer.screenshot(path=f"{SHOTS}/choice.png", full_page=True)
    interviewer.get_by_role("button", name="Load it").click()
    expect(interviewer.get_by_text("Ready: second-llava, ")).to_be_visible()

    guest.reload()
    expect(guest.get_by_text("Ready: second-llava, ")).to_be_visible()
    guest.get_by_role("button", name="Ask the model").click()
    expect(guest.get_by_role("cell", name="encode", exact=True)).to_be_visible()
    other.close()
    context.close()
