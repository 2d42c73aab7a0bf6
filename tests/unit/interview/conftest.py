import shutil
from datetime import UTC, datetime, timedelta

import pytest

from content import Catalog, Pack, Question
from webapp.interview import Mode, start
from webapp.store import Role, Store, UserKind

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def criterion(criterion_id, tier):
    return {
        "id": criterion_id,
        "text": f"says {criterion_id}",
        "tier": tier,
        "weight": 50,
        "examples": ["one", "two", "three"],
        "misconceptions": ["one", "two", "three"],
        "probe": f"And {criterion_id}?",
        "sources": ["paper"],
    }


def question(question_id, minutes):
    return Question.model_validate(
        {
            "id": question_id,
            "pack": "test",
            "title": f"Title of {question_id}",
            "level": "Senior",
            "band": "L5",
            "minutes": minutes,
            "category": "conceptual",
            "tags": ["vision"],
            "companies": [],
            "statement": f"Statement of {question_id}",
            "criteria": [criterion("projector", "core"), criterion("grid", "depth")],
            "lines": {"Mid-Senior": {"core": 0.5}, "Senior": {"core": 1}, "Staff": {"core": 1, "depth": 1}},
            "looks": {"senior": "so", "staff": "more"},
            "model_answer": [{"text": "The model answer.", "covers": ["projector"]}],
            "hints": [{"text": "First hint", "cost": 5}, {"text": "Second hint", "cost": 10}],
            "follow_ups": [{"ask": "Why?", "listen_for": "Because"}],
            "facts": [{"about": "size", "answer": "336 pixels", "keywords": ["size"]}],
            "sources": [{"id": "paper", "title": "A paper", "ref": "arXiv:2304.08485"}],
            "exercise": {"form": "explorer", "title": "Explore", "statement": "Look."},
        }
    )


@pytest.fixture(scope="session")
def catalog():
    questions = {q.id: q for q in (question("t01", 20), question("t02", 30))}
    pack = Pack(id="test", title="Test", purpose="Tests", target="Tests", companies=(), questions=tuple(questions))
    return Catalog(packs=(pack,), questions=questions)


@pytest.fixture
def at():
    """Moments counted from the start of every session here."""

    def at(minutes=0, seconds=0):
        return START + timedelta(minutes=minutes, seconds=seconds)

    return at


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """The file of a store with its schema and nothing else."""
    file = tmp_path_factory.mktemp("store") / "migrated.db"
    store = Store(f"sqlite:///{file}")
    store.migrate()
    store.dispose()
    return file


@pytest.fixture
def store(tmp_path, migrated):
    shutil.copy(migrated, tmp_path / "vivalab.db")
    store = Store(f"sqlite:///{tmp_path}/vivalab.db")
    yield store
    store.dispose()


def person(store, name):
    return store.create_user(kind=UserKind.GUEST, name=name, roles=[Role.CANDIDATE]).id


@pytest.fixture
def candidate(store):
    return person(store, "candidate")


@pytest.fixture
def stranger(store):
    return person(store, "stranger")


@pytest.fixture
def practice(store, catalog, candidate):
    """A practice of two questions, its first opened at the start, with 20 minutes."""
    return start(store, catalog, user_id=candidate, question_ids=["t01", "t02"], mode=Mode.PRACTICE, now=START)


@pytest.fixture
def assessment(store, catalog, candidate):
    """An assessment of one question, opened at the start, with 20 minutes."""
    return start(store, catalog, user_id=candidate, question_ids=["t01"], mode=Mode.ASSESSMENT, now=START)
