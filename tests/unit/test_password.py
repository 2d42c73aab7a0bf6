from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from webapp.password import (
    FAILURES_OF_ALL,
    FAILURES_OF_ONE,
    WINDOW,
    Gatekeeper,
    ReviewClosed,
    TooManyFailures,
    WrongPassword,
    hash_password,
)
from webapp.store import Store

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store(f"sqlite:///{tmp_path / 'test.db'}")
    opened.migrate()
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def gate() -> Gatekeeper:
    return Gatekeeper(hash_password("right"), key="k")


def fail(gate: Gatekeeper, store: Store, address: str, now: datetime = NOW) -> None:
    with pytest.raises(WrongPassword):
        gate.admit("wrong", address=address, log=store, now=now)


def test_the_right_password_is_admitted(gate: Gatekeeper, store: Store) -> None:
    gate.admit("right", address="a", log=store, now=NOW)


def test_a_plain_password_is_kept_as_a_hash_only() -> None:
    gate = Gatekeeper("plain words", key="k")
    assert "plain words" not in repr(vars(gate))


def test_without_a_password_nobody_is_admitted(store: Store) -> None:
    with pytest.raises(ReviewClosed):
        Gatekeeper(None, key="k").admit("", address="a", log=store, now=NOW)


def test_one_address_is_stopped_after_its_failures_even_with_the_right_password(gate: Gatekeeper, store: Store) -> None:
    for _ in range(FAILURES_OF_ONE):
        fail(gate, store, "a")
    with pytest.raises(TooManyFailures):
        gate.admit("right", address="a", log=store, now=NOW)


def test_another_address_is_not_stopped_by_them(gate: Gatekeeper, store: Store) -> None:
    for _ in range(FAILURES_OF_ONE):
        fail(gate, store, "a")
    gate.admit("right", address="b", log=store, now=NOW)


def test_the_window_passes(gate: Gatekeeper, store: Store) -> None:
    for _ in range(FAILURES_OF_ONE):
        fail(gate, store, "a")
    gate.admit("right", address="a", log=store, now=NOW + WINDOW + timedelta(seconds=1))


def test_guessing_from_many_addresses_is_stopped_for_all(gate: Gatekeeper, store: Store) -> None:
    for number in range(FAILURES_OF_ALL):
        store.add_sign_in_failure(
            address_hash=gate._digest("everybody"), at=NOW + timedelta(seconds=number), keep_since=NOW - WINDOW
        )
    with pytest.raises(TooManyFailures):
        gate.admit("right", address="fresh", log=store, now=NOW + timedelta(minutes=5))


def test_addresses_are_kept_as_keyed_hashes_only(gate: Gatekeeper) -> None:
    assert "192.0.2.7" not in gate._digest("192.0.2.7")
    assert gate._digest("192.0.2.7") != Gatekeeper(None, key="other")._digest("192.0.2.7")
