from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy.exc import IntegrityError, StatementError

from webapp.store import Mode, NameTaken, NotFound, Role, UserKind


def test_a_user_keeps_roles_and_a_time_with_its_zone(store):
    made = store.create_user(kind=UserKind.PASSWORD, name="Ada", roles=[Role.INTERVIEWER], subject="ada")
    found = store.user(made.id)
    assert (found.kind, found.name, found.roles) == (UserKind.PASSWORD, "Ada", (Role.INTERVIEWER,))
    assert found.created_at == made.created_at
    assert found.created_at.utcoffset().total_seconds() == 0


def test_a_user_is_found_by_sign_in_name(store):
    made = store.create_user(kind=UserKind.PASSWORD, name="Ada", roles=[], subject="ada")
    assert store.user_by_subject(kind=UserKind.PASSWORD, subject="ada").id == made.id
    assert store.user_by_subject(kind=UserKind.HF, subject="ada") is None


def test_a_sign_in_name_is_taken_once(store):
    store.create_user(kind=UserKind.PASSWORD, name="Ada", roles=[], subject="ada")
    with pytest.raises(NameTaken):
        store.create_user(kind=UserKind.PASSWORD, name="Another", roles=[], subject="ada")


def test_a_user_never_prints_the_password_hash(store):
    user = store.create_user(kind=UserKind.PASSWORD, name="Ada", roles=[], subject="ada", password_hash="$argon2$x")
    assert store.user(user.id).password_hash == "$argon2$x"
    assert "argon2" not in repr(store.user(user.id))


def test_an_unknown_user_is_not_found(store):
    with pytest.raises(NotFound):
        store.user("0" * 32)


def test_the_local_user_is_one_person_with_all_roles_whoever_asks_first(store):
    with ThreadPoolExecutor(8) as threads:
        users = list(threads.map(lambda _: store.local_user(), range(8)))
    assert len({user.id for user in users}) == 1
    assert set(users[0].roles) == set(Role)


def test_a_guest_is_written_down_once_whoever_comes_first(store):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: store.ensure_guest("f" * 32), range(8)))
    assert store.user("f" * 32).kind is UserKind.GUEST


def test_failed_sign_ins_are_counted_by_address_and_time(store, at):
    for minute, address in ((0, "a"), (10, "a"), (11, "b"), (12, "a")):
        store.add_sign_in_failure(address_hash=address, at=at(minute), keep_since=at(0))
    assert store.sign_in_failures(address_hash="a", since=at(5)) == 2
    assert store.sign_in_failures(address_hash="a", since=at(0)) == 3


def test_old_failures_are_forgotten(store, at):
    store.add_sign_in_failure(address_hash="a", at=at(0), keep_since=at(0))
    store.add_sign_in_failure(address_hash="b", at=at(30), keep_since=at(15))
    assert store.sign_in_failures(address_hash="a", since=at(0)) == 0


def test_a_session_without_its_user_is_refused(store, at):
    with pytest.raises(IntegrityError):
        store.start_session(
            user_id="0" * 32, mode=Mode.PRACTICE, question_ids=["q01"], started_at=at(), deadline=at(20)
        )


def test_a_time_without_a_zone_is_refused(store, candidate, at):
    naive = datetime(2026, 3, 2, 9, 0)  # noqa: DTZ001
    with pytest.raises(StatementError, match="no timezone"):
        store.start_session(
            user_id=candidate, mode=Mode.PRACTICE, question_ids=["q01"], started_at=naive, deadline=at(20)
        )
