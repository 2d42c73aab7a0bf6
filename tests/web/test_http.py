"""The application over real HTTP: on loopback, one person with all roles."""

from typing import Any

import httpx
import pytest

from tests.conftest import Serve, Server
from tests.web.conftest import HTML


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    return serve()


def start(visitor: Any, questions: str = "q01") -> str:
    """Start an interview as the home page does; return the attempt's id."""
    handlers = {d["api_name"]: d["id"] for d in visitor.config()["dependencies"]}
    done = visitor.call(handlers["start"], [], event_data={"questions": questions})
    assert done["success"], done
    return done["output"]["data"][0].partition("attempt=")[2]


def test_the_first_page_is_served_without_any_sign_in(server: Server, visitor_of: Any) -> None:
    assert visitor_of(server).visit("/").status_code == 200


def test_a_platform_may_probe_the_root_by_head_without_a_cookie(server: Server) -> None:
    assert httpx.head(f"{server.url}/").status_code == 200


def test_healthz_and_readyz_answer_get_and_head(server: Server) -> None:
    for path in ("/healthz", "/readyz"):
        assert httpx.get(server.url + path).status_code == 200
        assert httpx.head(server.url + path).status_code == 200


def test_readyz_names_the_store_the_model_and_what_holds_code(server: Server) -> None:
    told = httpx.get(f"{server.url}/readyz").json()
    assert told["store"] == "ok"
    assert told["model"] in ("idle", "loading", "ready")
    assert told["code"].startswith("Code ")


def test_every_page_forbids_scripts_in_attributes_and_foreign_frames(server: Server, visitor_of: Any) -> None:
    policy = visitor_of(server).visit("/room").headers["content-security-policy"]
    assert "script-src-attr 'none'" in policy
    assert "frame-ancestors 'self'" in policy


def test_a_host_name_that_is_not_this_computer_is_refused(server: Server) -> None:
    assert httpx.get(f"{server.url}/", headers={**HTML, "host": "evil.example"}).status_code == 400


def test_another_site_gets_no_cors_permission(server: Server) -> None:
    answer = httpx.get(f"{server.url}/config", headers={**HTML, "origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}]
)
def test_a_request_that_another_sites_page_sent_changes_nothing(
    server: Server, visitor_of: Any, headers: dict[str, str]
) -> None:
    visitor = visitor_of(server)
    visitor.visit()
    attempt = start(visitor)
    answer = visitor.http.put(f"/attempts/{attempt}/draft", json={"text": "x", "revision": 0}, headers=headers)
    assert answer.status_code == 403


def test_a_draft_is_saved_under_the_next_revision(server: Server, visitor_of: Any) -> None:
    visitor = visitor_of(server)
    visitor.visit()
    attempt = start(visitor)
    first = visitor.http.put(f"/attempts/{attempt}/draft", json={"text": "one", "revision": 0})
    second = visitor.http.put(f"/attempts/{attempt}/draft", json={"text": "two", "revision": 1})
    assert [first.json()["revision"], second.json()["revision"]] == [1, 2]


def test_a_draft_from_an_older_revision_meets_the_newer_text_instead_of_overwriting_it(
    server: Server, visitor_of: Any
) -> None:
    visitor = visitor_of(server)
    visitor.visit()
    attempt = start(visitor)
    visitor.http.put(f"/attempts/{attempt}/draft", json={"text": "from one tab", "revision": 0})
    answer = visitor.http.put(f"/attempts/{attempt}/draft", json={"text": "from another", "revision": 0})
    assert answer.status_code == 409
    assert (answer.json()["text"], answer.json()["revision"]) == ("from one tab", 1)


def test_a_text_that_is_too_long_is_refused_in_words_and_not_cut(server: Server, visitor_of: Any) -> None:
    visitor = visitor_of(server)
    visitor.visit()
    attempt = start(visitor)
    answer = visitor.http.put(f"/attempts/{attempt}/draft", json={"text": "x" * 100_001, "revision": 0})
    assert answer.status_code == 413
    assert "at most 100,000 characters" in answer.json()["detail"]


def test_an_unknown_attempt_is_not_found_in_words(server: Server, visitor_of: Any) -> None:
    visitor = visitor_of(server)
    visitor.visit()
    answer = visitor.http.put("/attempts/none/draft", json={"text": "x", "revision": 0})
    assert answer.status_code == 404
    assert "nothing here for you" in answer.json()["detail"]


def test_the_database_is_not_served_as_a_file(server: Server, visitor_of: Any) -> None:
    visitor = visitor_of(server)
    visitor.visit()
    for path in (server.data_dir / "vivalab.db", server.data_dir / "cookie.key", "/etc/passwd"):
        assert visitor.http.get(f"/gradio_api/file={path}").status_code in (403, 404)


def test_the_pages_configuration_holds_no_rubric_and_no_model_answer(server: Server, visitor_of: Any) -> None:
    from content import load_catalog

    visitor = visitor_of(server)
    visitor.visit()
    config = visitor.http.get("/config").text + visitor.visit("/room").text + visitor.visit("/report").text
    for question in load_catalog().questions.values():
        for criterion in question.criteria:
            assert criterion.text[:60] not in config
        assert question.model_answer[0].text[:60] not in config
