"""The sandbox's pages: what is one's own stays one's own, and everything begins with one click."""

import hashlib
import json
import os
import re
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Serve, Server
from tests.web.test_guests import PASSWORD
from tests.web.test_roles import handlers

SHOTS = os.environ.get("VIVALAB_SHOTS")


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    return serve(PUBLIC_URL="http://interviews.test", INTERVIEWER_PASSWORD=PASSWORD)


@pytest.fixture(scope="module")
def personal(serve: Serve) -> Server:
    return serve()


@pytest.fixture
def guest(server: Server, visitor_of: Any) -> Any:
    visitor = visitor_of(server)
    visitor.visit()
    return visitor


@pytest.fixture
def stranger(server: Server, visitor_of: Any) -> Any:
    visitor = visitor_of(server)
    visitor.visit()
    return visitor


def photo() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 40)).save(buffer, "PNG")
    return buffer.getvalue()


def give(visitor: Any, data: bytes) -> dict[str, Any]:
    """Upload a picture as the page does; return the file as Gradio names it."""
    sent = visitor.http.post("/sandbox/gradio_api/upload", files={"files": ("mine.png", data, "image/png")})
    return {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}


def call(visitor: Any, name: str, data: list[Any], **options: Any) -> dict[str, Any]:
    return visitor.call(handlers(visitor.config("/sandbox"))[name], data, mount="/sandbox", **options)


def ask(visitor: Any, source: str = "scene:11") -> str:
    """Run the pipeline; return the kept run's id."""
    done = call(visitor, "run_pipeline", [source, "What color is the star?", 0, "", "", ""])
    assert done["success"], done
    found = re.search(r"/sandbox/run\?run=([0-9a-f]{32})", json.dumps(done))
    assert found
    return found[1]


def test_an_upload_leaves_the_shared_cache_and_only_its_owner_sees_it(
    server: Server, guest: Any, stranger: Any
) -> None:
    file = give(guest, photo())
    taken = call(guest, "take_upload", [file])
    source = f"upload:{hashlib.sha256(photo()).hexdigest()}"
    assert source in json.dumps(taken)
    assert guest.http.get(f"/sandbox/gradio_api/file={file['path']}").status_code in (403, 404)
    mine = guest.http.get("/sandbox/picture", params={"source": source})
    assert (mine.status_code, mine.headers["content-type"]) == (200, "image/png")
    assert stranger.http.get("/sandbox/picture", params={"source": source}).status_code == 404
    assert httpx.get(f"{server.url}/sandbox/picture", params={"source": source}).status_code == 401
    refused = call(stranger, "run_pipeline", [source, "What is this?", 0, "", "", ""])
    assert not refused["success"]


def test_a_run_is_shown_to_its_owner_alone(guest: Any, stranger: Any) -> None:
    run_id = ask(guest)
    mine = call(guest, "load_run", [], query=f"?run={run_id}")
    theirs = call(stranger, "load_run", [], query=f"?run={run_id}")
    assert "What color is the star?" in json.dumps(mine)
    assert "nothing here for you" in json.dumps(theirs)
    assert "What color" not in json.dumps(call(stranger, "open_pipeline", [], query=f"?run={run_id}"))
    assert "What color" in json.dumps(call(guest, "open_question", [], query=f"?run={run_id}"))
    assert "What color" not in json.dumps(call(stranger, "open_question", [], query=f"?run={run_id}"))
    assert "What color" not in json.dumps(call(stranger, "load_runs", []))


def test_a_map_without_a_picture_says_why_and_gives_its_button_back(guest: Any) -> None:
    done = call(guest, "map_answer", [ask(guest, source=""), 8])
    assert "nothing to hide" in json.dumps(done)


def test_the_tensors_of_a_run_are_those_of_its_stages_and_its_owners_alone(guest: Any, stranger: Any) -> None:
    run_id = ask(guest)
    mine = guest.http.get(f"/sandbox/tensors?run={run_id}")
    arrays = np.load(BytesIO(mine.content), allow_pickle=False)
    assert arrays["preprocess"].shape == (1, 3, 112, 112)
    assert arrays["encode"].shape == (1, 65, 128)
    assert arrays["project_0"].shape == (64, 192)
    assert arrays["merge"].shape[1] == 192
    assert stranger.http.get(f"/sandbox/tensors?run={run_id}").status_code == 404
    assert stranger.http.get("/sandbox/tensors?run=none").status_code == 404
    assert not call(stranger, "map_answer", [run_id, 8])["success"]


def test_an_interviewer_sees_no_picture_of_a_run_that_is_not_evidence(
    server: Server, guest: Any, visitor_of: Any
) -> None:
    run_id = ask(guest)
    interviewer = visitor_of(server)
    interviewer.visit()
    interviewer.http.post("/sign-in", data={"password": PASSWORD})
    assert interviewer.http.get(f"/review/picture?run={run_id}&number=0").status_code == 404
    assert guest.http.get(f"/review/picture?run={run_id}&number=0").status_code == 403


def test_a_run_is_deleted_by_its_owner_alone(guest: Any, stranger: Any) -> None:
    run_id = ask(guest)
    call(stranger, "delete_run", [], query=f"?run={run_id}", event_data={"act": "delete"})
    assert "What color is the star?" in json.dumps(call(guest, "load_run", [], query=f"?run={run_id}"))
    call(guest, "delete_run", [], query=f"?run={run_id}", event_data={"act": "delete"})
    assert "nothing here for you" in json.dumps(call(guest, "load_run", [], query=f"?run={run_id}"))


@pytest.fixture
def page(browser: Browser, server: Server) -> Any:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    opened = context.new_page()
    opened.faults = []
    opened.on("pageerror", lambda error: opened.faults.append(str(error)))
    yield opened
    assert opened.faults == []
    context.close()


def look(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def test_the_pipeline_opens_with_one_click_and_its_run_is_kept_and_opened_again(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/sandbox/pipeline")
    page.get_by_role("button", name="Run the pipeline").click()
    expect(page.locator(".stages li")).to_have_count(9)
    expect(page.locator(".strip .image-run i")).to_have_count(64)
    page.locator(".answer-tokens button").nth(2).click()
    page.locator("[data-layer]").select_option("3")
    expect(page.locator(".attention .said")).to_contain_text("of its attention on the picture")
    page.get_by_label("4 × 4 blocks").check()
    page.get_by_role("button", name="Map the answer").click()
    expect(page.get_by_text("With nothing hidden")).to_be_visible()
    expect(page.locator("svg.heat rect")).to_have_count(16)
    look(page, "pipeline")
    page.get_by_role("link", name="Kept run").click()
    expect(page.get_by_role("heading", name="Describe the image.")).to_be_visible()
    page.get_by_role("button", name="Run again and compare").click()
    expect(page.get_by_text("The same answer came again")).to_be_visible()
    look(page, "run")
    page.get_by_role("link", name="Open with these settings").click()
    page.wait_for_url(re.compile("/sandbox/pipeline"))
    expect(page.get_by_label("Prompt")).to_have_value("Describe the image.")


def test_two_settings_are_compared_with_one_click_and_by_choice(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/sandbox/compare")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text("Nothing differs before preprocess.")).to_be_visible()
    page.get_by_role("button", name="Half the resolution").click()
    expect(page.get_by_label("Resolution, pixels").nth(1)).to_have_value("56")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("cell", name=re.compile("1×65×128 and 1×17×128"))).to_be_visible()
    look(page, "compare")


def test_an_earlier_run_is_attached_in_the_room_and_shown_in_report_and_review(page: Page, personal: Server) -> None:
    page.goto(f"{personal.url}/sandbox/")
    page.get_by_label("Prompt").fill("How many shapes are there?")
    page.get_by_role("button", name="Ask the model").click()
    expect(page.get_by_role("link", name="Kept run")).to_be_visible()
    page.goto(personal.url)
    page.get_by_role("button", name="Start Multimodal Architecture Fundamentals").click()
    page.wait_for_url(re.compile("/room"))
    page.get_by_text("Attach an earlier run").click()
    page.get_by_role("button", name="Attach the run: How many shapes are there?").click()
    expect(page.locator(".few .run a").filter(has_text="How many shapes are there?").first).to_be_visible()
    expect(page.get_by_text("Attach an earlier run")).to_have_count(0)
    look(page, "room-evidence")
    page.get_by_label("Your answer").fill("The vision tower turns patches into features; a projector maps them.")
    expect(page.locator(".save-state")).to_have_text(re.compile("^Saved"))
    page.get_by_role("button", name="Submit answer").click()
    page.wait_for_url(re.compile("/report"))
    expect(page.get_by_text("1 sandbox run beside this answer")).to_be_visible()
    look(page, "report-evidence")
    page.goto(f"{personal.url}/sandbox/runs")
    page.get_by_role("link", name=re.compile("How many shapes")).click()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete this run").click()
    expect(page.get_by_role("alert")).to_contain_text("stands beside a submitted answer")
    page.goto(f"{personal.url}/review/")
    page.get_by_role("link", name=re.compile("Read the answer to Multimodal Architecture")).first.click()
    page.locator("details.evidence summary").first.click()
    picture = page.locator("details.evidence img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 112
    look(page, "review-evidence")


def test_an_own_scene_is_drawn_by_clicks_and_the_model_understands_it(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/sandbox/")
    page.get_by_role("tab", name="Draw").click()
    page.get_by_label("Shape").select_option("star")
    page.get_by_label("Color").select_option("green")
    page.get_by_role("button", name="center: empty").click()
    expect(page.get_by_role("button", name="center: large green star")).to_be_visible()
    page.get_by_label("Prompt").fill("Describe the image.")
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator(".reply")).to_contain_text("A large green star")
    look(page, "draw")
