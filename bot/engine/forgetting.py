"""The engine forgets a conversation: when its parent deletes it, or when its time is over."""

from __future__ import annotations

from typing import Any, Text

from rasa.core.lock_store import LockStore
from rasa.core.tracker_store import InMemoryTrackerStore, RedisTrackerStore, SQLTrackerStore, TrackerStore

from bot.engine.economies.trackers import LiveTrackers


class CannotForget(Exception):
    """A tracker store that conversations cannot be taken out of; it must not be used (docs/privacy)."""


async def forget(store: TrackerStore, locks: LockStore, conversation: Text) -> None:
    """Take a conversation out of the tracker store and the lock store. Raises CannotForget for a store that is not known."""
    # Rasa wraps a store to fall back on another and to await it
    while (inner := getattr(store, "_tracker_store", None)) is not None:
        store = inner
    if isinstance(store, LiveTrackers):
        store.forget(conversation)
    elif isinstance(store, InMemoryTrackerStore):
        store.store.pop(conversation, None)
    elif isinstance(store, SQLTrackerStore):
        _delete_rows(store, conversation)
    elif isinstance(store, RedisTrackerStore):
        store.red.delete(store.key_prefix + conversation)
    else:
        raise CannotForget(type(store).__name__)
    locks.delete_lock(conversation)


def _delete_rows(store: SQLTrackerStore, conversation: Text) -> None:
    event: Any = store.SQLEvent
    with store.session_scope() as session:
        session.query(event).filter(event.sender_id == conversation).delete()
        session.commit()
