"""The labs as a visitor meets them: each works with one click."""

import csv
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Serve, Server


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    return serve()


@pytest.fixture
def page(browser: Browser, server: Server) -> Any:
    page = browser.new_page(base_url=server.url)
    page.set_default_timeout(90_000)
    yield page
    page.close()


def opened(page: Page, path: str) -> Page:
    page.goto(path)
    expect(page.get_by_text("Ready:")).to_be_visible(timeout=90_000)
    return page


def test_one_click_scores_every_prompt_on_every_picture(page: Page, tmp_path: Any) -> None:
    opened(page, "/sandbox/prompting").get_by_role("button", name="Run every prompt on every row").click()
    expect(page.get_by_text("24 answers.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    download.value.save_as(tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    scores = {row["prompt"]: float(row["score"]) for row in rows}
    assert scores["Describe the image."] == 0


def test_a_row_can_be_added_and_run_by_itself(page: Page) -> None:
    opened(page, "/sandbox/prompting")
    for _ in range(6):
        before = page.locator(".case").count()
        page.get_by_role("button", name="Remove row 1").click()
        expect(page.locator(".case")).to_have_count(before - 1)
    page.get_by_role("button", name="Add the chosen picture as a row").click()
    page.get_by_label("Question of row 1").fill("What does the text say?")
    page.get_by_role("button", name="Run every prompt on every row").click()
    expect(page.get_by_text("Case 1 has no expected answer")).to_be_visible()
    page.get_by_label("Expected answer of row 1").fill("JH9X")
    page.get_by_role("button", name="Run every prompt on every row").click()
    expect(page.get_by_text("4 answers.")).to_be_visible()
    expect(page.get_by_label("Question of row 1")).to_have_value("What does the text say?")


def test_one_click_finds_pictures_by_words_and_by_a_picture(page: Page) -> None:
    opened(page, "/sandbox/search").get_by_role("button", name="Search by words").click()
    expect(page.get_by_text("Nearest to “a large red circle” among 60 scenes")).to_be_visible()
    expect(page.locator(".hits img")).to_have_count(12)
    page.get_by_role("button", name="Find pictures like this one").click()
    expect(page.locator(".hits figcaption").first).to_contain_text("1.000")


def test_a_clip_is_sampled_when_the_page_opens_and_its_frames_can_be_asked_about(page: Page) -> None:
    opened(page, "/sandbox/video")
    expect(page.get_by_text("96 frames, 9.6 s at 10 a second; 5 are taken.")).to_be_visible()
    page.get_by_text("the first frames").first.click()
    page.get_by_role("button", name="Sample the clip").click()
    expect(page.locator("tr", has_text="the first frames")).to_contain_text("1 of 5")
    page.get_by_role("button", name="Ask about these frames").click()
    expect(page.get_by_text("5 frames, 320 image tokens.")).to_be_visible()
    page.get_by_role("link", name="Kept run").click()
    page.get_by_role("link", name="Open with these settings").click()
    page.wait_for_url("**/sandbox/video?run=*")
    expect(page.get_by_label("the first frames")).to_be_checked()


def test_ones_own_stage_answers_beside_the_models(page: Page) -> None:
    opened(page, "/sandbox/swap")
    expect(page.locator(".cm-content")).to_contain_text("def preprocess")
    page.get_by_role("button", name="Swap it in and ask").click()
    expect(page.get_by_text("How far apart the stages come")).to_be_visible()
    expect(page.locator("tr", has_text="preprocess").first).to_contain_text("1×3×112×112")
    page.locator(".cm-content").fill("def preprocess(image, **settings):\n    return missing\n")
    page.get_by_role("button", name="Swap it in and ask").click()
    expect(page.get_by_role("alert")).to_contain_text("NameError")


def test_one_click_answers_the_requests_in_four_ways_and_tells_whether_the_answers_are_the_same(page: Page) -> None:
    opened(page, "/sandbox/batching")
    for _ in range(5):
        before = page.locator(".ask").count()
        page.get_by_role("button", name="Remove request 2").click()
        expect(page.locator(".ask")).to_have_count(before - 1)
    page.get_by_label("Pictures of request 2").fill("2")
    page.get_by_label("Pictures of request 2").press("Tab")
    expect(page.locator(".ask").nth(1).locator("img")).to_have_count(2)
    page.get_by_role("button", name="Answer them in four ways").click()
    expect(page.get_by_text("Every answer is token for token the one that was given alone.")).to_be_visible(
        timeout=90_000
    )
    expect(page.locator("tr", has_text="Slots (this engine)")).to_contain_text("3 of 3")
    expect(page.locator(".lane i.padding").first).to_be_visible()
    page.get_by_role("link", name="Kept run").click()
    page.get_by_role("link", name="Open with these settings").click()
    expect(page.locator(".ask")).to_have_count(3)


def test_one_click_shows_what_the_caches_save_and_a_second_what_must_miss(page: Page) -> None:
    opened(page, "/sandbox/cache").get_by_role("button", name="Ask, and ask again").click()
    expect(page.get_by_text("The three receipts have one hash")).to_be_visible(timeout=90_000)
    page.get_by_role("button", name="Try what must miss").click()
    expect(page.get_by_text("11 of 11 did what they must.")).to_be_visible(timeout=90_000)
    page.get_by_role("button", name="Clear the caches").click()
    expect(page.get_by_text("Cleared: the next questions are computed anew.")).to_be_visible()
    expect(page.locator("tr", has_text="Vision tower and projector").last).to_contain_text("0.00 of 128")
