import subprocess
import sys

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import OperationalError

from webapp.store import Store, StoreNotReady
from webapp.store.database import alembic_config, driver_url
from webapp.store.tables import Table

MIGRATE_AT_ONCE = """
import sys
from webapp.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
store.migrate()
store.check()
"""


@pytest.fixture
def engine(url):
    engine = create_engine(driver_url(url))
    yield engine
    engine.dispose()


def tables(engine):
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def upgrade(connection, revision):
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def downgrade(connection, revision):
    config = alembic_config()
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def test_the_migrations_make_exactly_what_the_models_declare(store, engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []
    assert tables(engine) == set(Table.metadata.tables)


def test_the_indexes_are_those_that_the_models_declare(store, engine):
    for name, table in Table.metadata.tables.items():
        found = {index["name"] for index in inspect(engine).get_indexes(name) if "duplicates_constraint" not in index}
        assert found == {index.name for index in table.indexes}


def test_every_version_can_be_undone_and_done_again(empty, engine):
    revisions = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]
    for below, revision in zip(["base", *revisions], revisions, strict=False):
        with empty.migration() as connection:
            upgrade(connection, revision)
        done = tables(engine)
        with empty.migration() as connection:
            downgrade(connection, below)
        with empty.migration() as connection:
            upgrade(connection, revision)
        assert tables(engine) == done
    with empty.migration() as connection:
        downgrade(connection, "base")
    assert tables(engine) == set()


def test_a_migration_that_fails_leaves_nothing_behind(empty, engine):
    def fail_half_way():
        with empty.migration() as connection:
            upgrade(connection, "head")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert tables(engine) == set()
    empty.migrate()
    empty.check()


def test_migrating_again_changes_nothing(store, candidate):
    store.migrate()
    assert store.user(candidate).name == "candidate"


def test_processes_that_start_at_once_migrate_once(url):
    processes = [
        subprocess.Popen([sys.executable, "-c", MIGRATE_AT_ONCE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0]


def test_a_store_without_its_schema_is_not_ready(empty):
    with pytest.raises(StoreNotReady, match="the schema is at None"):
        empty.check()


def test_a_migrated_store_is_ready(store):
    assert store.check() is None


def test_a_database_that_is_away_is_not_ready():
    store = Store("postgresql://nobody@localhost:1/nothing")
    with pytest.raises(StoreNotReady, match="does not answer"):
        store.check()
    store.dispose()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://h/d", "postgresql+psycopg://h/d"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("sqlite:////d.db", "sqlite:////d.db"),
    ],
)
def test_an_address_names_its_driver(given, used):
    assert driver_url(given) == used


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_that_would_be_lost_is_refused(url):
    with pytest.raises(ValueError, match="must name an SQLite file"):
        Store(url)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_sqlite_runs_with_write_ahead_log_foreign_keys_and_patience(store):
    with store._reading() as session:
        pragmas = {
            name: session.connection().exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000, "synchronous": 1}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_write_takes_its_lock_at_its_start(store, engine):
    with store._writing() as session:
        session.connection()
        with engine.connect() as other:
            other.exec_driver_sql("PRAGMA busy_timeout = 0")
            with pytest.raises(OperationalError, match="locked"):
                other.exec_driver_sql("BEGIN IMMEDIATE")
