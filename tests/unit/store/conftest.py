"""Every test of the store runs on SQLite, and on PostgreSQL where its server is installed."""

import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from webapp.store import Mode, Role, Store, UserKind


def postgres_folder():
    """Return the folder of PostgreSQL's programs, None if it isn't installed; Debian keeps them off the PATH."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server on a socket of its own; yields a function that makes a database and returns its address."""
    programs = postgres_folder()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    psycopg = pytest.importorskip("psycopg")
    owner = {"user": "postgres"} if os.geteuid() == 0 else {}  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if owner:
        shutil.chown(folder, "postgres")
    data, log = folder / "data", folder / "log"

    def call(program, *arguments):
        subprocess.run([programs / program, *arguments], check=True, capture_output=True, cwd=folder, **owner)

    call("initdb", "--pgdata", data, "--username", "vivalab", "--auth", "trust", "--no-sync", "--encoding", "UTF8")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c timezone=Asia/Tokyo"
    call("pg_ctl", "start", "--pgdata", data, "--log", log, "--wait", "--options", options)

    def database():
        name = f"d{uuid4().hex}"
        with psycopg.connect(f"host={folder} user=vivalab dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgres://vivalab@/{name}?host={folder}"

    yield database
    call("pg_ctl", "stop", "--pgdata", data, "--mode", "immediate")
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/data/vivalab.db"
    return request.getfixturevalue("postgres")()


@pytest.fixture
def empty(url):
    """A store without a schema."""
    store = Store(url)
    yield store
    store.dispose()


@pytest.fixture
def store(empty):
    empty.migrate()
    return empty


@pytest.fixture
def at():
    """Moments counted from the start of every session here."""

    def at(minutes=0):
        return datetime(2026, 3, 2, 9, 0, tzinfo=UTC) + timedelta(minutes=minutes)

    return at


@pytest.fixture
def candidate(store):
    return store.create_user(kind=UserKind.GUEST, name="candidate", roles=[Role.CANDIDATE]).id


@pytest.fixture
def stranger(store):
    return store.create_user(kind=UserKind.GUEST, name="stranger", roles=[Role.CANDIDATE]).id


@pytest.fixture
def begin(store, candidate, at):
    """Start a session of the candidate and return it with its first attempt."""

    def begin(minute=0):
        return store.start_session(
            user_id=candidate,
            mode=Mode.PRACTICE,
            question_ids=["q01", "q02"],
            started_at=at(minute),
            deadline=at(minute + 20),
        )

    return begin


@pytest.fixture
def attempt(begin):
    _, attempt = begin()
    return attempt
