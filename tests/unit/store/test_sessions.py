import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone

import pytest

from webapp.store import HintTaken, Mode, NotFound, Submitter


def submit(store, attempt_id, moment, text="answer"):
    with store.hold_anyones_attempt(attempt_id=attempt_id) as held:
        return held.submit(text=text, at=moment, by=Submitter.CANDIDATE)


def test_what_is_set_while_held_is_kept(store, candidate, attempt, at):
    hint = HintTaken(number=1, text="Think of the grid", cost=5, taken_at=at(3))
    with store.hold_attempt(user_id=candidate, attempt_id=attempt.id) as held:
        held.attempt.hints = (hint,)
        held.attempt.paused_at = at(4)
        held.session.released_at = at(5)
    record = store.attempt(user_id=candidate, attempt_id=attempt.id)
    assert record.attempt.hints == (hint,)
    assert (record.attempt.paused_at, record.session.released_at) == (at(4), at(5))


def test_an_exception_while_held_undoes_everything(store, candidate, attempt, at):
    def fail():
        with store.hold_attempt(user_id=candidate, attempt_id=attempt.id) as held:
            held.add_draft(revision=1, text="one", saved_at=at())
            held.submit(text="one", at=at(), by=Submitter.CANDIDATE)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.attempt(user_id=candidate, attempt_id=attempt.id).answer is None
    assert store.drafts(attempt_id=attempt.id) == []


def test_who_holds_a_session_is_alone_with_it(store, candidate, attempt, at):
    """Eight writers read the newest revision and write the next: none may read between another's two steps."""
    together = threading.Barrier(8)

    def write(number):
        together.wait()
        with store.hold_attempt(user_id=candidate, attempt_id=attempt.id) as held:
            draft = held.latest_draft()
            held.add_draft(revision=draft.revision + 1 if draft else 1, text=str(number), saved_at=at())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    drafts = store.drafts(attempt_id=attempt.id)
    assert [draft.revision for draft in drafts] == list(range(1, 9))
    assert {draft.text for draft in drafts} == {str(number) for number in range(8)}
    assert store.count_drafts(attempt_id=attempt.id) == 8


TEXTS = {"empty": "", "long": "x" * 100_000, "any script": "Grüße, 视觉 \N{FIRE}\n$\\alpha$\t'quoted' \"%s\""}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_text_comes_back_as_it_was(store, candidate, attempt, at, text):
    with store.hold_attempt(user_id=candidate, attempt_id=attempt.id) as held:
        held.add_draft(revision=1, text=text, saved_at=at())
    assert store.latest_draft(attempt_id=attempt.id).text == text


def test_a_time_given_in_any_zone_comes_back_as_the_same_moment_in_utc(store, candidate, attempt, at):
    tokyo = at(7).astimezone(timezone(timedelta(hours=9)))
    with store.hold_attempt(user_id=candidate, attempt_id=attempt.id) as held:
        held.attempt.deadline = tokyo
    deadline = store.attempt(user_id=candidate, attempt_id=attempt.id).attempt.deadline
    assert deadline == at(7)
    assert deadline.utcoffset() == timedelta(0)


def test_nothing_of_anothers_can_be_reached(store, stranger, begin):
    session, attempt = begin()
    with pytest.raises(NotFound):
        store.attempt(user_id=stranger, attempt_id=attempt.id)
    with pytest.raises(NotFound), store.hold_attempt(user_id=stranger, attempt_id=attempt.id):
        pass
    with pytest.raises(NotFound), store.hold_session(user_id=stranger, session_id=session.id):
        pass
    assert store.attempts(user_id=stranger) == []
    assert store.unfinished_sessions(user_id=stranger) == []


def test_anothers_and_nobodys_attempt_read_the_same(store, stranger, attempt):
    with pytest.raises(NotFound) as anothers:
        store.attempt(user_id=stranger, attempt_id=attempt.id)
    with pytest.raises(NotFound) as nobodys:
        store.attempt(user_id=stranger, attempt_id="0" * 32)
    assert str(anothers.value).replace(attempt.id, "") == str(nobodys.value).replace("0" * 32, "")


def test_a_position_is_opened_once(store, candidate, begin, at):
    session, _ = begin()
    together = threading.Barrier(4)

    def open_second(_):
        together.wait()
        with store.hold_session(user_id=candidate, session_id=session.id) as held:
            if held.attempt.position == 1:
                held.add_attempt(question_id="q02", position=2, opened_at=at(1), deadline=at(30))
            return held.attempt.id

    with ThreadPoolExecutor(4) as threads:
        opened = set(threads.map(open_second, range(4)))
    assert len(opened) == 1
    assert [record.attempt.position for record in store.attempts(user_id=candidate)] == [2, 1]


def test_overdue_are_the_open_attempts_whose_clock_runs(store, candidate, begin, at):
    (_, early), (_, paused), (_, done), (_, late) = begin(0), begin(1), begin(2), begin(5)
    with store.hold_attempt(user_id=candidate, attempt_id=paused.id) as held:
        held.attempt.paused_at = at(3)
    submit(store, done.id, at(4))
    assert store.next_deadline() == at(20)
    assert store.overdue_attempts(at=at(20)) == [early.id]
    assert store.overdue_attempts(at=at(60)) == [early.id, late.id]


def test_without_a_running_clock_there_is_no_next_deadline(store):
    assert store.next_deadline() is None


def test_submitted_attempts_come_newest_first(store, begin, at):
    (_, first), (_, second), _ = begin(0), begin(1), begin(2)
    submit(store, second.id, at(5))
    submit(store, first.id, at(9))
    assert [record.attempt.id for record in store.submitted_attempts()] == [first.id, second.id]
    assert len(store.submitted_attempts(limit=1)) == 1


def test_a_session_is_unfinished_until_it_ends(store, candidate, begin, at):
    session, _ = begin()
    assert [found.id for found in store.unfinished_sessions(user_id=candidate)] == [session.id]
    with store.hold_session(user_id=candidate, session_id=session.id) as held:
        held.session.ended_at = at(3)
    assert store.unfinished_sessions(user_id=candidate) == []


def test_a_session_is_released_once(store, candidate, begin, at):
    session, attempt = begin()
    store.release_session(session_id=session.id, at=at(30))
    store.release_session(session_id=session.id, at=at(40))
    assert store.attempt(user_id=candidate, attempt_id=attempt.id).session.released_at == at(30)
    with pytest.raises(NotFound):
        store.release_session(session_id="0" * 32, at=at(30))


def test_a_session_keeps_its_plan_in_order(store, candidate, at):
    store.start_session(
        user_id=candidate,
        mode=Mode.ASSESSMENT,
        question_ids=["q07", "q02", "q05"],
        started_at=at(),
        deadline=at(20),
    )
    (session,) = store.unfinished_sessions(user_id=candidate)
    assert (session.question_ids, session.mode) == (("q07", "q02", "q05"), Mode.ASSESSMENT)
