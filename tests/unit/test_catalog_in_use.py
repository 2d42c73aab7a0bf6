"""The pack as people meet it: edits while the app runs, and packs beside the shipped one."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

import content
from content import LiveCatalog
from webapp import interview
from webapp.feedback import Feedback, HostGrader
from webapp.services import stored_grading
from webapp.settings import Settings
from webapp.store import Store

PACKS = Path(__file__).parent / "content" / "packs"
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACKS / "tables", tmp_path / "tables"))


def test_an_answer_is_graded_by_the_rubric_as_it_is_on_disk_now(folder: Path, tmp_path: Path) -> None:
    live, store = LiveCatalog([folder]), Store(f"sqlite:///{tmp_path / 'test.db'}")
    store.migrate()
    grading = stored_grading(store, HostGrader(Settings(_env_file=None, data_dir=tmp_path)), live)

    def grade(question_id: str, answer: str) -> Feedback:
        return grading(question_id, answer, lambda read, of: None)

    question = next(iter(live.current().questions.values()))
    answer = question.model_answer_text()
    before = grade(question.id, answer)
    rubric = next(folder.glob("*/rubric.yaml"))
    rubric.write_text(rubric.read_text().replace(f"id: {question.criteria[0].id}", "id: renamed", 1))
    answer_file = next(folder.glob("*/answer.md"))
    answer_file.write_text(answer_file.read_text().replace(question.criteria[0].id, "renamed"))
    after = grade(question.id, answer)
    assert before.verdicts[0].criterion == question.criteria[0].id
    assert after.verdicts[0].criterion == "renamed"
    store.dispose()


def test_a_session_runs_with_a_question_of_a_second_pack(folder: Path, tmp_path: Path) -> None:
    catalog = content.read_catalog([*content.pack_folders(), folder])
    own = [question for question in catalog.questions.values() if question.pack == "tables"]
    store = Store(f"sqlite:///{tmp_path / 'test.db'}")
    store.migrate()
    user = store.local_user()
    session = interview.start(
        store, catalog, user_id=user.id, question_ids=[own[0].id], mode=interview.Mode.PRACTICE, now=NOW
    )
    room = interview.room(store, catalog, user_id=user.id, attempt_id=session.attempt_id, now=NOW)
    store.dispose()
    assert room.statement == own[0].statement
