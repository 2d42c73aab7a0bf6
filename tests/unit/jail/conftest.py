"""One jail for all of these tests: it starts once."""

import sys
from collections.abc import Iterator

import pytest

from sandbox.jail import Jail
from sandbox.settings import SandboxSettings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform != "linux":
        for item in items:
            if "/unit/jail/" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="code is shut in on Linux only"))


@pytest.fixture(scope="session")
def jail() -> Iterator[Jail]:
    jail = Jail(SandboxSettings())
    assert jail.status.confined, jail.status.sentence
    yield jail
    jail.close()
