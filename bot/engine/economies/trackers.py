"""Conversations kept as they are between two turns, not written out and read back in each."""

from __future__ import annotations

import copy
from collections import OrderedDict
from functools import lru_cache
from typing import Any, Iterable, List, Optional, Text, Tuple

from rasa.core.actions.forms import FormAction
from rasa.core.brokers.broker import EventBroker
from rasa.core.processor import MessageProcessor
from rasa.core.tracker_store import InMemoryTrackerStore
from rasa.shared.core.constants import REQUESTED_SLOT
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, Event, SlotSet
from rasa.shared.core.slots import Slot
from rasa.shared.core.trackers import DialogueStateTracker


class LiveTrackers(InMemoryTrackerStore):
    """Rasa's store in memory, which holds the latest conversations as objects and older ones as text.

    A turn that broke off leaves no trace: the conversation goes on from where the turn before it was saved.

    Parameters
    ----------
    live: how many conversations to hold as objects; the one longest unused becomes text.
    """

    def __init__(self, domain: Domain, event_broker: Optional[EventBroker] = None, live: int = 300, **kwargs: Any) -> None:
        super().__init__(domain, event_broker, **kwargs)
        self._most = live
        self._live: OrderedDict[Text, Tuple[DialogueStateTracker, int]] = OrderedDict()

    async def save(self, tracker: DialogueStateTracker) -> None:
        """Keep the conversation's state."""
        await self.stream_events(tracker)
        self._live[tracker.sender_id] = tracker, len(tracker.events)
        self._live.move_to_end(tracker.sender_id)
        while len(self._live) > self._most:
            sender_id, (unused, _) = self._live.popitem(last=False)
            self.store[sender_id] = self.serialise_tracker(unused)

    async def retrieve(self, sender_id: Text) -> Optional[DialogueStateTracker]:
        """The conversation's state, its last session if it was put away."""
        return self._as_saved(sender_id) or await super().retrieve(sender_id)

    async def retrieve_full_tracker(self, sender_id: Text) -> Optional[DialogueStateTracker]:
        """The conversation's state with all its sessions."""
        return self._as_saved(sender_id) or await super().retrieve_full_tracker(sender_id)

    def _as_saved(self, sender_id: Text) -> Optional[DialogueStateTracker]:
        tracker, saved = self._live.get(sender_id, (None, 0))
        if tracker is not None and len(tracker.events) != saved:
            tracker = DialogueStateTracker.from_events(sender_id, list(tracker.events)[:saved], self.domain.slots, domain=self.domain)
            self._live[sender_id] = tracker, saved
        return tracker

    def forget(self, sender_id: Text) -> None:
        """Keep nothing of a conversation."""
        self._live.pop(sender_id, None)
        self.store.pop(sender_id, None)

    async def keys(self) -> Iterable[Text]:
        """The conversations held."""
        return {*self._live, *self.store}


def look_events_up_once() -> None:
    """Remember which class stands for an event's name: Rasa walks all subclasses for each event of a conversation."""
    Event.resolve_by_type = staticmethod(lru_cache(maxsize=None)(Event.resolve_by_type))


def copy_without_replay() -> None:
    """Copy a conversation as it stands; Rasa plays all its events through again, before every action."""

    def as_it_stands(tracker: DialogueStateTracker) -> DialogueStateTracker:
        twin = copy.copy(tracker)
        twin.events = copy.copy(tracker.events)
        twin.slots = {name: _twin(slot) for name, slot in tracker.slots.items()}
        twin.active_loop = copy.copy(tracker.active_loop)
        twin.latest_action = copy.copy(tracker.latest_action)
        return twin

    DialogueStateTracker.copy = as_it_stands


def _twin(slot: Slot) -> Slot:
    """`copy.copy`, without its questions about the class."""
    twin = object.__new__(type(slot))
    twin.__dict__.update(slot.__dict__)
    return twin


def go_on_without_replay() -> None:
    """Let a form's validation, and the look whether a conversation is new, work with the conversation as it stands."""

    def with_more(form: FormAction, tracker: DialogueStateTracker, more: List[Event], domain: Domain) -> DialogueStateTracker:
        twin = tracker.copy()
        for event in (SlotSet(REQUESTED_SLOT, form.get_slot_to_fill(tracker)), ActionExecuted(form.name()), *more):
            twin.update(event)
        return twin

    update = MessageProcessor._update_tracker_session

    async def update_session(processor: MessageProcessor, tracker: DialogueStateTracker, *more: Any, **named: Any) -> None:
        # an action was run and counts: so there is a session, and ours do not expire (domain.yml)
        if not tracker.latest_action_name or processor.domain.session_config.are_sessions_enabled():
            await update(processor, tracker, *more, **named)

    FormAction._temporary_tracker = with_more
    MessageProcessor._update_tracker_session = update_session
