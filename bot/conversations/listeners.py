"""Who waits for new messages in this app. Only a hint: the log is the truth, and listeners look at it again every second."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Listeners:
    """Wakes those who wait for a conversation's next message."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def tell(self, conversation_id: str) -> None:
        """Wake everybody who waits for this conversation."""
        for event in self._waiting.get(conversation_id, ()):
            event.set()

    async def wait(self, conversation_id: str, seconds: float) -> None:
        """Return when something was said, or after `seconds`."""
        event = asyncio.Event()
        self._waiting[conversation_id].add(event)
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except asyncio.TimeoutError:
            pass
        finally:
            self._waiting[conversation_id].discard(event)
            if not self._waiting[conversation_id]:
                del self._waiting[conversation_id]
