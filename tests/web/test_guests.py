"""On any other than a loopback address visitors are guests, and the review is for who signs in."""

from typing import Any

import pytest

from tests.conftest import Serve, Server
from tests.web.test_http import start

PASSWORD = "a quiet word for interviewers"


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    return serve(PUBLIC_URL="http://interviews.test", INTERVIEWER_PASSWORD=PASSWORD)


@pytest.fixture(scope="module")
def closed(serve: Serve) -> Server:
    return serve(PUBLIC_URL="http://interviews.test")


def signed_in(server: Server, visitor_of: Any) -> Any:
    visitor = visitor_of(server)
    visitor.visit()
    assert visitor.http.post("/sign-in", data={"password": PASSWORD}).status_code == 303
    return visitor


def test_a_guest_may_practise_without_a_form(server: Server, visitor_of: Any) -> None:
    guest = visitor_of(server)
    assert guest.visit().status_code == 200
    assert start(guest)


def test_a_program_without_a_cookie_reaches_no_handler(server: Server, visitor_of: Any) -> None:
    stranger = visitor_of(server)
    for path in ("/config", "/gradio_api/info", "/gradio_api/app_id", "/gradio_api/startup-events"):
        assert stranger.http.get(path).status_code == 401
    assert stranger.http.post("/gradio_api/queue/join", json={}).status_code == 401


def test_a_guest_can_neither_read_nor_change_another_guests_attempt(server: Server, visitor_of: Any) -> None:
    owner, other = visitor_of(server), visitor_of(server)
    owner.visit()
    other.visit()
    attempt = start(owner)
    owner.http.put(f"/attempts/{attempt}/draft", json={"text": "my own words", "revision": 0})
    answer = other.http.put(f"/attempts/{attempt}/draft", json={"text": "overwritten", "revision": 1})
    assert answer.status_code == 404
    assert "my own words" not in answer.text


@pytest.mark.parametrize("path", ["/review/", "/review/attempt?attempt=x"])
def test_a_guest_is_led_to_the_interviewers_sign_in(server: Server, visitor_of: Any, path: str) -> None:
    guest = visitor_of(server)
    guest.visit()
    answer = guest.visit(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize("path", ["/review/config", "/review/gradio_api/info"])
def test_a_guest_gets_nothing_of_the_reviews_pages(server: Server, visitor_of: Any, path: str) -> None:
    guest = visitor_of(server)
    guest.visit()
    assert guest.http.get(path).status_code == 403


def test_the_interviewers_password_opens_the_review(server: Server, visitor_of: Any) -> None:
    assert signed_in(server, visitor_of).visit("/review/").status_code == 200


def test_signing_out_closes_the_review_again(server: Server, visitor_of: Any) -> None:
    interviewer = signed_in(server, visitor_of)
    interviewer.http.post("/sign-out")
    assert interviewer.visit("/review/").status_code == 303


def test_without_a_configured_password_the_review_is_closed_in_words(closed: Server, visitor_of: Any) -> None:
    guest = visitor_of(closed)
    guest.visit()
    answer = guest.http.post("/sign-in", data={"password": ""})
    assert guest.http.get("/sign-in").text.count("INTERVIEWER_PASSWORD") == 1
    assert answer.status_code in (403, 422)
    assert guest.visit("/review/").status_code == 303


def test_wrong_passwords_are_counted_and_then_refused_even_when_right(serve: Serve, visitor_of: Any) -> None:
    server = serve(PUBLIC_URL="http://interviews.test", INTERVIEWER_PASSWORD=PASSWORD)
    guesser = visitor_of(server)
    guesser.visit()
    answers = [guesser.http.post("/sign-in", data={"password": f"guess {n}"}).status_code for n in range(6)]
    assert answers == [401] * 5 + [429]
    assert guesser.http.post("/sign-in", data={"password": PASSWORD}).status_code == 429
