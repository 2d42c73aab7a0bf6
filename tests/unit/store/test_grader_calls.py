import pytest

from webapp.store import Submitter

CALL = {
    "host": "api.example.org",
    "model": "m",
    "messages": [{"role": "user", "content": "Grade this."}],
    "form": "json_schema",
    "finish_reason": "stop",
    "tokens_in": 900,
    "tokens_out": 80,
    "cost": 0.002,
    "seconds": 1.5,
}


@pytest.fixture
def answer_id(store, begin, at):
    _, attempt = begin(0)
    with store.hold_anyones_attempt(attempt_id=attempt.id) as held:
        return held.submit(text="answer", at=at(1), by=Submitter.CANDIDATE).id


def add(store, key="k", reply="{}", error=None):
    return store.add_call(key=key, reply=reply, error=error, **CALL)


def save(store, answer_id, **options):
    return store.save_grade(answer_id, kind="llm", model="m", version="1", score=50.0, verdicts=[], **options)


def test_a_usable_call_is_found_again_by_its_key(store):
    assert store.usable_call("k") is None
    call = add(store)
    found = store.usable_call("k")
    assert (found.id, found.reply, found.messages) == (call.id, "{}", tuple(CALL["messages"]))
    assert store.usable_call("other") is None


def test_a_call_whose_reply_was_no_use_is_kept_but_not_used_again(store, answer_id):
    failed = add(store, reply="sorry", error="not JSON")
    assert store.usable_call("k") is None
    grade = save(store, answer_id, calls=[(failed.id, False)])
    (kept,) = store.calls_of(grade.id)
    assert (kept.call.reply, kept.call.error, kept.cached) == ("sorry", "not JSON", False)


def test_a_call_serves_several_grades_and_is_paid_once(store, answer_id):
    call = add(store)
    first = save(store, answer_id, calls=[(call.id, False)])
    second = save(store, answer_id, calls=[(call.id, True), (call.id, True)])
    assert [kept.cached for grade in (first, second) for kept in store.calls_of(grade.id)] == [False, True]


def test_a_grade_beside_the_queue_leaves_what_waits_waiting(store, answer_id):
    save(store, answer_id, beside_queue=True)
    assert [waiting.answer_id for waiting in store.ungraded_answers()] == [answer_id]
    assert len(store.grades(answer_id)) == 2
