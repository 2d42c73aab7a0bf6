import pytest

from webapp.store import NotFound


def test_a_run_comes_back_as_it_was(store, candidate, attempt, at):
    store.add_run(
        user_id=candidate,
        attempt_id=attempt.id,
        kind="sweep",
        settings={"temperature": 0.2, "stages": ["encode"]},
        figures={"ttft_ms": 12.5},
        receipt="r-1",
        now=at(3),
    )
    (run,) = store.runs(candidate)
    assert (run.kind, run.receipt, run.created_at) == ("sweep", "r-1", at(3))
    assert (run.settings, run.figures) == ({"temperature": 0.2, "stages": ["encode"]}, {"ttft_ms": 12.5})


def test_runs_come_newest_first_and_by_attempt(store, candidate, attempt, at):
    for minute, beside in ((1, None), (2, attempt.id), (3, attempt.id)):
        store.add_run(user_id=candidate, attempt_id=beside, kind=f"k{minute}", settings={}, figures={}, now=at(minute))
    assert [run.kind for run in store.runs(candidate)] == ["k3", "k2", "k1"]
    assert [run.kind for run in store.runs(candidate, attempt.id)] == ["k3", "k2"]


def test_a_run_beside_anothers_attempt_is_refused(store, stranger, attempt):
    with pytest.raises(NotFound):
        store.add_run(user_id=stranger, attempt_id=attempt.id, kind="k", settings={}, figures={})
    assert store.runs(stranger) == []


def test_anothers_runs_are_not_shown(store, candidate, stranger, attempt):
    store.add_run(user_id=candidate, attempt_id=attempt.id, kind="k", settings={}, figures={})
    assert store.runs(stranger) == []
    assert store.runs(stranger, attempt.id) == []
