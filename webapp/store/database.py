"""The database: SQLite in WAL mode by default, PostgreSQL by address, its schema through Alembic only.

SQLite lets one writer in at a time. A transaction that reads and then writes could find at its first write that
another has come between, so every writing transaction takes the lock at its start (BEGIN IMMEDIATE) and others wait
for up to `BUSY_SECONDS`. On PostgreSQL rows are locked where a rule needs it (SELECT FOR UPDATE).

Covered: what is committed survives the death of the process. Not covered: with SQLite a power cut may take the last
moments (synchronous = NORMAL), though it never damages the file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from webapp.store.errors import StoreNotReady

BUSY_SECONDS = 5
MIGRATION_SECONDS = 120
MIGRATION_LOCK = 0x76697661  # any number that all processes share; PostgreSQL's advisory locks are numbers


def driver_url(url: str) -> str:
    """Return the address with its driver named, as hosts give `postgres://` or `postgresql://` without one."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if separator and scheme in ("postgres", "postgresql") else url


def alembic_config() -> Config:
    """Return Alembic's settings; the migrations are a package, so they are found wherever it is installed."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return config


class Database:
    """An engine with its transactions and migrations.

    Args:
        url: An SQLAlchemy address; `postgres://` and `postgresql://` mean psycopg. An SQLite file's folder is made.
    """

    def __init__(self, url: str) -> None:
        address = make_url(driver_url(url))
        self._sqlite = address.get_backend_name() == "sqlite"
        if self._sqlite:
            if not address.database or address.database == ":memory:":
                raise ValueError("DATABASE_URL must name an SQLite file: sqlite:////path/to/vivalab.db")
            Path(address.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._engine = create_engine(address, connect_args={"timeout": BUSY_SECONDS})
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        else:
            self._engine = create_engine(address, pool_pre_ping=True)
        self._writer = self._engine.execution_options(writes=True)

    def migrate(self) -> None:
        """Bring the schema to this version. Safe when several processes start at once; all or nothing."""
        with self.migration() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def migration(self) -> Iterator[Connection]:
        """Hold the one transaction in which the schema may change; others wait for it."""
        with self._writer.connect() as connection:
            try:
                if self._sqlite:
                    # a migration may rebuild a table, which must not cascade; SQLite allows the change outside of a
                    # transaction only, so it goes to the driver's connection, before SQLAlchemy begins one
                    driver = connection.connection.cursor()
                    driver.execute("PRAGMA foreign_keys = OFF")
                    driver.execute(f"PRAGMA busy_timeout = {MIGRATION_SECONDS * 1000}")
                with connection.begin():
                    if not self._sqlite:
                        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
                    yield connection
            finally:
                connection.invalidate()  # its pragmas are not those of the pool

    def check(self) -> None:
        """Return when the database answers and has this version's schema; StoreNotReady says what is wrong."""
        try:
            with self._engine.connect() as connection:
                found = MigrationContext.configure(connection).get_current_revision()
        except SQLAlchemyError as error:
            raise StoreNotReady(f"the database does not answer: {type(error).__name__}") from error
        wanted = ScriptDirectory.from_config(alembic_config()).get_current_head()
        if found != wanted:
            raise StoreNotReady(f"the schema is at {found}, this version needs {wanted}")

    def dispose(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins no transactions of its own; `_begin_sqlite` does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")
