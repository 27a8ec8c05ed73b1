"""A conversation that was deleted is in no tracker store afterwards."""

from __future__ import annotations

import asyncio
import json

import pytest
from rasa.core.lock_store import InMemoryLockStore
from rasa.core.tracker_store import AwaitableTrackerStore, FailSafeTrackerStore, InMemoryTrackerStore, SQLTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from bot.engine.economies.trackers import LiveTrackers
from bot.engine.forgetting import CannotForget, forget

DOMAIN = Domain.from_yaml('version: "3.1"\nintents: [greet]')


def said(name: str) -> DialogueStateTracker:
    tracker = DialogueStateTracker(name, DOMAIN.slots)
    tracker.update(UserUttered(f"zebrafinch {name}"), DOMAIN)
    return tracker


@pytest.mark.parametrize(
    "store",
    [
        lambda: LiveTrackers(DOMAIN),
        lambda: LiveTrackers(DOMAIN, live=1),
        lambda: InMemoryTrackerStore(DOMAIN),
        lambda: SQLTrackerStore(DOMAIN),
        lambda: FailSafeTrackerStore(AwaitableTrackerStore(SQLTrackerStore(DOMAIN))),
    ],
    ids=["live", "put away", "memory", "database", "wrapped"],
)
def test_a_conversation_is_forgotten_and_others_are_not(store):
    async def scenario() -> None:
        kept, locks = store(), InMemoryLockStore()
        for name in ("a", "b", "c"):
            await kept.save(said(name))
        locks.create_lock("a")
        locks.save_lock(locks.create_lock("a"))
        await forget(kept, locks, "a")
        assert await kept.retrieve_full_tracker("a") is None and set(await kept.keys()) == {"b", "c"}
        assert locks.get_lock("a") is None
        left = [await kept.retrieve_full_tracker(name) for name in ("b", "c")]
        assert "zebrafinch a" not in json.dumps([tracker.current_state() for tracker in left], default=str)
        await forget(kept, locks, "a")

    asyncio.run(scenario())


def test_a_store_that_cannot_forget_says_so():
    class Strange:
        pass

    with pytest.raises(CannotForget, match="Strange"):
        asyncio.run(forget(Strange(), InMemoryLockStore(), "a"))
