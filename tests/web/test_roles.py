"""Every handler checks its caller: all handlers by all roles.

Gradio's `private` handlers can be called by anybody who may reach the mount, so the check is in each handler. A new
handler makes the first test fail until it has a row here.
"""

import json
from typing import Any

import pytest

from tests.conftest import Serve, Server
from tests.web.test_guests import PASSWORD
from tests.web.test_http import start

SECRET = "words that only their owner may read"

# name of the handler: what a stranger's call on somebody else's attempt comes to
CANDIDATE_HANDLERS = {
    "load": "own home only",
    "start": "own attempt only",
    "load_1": "refused",  # the room
    "take_hint": "refused",
    "pause_or_resume": "refused",
    "more_time": "refused",
    "submit": "refused",
    "load_2": "refused",  # the report
    "look_again": "refused",  # the report, asked again while it waits
    "look": "nothing of anybody",
    "take_scene": "nothing of anybody",
    "remove_picture": "nothing of anybody",
    "take_upload": "own uploads only",
    "edit": "nothing of anybody",
    "take_idea": "nothing of anybody",
    "ask": "refused",
    "stop": "nothing of anybody",
    "load_evidence": "refused",
    "attach_run": "refused",
    "load_grader": "nothing of anybody",
    "run_code_in_room": "refused",
    "submit_code_in_room": "refused",
    "stop_code_in_room": "nothing of anybody",
    "reset_code_in_room": "refused",
    "bring_back_in_room": "refused",
}
SANDBOX_HANDLERS = {
    "look": "nothing of anybody",
    "take_scene": "nothing of anybody",
    "remove_picture": "nothing of anybody",
    "take_upload": "own uploads only",
    "edit": "nothing of anybody",
    "take_idea": "nothing of anybody",
    "take_suggestion": "nothing of anybody",
    "ask": "refused",
    "stop": "nothing of anybody",
    "show_choice": "nothing of anybody",
    "load_model": "refused",
    "open_question": "refused",
    "open_pipeline": "refused",
    "run_pipeline": "own uploads only",
    "open_comparison": "refused",
    "take_preset": "nothing of anybody",
    "compare_settings": "own uploads only",
    "map_answer": "own runs only",
    "stop_map": "nothing of anybody",
    "load_runs": "own runs only",
    "delete_uploads": "own uploads only",
    "load_run": "refused",
    "delete_run": "refused",
    "repeat_run": "refused",
    "open_table": "refused",
    "work_table": "own uploads only",
    "open_clip": "refused",
    "stop_table": "nothing of anybody",
    "take_search_idea": "nothing of anybody",
    "search_by_words": "own uploads only",
    "search_by_picture": "own uploads only",
    "take_clip": "own uploads only",
    "sample_clip": "own uploads only",
    "ask_frames": "own uploads only",
    "open_exercise": "own code only",
    "open_swap": "refused",
    "take_stage": "own code only",
    "swap_stage": "own uploads only",
    "run_code_in_sandbox": "own code only",
    "submit_code_in_sandbox": "own code only",
    "stop_code_in_sandbox": "nothing of anybody",
    "reset_code_in_sandbox": "own code only",
    "bring_back_in_sandbox": "own code only",
    "open_batching": "refused",
    "work_requests": "nothing of anybody",
    "stop_requests": "nothing of anybody",
    "open_caches": "refused",
    "ask_again": "own uploads only",
    "ask_cold": "own uploads only",
    "try_differences": "own uploads only",
    "stop_differences": "nothing of anybody",
    "clear_caches": "interviewers only",
}
REVIEW_HANDLERS = {"grade_again", "load_queue", "load_attempt", "decide", "load_questions", "load_system"}


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    return serve(PUBLIC_URL="http://interviews.test", INTERVIEWER_PASSWORD=PASSWORD)


@pytest.fixture
def attempt(server: Server, visitor_of: Any) -> str:
    owner = visitor_of(server)
    owner.visit()
    attempt_id = start(owner)
    owner.http.put(f"/attempts/{attempt_id}/draft", json={"text": SECRET, "revision": 0})
    return attempt_id


def handlers(config: dict[str, Any]) -> dict[str, int]:
    return {d["api_name"]: d["id"] for d in config["dependencies"] if d["backend_fn"]}


def base(name: str) -> str:
    head, _, tail = name.rpartition("_")
    return head if head and tail.isdigit() else name


def test_each_handler_has_a_row_here(server: Server, visitor_of: Any) -> None:
    guest, interviewer = visitor_of(server), visitor_of(server)
    guest.visit()
    interviewer.visit()
    interviewer.http.post("/sign-in", data={"password": PASSWORD})
    assert {base(name) for name in handlers(guest.config())} == {base(name) for name in CANDIDATE_HANDLERS}
    assert {base(name) for name in handlers(guest.config("/sandbox"))} == set(SANDBOX_HANDLERS)
    assert set(handlers(interviewer.config("/review"))) == REVIEW_HANDLERS


def test_nobody_without_a_cookie_reaches_any_handler(server: Server, visitor_of: Any) -> None:
    guest, nobody = visitor_of(server), visitor_of(server)
    guest.visit()
    for mount in ("", "/sandbox"):
        for index in handlers(guest.config(mount)).values():
            assert nobody.call(index, [], mount=mount)["status"] == 401


def test_no_handler_gives_or_changes_a_strangers_attempt(server: Server, visitor_of: Any, attempt: str) -> None:
    stranger = visitor_of(server)
    stranger.visit()
    handed_in = {"text": "overwritten", "revision": 1}
    events = {"questions": "q01", "source": "scene:11", "prompt": "x", "run": "none"}
    for name, index in handlers(stranger.config()).items():
        data = {"submit": [handed_in], "ask": [None, "What is this?"]}.get(base(name), [])
        done = stranger.call(index, data, query=f"?attempt={attempt}", event_data=events)
        told = json.dumps(done)
        assert SECRET not in told, name
        expected = CANDIDATE_HANDLERS.get(name, CANDIDATE_HANDLERS.get(base(name)))
        if expected == "refused" and base(name) in ("submit", "take_hint", "pause_or_resume", "more_time", "ask"):
            assert "nothing here for you" in told or not done["success"], name
    after = stranger.http.put(f"/attempts/{attempt}/draft", json={"text": "x", "revision": 1})
    assert after.status_code == 404


def test_a_guest_reaches_no_handler_of_the_review_and_an_interviewer_all(
    server: Server, visitor_of: Any, attempt: str
) -> None:
    guest, interviewer = visitor_of(server), visitor_of(server)
    guest.visit()
    interviewer.visit()
    interviewer.http.post("/sign-in", data={"password": PASSWORD})
    for name, index in handlers(interviewer.config("/review")).items():
        assert guest.call(index, [], mount="/review")["status"] == 403, name
        done = interviewer.call(index, [], mount="/review", query=f"?attempt={attempt}")
        assert done["status"] == 200, name
        assert SECRET not in json.dumps(done), "an answer that is not submitted is not for review"


def test_a_guest_may_not_clear_the_caches_that_all_share(server: Server, visitor_of: Any) -> None:
    guest = visitor_of(server)
    guest.visit()
    index = handlers(guest.config("/sandbox"))["clear_caches"]
    done = guest.call(index, [], mount="/sandbox")
    assert not done["success"]
    assert "Only interviewers" in json.dumps(done)


def test_a_handler_that_lacks_its_check_would_be_noticed(server: Server, visitor_of: Any, attempt: str) -> None:
    """The owner's own call does return the text, so its absence elsewhere means something."""
    owner = visitor_of(server)
    owner.visit()
    mine = start(owner)
    owner.http.put(f"/attempts/{mine}/draft", json={"text": SECRET, "revision": 0})
    told = [
        json.dumps(owner.call(index, [], query=f"?attempt={mine}"))
        for name, index in handlers(owner.config()).items()
        if base(name) == "load"
    ]
    assert any(SECRET in text for text in told)
