"""The whole way of a newcomer in a real browser."""

import os
import re
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.conftest import Serve, Server

ANSWER = """LLaVA uses a pretrained CLIP ViT-L/14 at 336 px as its vision encoder.

The image is cut into 14x14 patches, 24 x 24 = 576 patches. ${boom()} {{boom}} \\u{zz} `boom` <img src=x onerror=boom()>

A two-layer MLP projector maps each 1024-d patch feature into the embedding space of the language model.
Image tokens are continuous vectors, not entries of the vocabulary; they are put where `<image>` stood and
attended to together with the text: concatenation, not cross-attention.
"""
SHOTS = os.environ.get("VIVALAB_SHOTS")


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    return serve()


@pytest.fixture
def context(browser: Browser) -> BrowserContext:
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    opened = context.new_page()
    opened.faults = []
    opened.on("pageerror", lambda error: opened.faults.append(str(error)))
    return opened


def look(page: Page, name: str) -> None:
    """Keep a picture of the page where VIVALAB_SHOTS names a folder."""
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def open_room(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="Start Multimodal Architecture Fundamentals").click()
    page.wait_for_url(re.compile("/room"))
    expect(page.get_by_role("heading", name="Multimodal Architecture Fundamentals")).to_be_visible()


def wait_until_saved(page: Page) -> None:
    expect(page.locator(".save-state")).to_have_text(re.compile("^Saved"))


def test_a_newcomer_practises_reads_the_report_asks_the_model_and_finds_the_answer_in_the_review(
    page: Page, server: Server, tmp_path: Path
) -> None:
    open_room(page, server)
    editor = page.get_by_label("Your answer")
    editor.fill(ANSWER[:80])
    wait_until_saved(page)
    left = page.locator(".clock .digits").text_content()

    page.reload()
    expect(editor).to_have_value(ANSWER[:80])
    assert page.locator(".clock .digits").text_content() <= left

    editor.fill(ANSWER)
    wait_until_saved(page)
    look(page, "room")
    page.get_by_role("button", name="Submit answer").click()
    page.wait_for_url(re.compile("/report"))
    expect(page.get_by_text("key points found")).to_be_visible()
    expect(page.get_by_text("Coverage estimate, not a grade.")).to_be_visible()
    expect(page.locator("mark").filter(has_text="CLIP ViT-L/14").first).to_be_visible()
    expect(page.locator(".answer-text")).to_contain_text("${boom()} {{boom}} \\u{zz} `boom` <img src=x onerror=boom()>")
    look(page, "report")

    picture = tmp_path / "circle.png"
    drawn = Image.new("RGB", (300, 300), "white")
    ImageDraw.Draw(drawn).ellipse((90, 90, 210, 210), fill=(220, 30, 30))
    drawn.save(picture)
    page.goto(f"{server.url}/sandbox")
    expect(page.get_by_text("Ready:")).to_be_visible(timeout=120_000)
    page.get_by_role("tab", name="Upload").click()
    page.locator("input[type=file]").first.set_input_files(picture)
    expect(page.get_by_text("Your upload")).to_be_visible()
    page.get_by_label("Prompt").fill("What color is the circle?")
    page.get_by_role("button", name="Ask the model").click()
    expect(page.locator(".reply")).to_have_text(re.compile(r"^\s*red\b", re.IGNORECASE))
    expect(page.get_by_text("What happened, stage by stage")).to_be_visible()
    for stage in ("preprocess", "encode", "project", "merge", "generate"):
        expect(page.get_by_role("cell", name=stage, exact=True)).to_be_visible()
    look(page, "sandbox")

    page.goto(f"{server.url}/review/")
    page.get_by_role("link", name=re.compile("Read the answer to Multimodal Architecture")).first.click()
    page.wait_for_url(re.compile("/review/attempt"))
    expect(page.locator(".answer-text")).to_contain_text("onerror=boom()")
    look(page, "review")
    assert page.faults == []


def test_text_typed_while_the_server_is_away_is_kept_and_saved_when_it_is_back(page: Page, serve: Serve) -> None:
    first = serve()
    open_room(page, first)
    editor = page.get_by_label("Your answer")
    editor.fill("typed before")
    wait_until_saved(page)

    first.kill()
    editor.fill("typed before, and after the server was killed")
    expect(page.locator(".save-state")).to_contain_text("kept in this browser")

    serve(data_dir=first.data_dir, port=int(first.url.rsplit(":", 1)[1]))
    expect(page.locator(".save-state")).to_have_text(re.compile("^Saved"), timeout=60_000)
    page.reload()
    expect(page.get_by_label("Your answer")).to_have_value("typed before, and after the server was killed")


def test_two_tabs_with_different_texts_are_asked_and_nothing_is_overwritten(
    context: BrowserContext, page: Page, server: Server
) -> None:
    open_room(page, server)
    page.get_by_label("Your answer").fill("first words")
    wait_until_saved(page)
    other = context.new_page()
    other.goto(page.url)
    expect(other.get_by_label("Your answer")).to_have_value("first words")

    page.get_by_label("Your answer").fill("the first tab goes on")
    wait_until_saved(page)
    other.get_by_label("Your answer").fill("the second tab goes on")
    expect(other.get_by_text("changed in another tab")).to_have_count(2)
    expect(other.locator(".conflict pre")).to_have_text("the first tab goes on")

    other.get_by_role("button", name="Keep the text in this tab").click()
    wait_until_saved(other)
    other.reload()
    expect(other.get_by_label("Your answer")).to_have_value("the second tab goes on")


def test_a_button_that_comes_too_late_says_why_and_what_was_kept(
    context: BrowserContext, page: Page, server: Server
) -> None:
    open_room(page, server)
    other = context.new_page()
    other.goto(page.url)
    other.get_by_label("Your answer").fill("submitted from another tab")
    other.get_by_role("button", name="Submit answer").click()
    other.wait_for_url(re.compile("/report"))
    page.get_by_role("button", name="Show hint").click()
    expect(page.get_by_role("alert")).to_contain_text("This answer is submitted")


def test_a_link_to_nothing_says_so_in_words(page: Page, server: Server) -> None:
    for path in ("/report?attempt=none", "/room?attempt=none", "/review/attempt?attempt=none"):
        page.goto(server.url + path)
        expect(page.get_by_role("alert").first).to_contain_text("There is nothing here for you")


def test_a_preview_shows_formulas_and_diagrams(page: Page, server: Server) -> None:
    open_room(page, server)
    page.get_by_label("Your answer").fill("$E = mc^2$\n\n```mermaid\nflowchart LR\n  image --> patches\n```\n")
    page.get_by_role("tab", name="Preview").click()
    expect(page.locator("#preview .katex").first).to_be_visible()
    expect(page.locator("#preview svg").first).to_be_visible()


def test_the_whole_answer_can_be_given_with_the_keyboard_alone(page: Page, server: Server) -> None:
    page.goto(server.url)
    start = page.get_by_role("button", name="Start Multimodal Architecture Fundamentals")
    start.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/room"))
    page.get_by_label("Your answer").focus()
    page.keyboard.type("CLIP turns the image into patch features.")
    wait_until_saved(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").strip() == "Submit answer"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/report"))


@pytest.mark.parametrize("path", ["/", "/sandbox", "/review/"])
def test_at_390_pixels_nothing_sticks_out_sideways(browser: Browser, server: Server, path: str) -> None:
    narrow = browser.new_page(viewport={"width": 390, "height": 844})
    narrow.goto(server.url + path)
    narrow.locator("h1, .scenes button").first.wait_for()
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 390
    narrow.close()
