"""A host with a language model, in a real server: progress, waiting, calls in the review, candidates' own models."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Serve, Server
from tests.unit.feedback.endpoint import KEY, Answer, FakeEndpoint, fault, finds_the_projector, serving
from tests.web.test_guests import PASSWORD
from tests.web.test_http import start
from tests.web.test_roles import handlers

ANSWER = "A CLIP ViT encodes the image into 576 patch features, and an MLP projects them into the space of the LLM."
OWN_KEY = "sk-the-candidates-own-key"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[FakeEndpoint]:
    with serving() as fake:
        yield fake


@pytest.fixture(scope="module")
def server(serve: Serve, endpoint: FakeEndpoint) -> Server:
    return serve(
        PUBLIC_URL="http://interviews.test",
        INTERVIEWER_PASSWORD=PASSWORD,
        LLM_BASE_URL=f"{endpoint.url}/v1",
        LLM_API_KEY=KEY,
        LLM_MODEL="fake-1",
        LLM_OWN="127.0.0.1",
        LLM_PRICE_IN="2",
        LLM_PRICE_OUT="10",
    )


@pytest.fixture
def guest(server: Server, visitor_of: Any, endpoint: FakeEndpoint) -> Any:
    endpoint.will(finds_the_projector)
    visitor = visitor_of(server)
    visitor.visit()
    return visitor


def submit(guest: Any, text: str) -> str:
    attempt_id = start(guest)
    submitting = handlers(guest.config())["submit"]
    done = guest.call(submitting, [{"text": text, "revision": 0}], query=f"?attempt={attempt_id}")
    assert done["success"], done
    return attempt_id


def report(guest: Any, attempt_id: str) -> str:
    """Return all that the report's page is told."""
    looking = handlers(guest.config())["look_again"]
    return json.dumps(guest.call(looking, [], query=f"?attempt={attempt_id}"), ensure_ascii=False)


def wait_for(words: str, look: Any) -> str:
    end = time.monotonic() + 30
    while words not in (seen := look()):
        assert time.monotonic() < end, seen[-3000:]
        time.sleep(0.2)
    return seen


def test_the_report_says_how_far_the_model_is_and_then_what_it_found(guest: Any, endpoint: FakeEndpoint) -> None:
    def slowly(asked: dict[str, Any]) -> Answer:
        answer = finds_the_projector(asked)
        answer.after = 0.7
        return answer

    endpoint.will(slowly)
    attempt_id = submit(guest, f"{ANSWER} It is slow.")
    waiting = wait_for("5 of 14 criteria read", lambda: report(guest, attempt_id))
    assert "embedded coverage estimate finds" in waiting
    done = wait_for("Language-model verdict", lambda: report(guest, attempt_id))
    assert '1</b> <span class=\\"dim\\">of 14 key points' in done
    assert "Say it." in done


def test_an_answer_waits_while_the_endpoint_is_away(server: Server, guest: Any, endpoint: FakeEndpoint) -> None:
    endpoint.will(fault(401, f"Incorrect API key provided: {KEY}"))
    attempt_id = submit(guest, f"{ANSWER} It waits.")
    waiting = wait_for("tried again by itself", lambda: report(guest, attempt_id))
    assert "key points</" not in waiting
    assert guest.http.get("/readyz").json()["grader"] == {"kind": "llm", "model": "fake-1", "state": "failing"}
    endpoint.will(finds_the_projector)
    wait_for("Language-model verdict", lambda: report(guest, attempt_id))
    assert guest.http.get("/readyz").json()["grader"]["state"] == "ready"


def test_the_review_shows_what_was_asked_replied_and_paid(server: Server, guest: Any, visitor_of: Any) -> None:
    attempt_id = submit(guest, f"{ANSWER} <b>It is reviewed.</b>")
    wait_for("Language-model verdict", lambda: report(guest, attempt_id))
    interviewer = visitor_of(server)
    interviewer.visit()
    interviewer.http.post("/sign-in", data={"password": PASSWORD})
    reading = handlers(interviewer.config("/review"))["load_attempt"]
    shown = json.dumps(interviewer.call(reading, [], mount="/review", query=f"?attempt={attempt_id}"))
    assert "3 calls, 3,000 tokens read and 300 written, cost 0.0090" in shown
    assert "You assess one answer" in shown
    assert "<b>It is reviewed" not in shown
    assert KEY not in shown


def bring(guest: Any, endpoint: FakeEndpoint, **changed: str) -> Any:
    model = {"base_url": f"{endpoint.url}/v1", "model": "own-1", "api_key": OWN_KEY, **changed}
    return guest.http.put("/own-model", json=model)


def test_a_candidates_own_model_grades_for_the_visit_and_leaves_no_key(
    server: Server, guest: Any, visitor_of: Any, endpoint: FakeEndpoint
) -> None:
    attempt_id = submit(guest, f"{ANSWER} It is read twice.")
    wait_for("Language-model verdict", lambda: report(guest, attempt_id))
    assert bring(guest, endpoint).status_code == 204
    assert guest.http.post(f"/attempts/{attempt_id}/own-grade").status_code == 202
    shown = wait_for("All readings of this answer", lambda: report(guest, attempt_id))
    assert "own model" in shown
    assert f"Bearer {OWN_KEY}" in endpoint.keys
    assert "is held in the server's memory" in shown

    pages = [shown, guest.visit(f"/report?attempt={attempt_id}").text, json.dumps(guest.config())]
    kept = [path.read_bytes() for path in server.data_dir.iterdir() if path.is_file()]
    assert OWN_KEY not in "".join(pages)
    assert OWN_KEY.encode() not in b"".join(kept)

    interviewer = visitor_of(server)
    interviewer.visit()
    interviewer.http.post("/sign-in", data={"password": PASSWORD})
    reading = handlers(interviewer.config("/review"))["load_attempt"]
    reviewed = json.dumps(interviewer.call(reading, [], mount="/review", query=f"?attempt={attempt_id}"))
    assert "<h2>Language-model verdict</h2>" in reviewed
    assert "Other gradings" in reviewed

    guest.http.post("/sign-out")
    again = guest.http.post(f"/attempts/{attempt_id}/own-grade")
    assert (again.status_code, "no model of yours" in again.text) == (409, True)


def test_an_own_model_is_refused_elsewhere_than_the_host_allows(guest: Any, endpoint: FakeEndpoint) -> None:
    refused = bring(guest, endpoint, base_url="https://10.0.0.1/v1")
    assert (refused.status_code, "models at 127.0.0.1 only" in refused.text) == (422, True)


def test_a_stranger_cannot_have_an_answer_read(
    server: Server, guest: Any, visitor_of: Any, endpoint: FakeEndpoint
) -> None:
    attempt_id = submit(guest, f"{ANSWER} It is mine.")
    stranger = visitor_of(server)
    assert stranger.http.post(f"/attempts/{attempt_id}/own-grade").status_code == 401
    assert stranger.http.put("/own-model", json={}).status_code == 401
    stranger.visit()
    assert bring(stranger, endpoint).status_code == 204
    assert stranger.http.post(f"/attempts/{attempt_id}/own-grade").status_code == 404


def test_an_open_answer_cannot_be_read(guest: Any, endpoint: FakeEndpoint) -> None:
    bring(guest, endpoint)
    assert guest.http.post(f"/attempts/{start(guest)}/own-grade").status_code == 409
