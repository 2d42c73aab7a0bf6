"""Feedback is tested on the catalog's own questions, with the real embeddings and a real store."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from content import load_catalog
from tests.unit.feedback.endpoint import serving
from webapp.feedback import Client, LlmGrader
from webapp.store import Mode, Store, Submitter


@pytest.fixture(scope="session")
def catalog():
    return load_catalog().questions


@pytest.fixture(scope="session")
def architecture(catalog):
    """Question q01: how LLaVA combines vision and language."""
    return catalog["q01"]


@pytest.fixture(scope="session")
def known_answers():
    """Answers by question and by the kind that they were written to be."""
    text = (Path(__file__).parent / "answers.yaml").read_text(encoding="utf-8")
    return {
        question: {answer["kind"]: answer["text"] for answer in answers}
        for question, answers in yaml.safe_load(text).items()
    }


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self):
        self.moment = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.moment

    def pass_by(self, **span):
        self.moment += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/vivalab.db")
    store.migrate()
    yield store
    store.dispose()


@pytest.fixture
def submit(store, clock):
    """Submit an answer to q01 and return its id."""

    def submit(text):
        user = store.local_user()
        now = clock()
        _, attempt = store.start_session(
            user_id=user.id,
            mode=Mode.PRACTICE,
            question_ids=["q01"],
            started_at=now,
            deadline=now + timedelta(minutes=20),
        )
        with store.hold_anyones_attempt(attempt_id=attempt.id) as held:
            return held.submit(text=text, at=now, by=Submitter.CANDIDATE).id

    return submit


@pytest.fixture
def endpoint():
    """An OpenAI-compatible endpoint on a real socket."""
    with serving() as fake:
        yield fake


@pytest.fixture
def llm(endpoint):
    """Make llm graders of that endpoint."""
    clients = []

    def llm(*, client_options=None, **options):
        clients.append(Client(endpoint.as_endpoint(**(client_options or {}))))
        return LlmGrader(clients[-1], **options)

    yield llm
    for client in clients:
        client.close()
