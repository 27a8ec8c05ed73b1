"""What is kept: tables, sessions, migrations."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import MetaData

# Modules that describe tables; each registers its own.
TABLES = ("tables", "cycle", "telegram", "privacy", "console")


def all_tables() -> MetaData:
    """Every table there is."""
    for name in TABLES:
        import_module(f"bot.store.{name}")
    return import_module("bot.store.tables").Base.metadata
