from datetime import timedelta

import pytest

from webapp.interview import (
    GRACE,
    MAX_CHARACTERS,
    AnswerTooLong,
    AttemptClosed,
    DraftConflict,
    NotFound,
    room,
    save_draft,
    submit,
)


@pytest.fixture
def save(store, candidate, practice, at):
    def save(text, revision, now=None, user_id=candidate):
        return save_draft(
            store,
            user_id=user_id,
            attempt_id=practice.attempt_id,
            text=text,
            revision=revision,
            now=now or at(),
        )

    return save


def texts(store, practice):
    return [(draft.revision, draft.text) for draft in store.drafts(attempt_id=practice.attempt_id)]


def test_every_changed_text_is_kept_as_the_next_revision(save, store, practice):
    assert save("one", 0).revision == 1
    assert save("one two", 1).revision == 2
    assert texts(store, practice) == [(1, "one"), (2, "one two")]


def test_a_text_that_is_the_current_one_adds_no_revision(save, store, practice):
    save("one", 0)
    assert save("one", 1).revision == 1
    assert texts(store, practice) == [(1, "one")]


def test_a_repeated_request_succeeds_as_the_first_did(save, at):
    first = save("one", 0)
    assert save("one", 0, now=at(seconds=3)) == first


def test_an_older_revision_is_refused_with_the_newer_text(save, store, practice):
    save("one", 0)
    save("newer", 1)
    with pytest.raises(DraftConflict) as conflict:
        save("older", 1)
    assert (conflict.value.current_text, conflict.value.current_revision) == ("newer", 2)
    assert texts(store, practice) == [(1, "one"), (2, "newer")]


def test_a_revision_that_never_was_is_a_conflict(save):
    with pytest.raises(DraftConflict):
        save("from nowhere", 7)


def test_a_text_can_be_emptied(save):
    save("one", 0)
    assert save("", 1).revision == 2


def test_no_text_at_all_is_revision_nought(save):
    assert save("", 0).revision == 0


def test_a_text_on_its_way_at_the_deadline_still_counts(save, at):
    assert save("just so", 0, now=at(minutes=20) + GRACE - timedelta(seconds=1)).revision == 1


def test_after_the_grace_no_text_is_taken(save, store, practice, at):
    with pytest.raises(AttemptClosed):
        save("too late", 0, now=at(minutes=20) + GRACE)
    assert texts(store, practice) == []


def test_after_submission_no_text_is_taken(save, store, catalog, candidate, practice, at):
    submit(store, catalog, user_id=candidate, attempt_id=practice.attempt_id, text="done", revision=0, now=at())
    with pytest.raises(AttemptClosed):
        save("more", 1)


def test_a_text_over_the_limit_is_refused_whole(save, store, practice):
    with pytest.raises(AnswerTooLong) as refused:
        save("x" * (MAX_CHARACTERS + 1), 0)
    assert (refused.value.length, refused.value.limit) == (MAX_CHARACTERS + 1, MAX_CHARACTERS)
    assert texts(store, practice) == []


def test_a_text_at_the_limit_is_kept_whole(save, store, practice):
    save("é" * MAX_CHARACTERS, 0)
    assert texts(store, practice) == [(1, "é" * MAX_CHARACTERS)]


def test_what_no_database_can_hold_is_taken_out(save, store, practice):
    save("a\0b \ud800 \N{FIRE}", 0)
    assert texts(store, practice) == [(1, "ab \N{REPLACEMENT CHARACTER} \N{FIRE}")]


def test_another_persons_attempt_takes_no_text(save, stranger, store, practice):
    with pytest.raises(NotFound):
        save("mine now", 0, user_id=stranger)
    assert texts(store, practice) == []


def test_a_reload_finds_the_last_text_and_its_revision(save, store, catalog, candidate, practice, at):
    save("one", 0)
    save("one two", 1, now=at(minutes=1))
    view = room(store, catalog, user_id=candidate, attempt_id=practice.attempt_id, now=at(minutes=2))
    assert (view.text, view.revision, view.saved_at) == ("one two", 2, at(minutes=1))
