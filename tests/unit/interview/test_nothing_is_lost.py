"""What must hold when things happen at once, or the server dies between two of them."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from webapp.interview import DraftConflict, NoSuchHint, room, save_draft, settle_overdue, submit, take_hint
from webapp.store import Store

SAVE_UNTIL_KILLED = """
import sys
from datetime import datetime
from itertools import count
from webapp.interview import save_draft
from webapp.store import Store
url, user_id, attempt_id, now = sys.argv[1:]
store = Store(url)
for revision in count():
    saved = save_draft(
        store, user_id=user_id, attempt_id=attempt_id, text=f"text {revision + 1}", revision=revision,
        now=datetime.fromisoformat(now),
    )
    print(saved.revision, flush=True)
"""


def at_once(work, times):
    """Call `work` with 0, 1, ... from as many threads at the same moment; return results or exceptions."""
    together = threading.Barrier(times)

    def one(number):
        together.wait()
        try:
            return work(number)
        except (DraftConflict, NoSuchHint) as refused:
            return refused

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(one, range(times)))


def test_a_draft_that_was_acknowledged_survives_a_kill_of_the_server(store, tmp_path, catalog, candidate, practice, at):
    url = f"sqlite:///{tmp_path}/vivalab.db"
    arguments = [url, candidate, practice.attempt_id, at(minutes=1).isoformat()]
    server = subprocess.Popen([sys.executable, "-c", SAVE_UNTIL_KILLED, *arguments], stdout=subprocess.PIPE, text=True)
    for acknowledged in server.stdout:
        if int(acknowledged) == 20:
            break
    server.send_signal(signal.SIGKILL)
    rest, _ = server.communicate()
    last = int([acknowledged, *rest.split()][-1])

    restarted = Store(url)
    restarted.migrate()
    who = {"user_id": candidate, "attempt_id": practice.attempt_id}
    view = room(restarted, catalog, **who, now=at(minutes=2))
    assert view.revision in (last, last + 1)  # one more may be stored than could be said
    assert (view.text, view.deadline) == (f"text {view.revision}", at(minutes=20))
    saved = save_draft(restarted, **who, text="and on", revision=view.revision, now=at(minutes=3))
    assert saved.revision == view.revision + 1
    restarted.dispose()


def test_of_two_tabs_that_save_at_once_one_wins_and_the_other_is_told(store, candidate, practice, at):
    def save(number):
        return save_draft(
            store,
            user_id=candidate,
            attempt_id=practice.attempt_id,
            text=f"tab {number}",
            revision=0,
            now=at(),
        )

    results = at_once(save, 2)
    (conflict,) = [result for result in results if isinstance(result, DraftConflict)]
    (draft,) = store.drafts(attempt_id=practice.attempt_id)
    assert (conflict.current_text, conflict.current_revision) == (draft.text, 1)
    assert results.index(conflict) != int(draft.text.removeprefix("tab "))


def test_of_submissions_at_once_one_is_the_answer(store, catalog, candidate, practice, at):
    def submit_text(number):
        return submit(
            store,
            catalog,
            user_id=candidate,
            attempt_id=practice.attempt_id,
            text=f"answer {number}",
            revision=0,
            now=at(),
        )

    views = at_once(submit_text, 4)
    assert len({view.submitted_at for view in views}) == 1
    assert len(store.ungraded_answers()) == 1


def test_a_hint_clicked_twice_at_once_is_paid_once(store, catalog, candidate, practice, at):
    who = {"user_id": candidate, "attempt_id": practice.attempt_id, "now": at()}
    views = at_once(lambda _: take_hint(store, catalog, **who, number=1), 3)
    assert [[hint.number for hint in view.hints] for view in views] == [[1]] * 3


def test_several_workers_at_the_deadline_submit_once(store, assessment, at):
    settled = at_once(lambda _: settle_overdue(store, now=at(minutes=30)), 4)
    assert sorted(settled) == [[], [], [], [assessment.attempt_id]]


@pytest.mark.parametrize("text", ["", "so far"])
def test_the_candidate_and_the_deadline_at_once_make_one_answer(store, catalog, candidate, assessment, at, text):
    who = {"user_id": candidate, "attempt_id": assessment.attempt_id}
    save_draft(store, **who, text=text, revision=0, now=at())
    late = at(minutes=20, seconds=4)

    def either(number):
        if number:
            return settle_overdue(store, now=at(minutes=21))
        return submit(store, catalog, **who, text=text, revision=1 if text else 0, now=late)

    at_once(either, 2)
    assert len(store.ungraded_answers()) == 1
    assert store.attempt(**who).answer.text == text
