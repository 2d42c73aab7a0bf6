"""One jail for all tests of code that candidates write: it starts once."""

import sys
from collections.abc import Iterator

import pytest

from sandbox.jail import Jail
from sandbox.settings import SandboxSettings

FOLDERS = ("/unit/jail/", "/unit/judge/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform != "linux":
        for item in items:
            if any(folder in str(item.path) for folder in FOLDERS):
                item.add_marker(pytest.mark.skip(reason="code is shut in on Linux only"))


@pytest.fixture(scope="session")
def jail() -> Iterator[Jail]:
    jail = Jail(SandboxSettings())
    assert jail.status.confined, jail.status.sentence
    yield jail
    jail.close()
