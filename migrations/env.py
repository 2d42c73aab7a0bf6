"""Runs migrations for the app on its connection, and for the `alembic` command on the settings' database.

The transaction is the caller's: on both databases the schema changes as a whole or not at all.
"""

from alembic import context
from sqlalchemy.types import TypeDecorator

from webapp.store.database import Database
from webapp.store.tables import Table


def render_item(kind, item, _autogenerate):
    # a migration must outlive the app's column types, so it names what they are in the database
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


def migrate(connection):
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        compare_type=True,
        render_item=render_item,
        render_as_batch=True,  # SQLite can't alter most of a table; batch mode rebuilds it
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    migrate(connection)
else:
    from webapp.settings import Settings  # imports much that the app's own start doesn't wait for

    database = Database(Settings().store_url)
    with database.migration() as connection:
        migrate(connection)
    database.dispose()
