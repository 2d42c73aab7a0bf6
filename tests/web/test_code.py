"""The code exercises as a candidate meets them: write, run, submit, and nothing that was typed is lost."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Serve, Server
from tests.unit.judge.q10 import RIGHT

LOOP = "def sample_frames(num_frames, fps, budget, diff):\n    print('here')\n    while True: pass\n"


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    return serve()


@pytest.fixture
def page(browser: Browser, server: Server) -> Any:
    page = browser.new_page(base_url=server.url)
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    yield page
    page.close()


def open_room(page: Page, question: str = "q10") -> Page:
    page.goto("/")
    start = page.locator(f'[data-questions="{question}"]').first
    start.wait_for()
    page.wait_for_timeout(2000)  # the button works once its page has mounted
    start.click()
    page.wait_for_url("**/room?attempt=*")
    return editing(page)


def editing(page: Page) -> Page:
    expect(page.locator(".cm-content")).to_contain_text("def ")
    page.wait_for_timeout(1000)
    return page


def write(page: Page, source: str) -> None:
    page.locator(".cm-content").fill(source)
    expect(page.locator(".code-panel .save-state")).to_have_text(re.compile("^Saved"))


def test_code_is_run_submitted_and_stands_in_the_report(page: Page) -> None:
    open_room(page).get_by_role("button", name="Run", exact=True).click()
    results = page.locator(".code-panel")
    expect(results.get_by_text("Public checks")).to_be_visible()
    expect(results.locator(".checks .failed").first).to_be_visible()
    write(page, RIGHT)
    page.get_by_role("button", name="Submit code").click()
    expect(results.get_by_text("All checks")).to_be_visible()
    expect(results.locator(".checks .failed")).to_have_count(0)
    page.locator("#answer textarea").fill("One frame a shot, and what is left over time.")
    page.get_by_role("button", name="Submit answer").click()
    page.wait_for_url("**/report?attempt=*")
    expect(page.get_by_text("Code for the exercise")).to_be_visible()
    expect(page.locator("details", has_text="Submitted").first).to_contain_text("passed")
    expect(page.locator("pre.output").first).to_contain_text("def sample_frames")


def test_typed_code_survives_a_reload_and_a_reset_keeps_it(page: Page) -> None:
    write(open_room(page), "# mine\n" + RIGHT)
    page.reload()
    expect(page.locator(".cm-content")).to_contain_text("# mine")
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Back to the starter").click()
    expect(page.locator(".cm-content")).not_to_contain_text("# mine")
    page.get_by_text("earlier states of the code").click()
    page.get_by_role("button", name="Bring back").first.click()
    expect(page.locator(".cm-content")).to_contain_text("# mine")


def test_a_run_that_never_ends_can_be_stopped_and_the_next_one_runs(page: Page) -> None:
    write(open_room(page), LOOP)
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("button", name="Stop", exact=True).click()
    write(page, RIGHT)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".code-panel").get_by_text("Public checks")).to_be_visible()
    expect(page.locator(".code-panel .checks .failed")).to_have_count(0)


def test_the_sandbox_has_every_code_exercise(page: Page) -> None:
    page.goto("/sandbox/code?exercise=q10")
    editing(page)
    expect(page.get_by_role("link", name=re.compile("^q\\d\\d"))).to_have_count(9)
    write(page, RIGHT)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".code-panel").get_by_text("Public checks")).to_be_visible()
    expect(page.locator(".code-panel .checks .failed")).to_have_count(0)
