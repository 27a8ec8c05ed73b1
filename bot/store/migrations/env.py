"""Alembic's environment: runs on the connection that `Database.upgrade` hands over."""

from alembic import context

from bot.store import all_tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=all_tables(), render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
