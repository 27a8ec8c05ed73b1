"""The pace of what is sent: Telegram takes about 30 messages a second from a bot and one a second in a chat.

Source: core.telegram.org/bots/faq, "My bot is hitting limits, how do I avoid this?"
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Callable

PER_SECOND = 24
CHAT_GAP = 1.1
_SECOND = 1.05
_TOGETHER = 5.0


class Pace:
    """Turns to send, given out so that the limits hold. Times are seconds of `now`."""

    def __init__(self, per_second: int = PER_SECOND, chat_gap: float = CHAT_GAP, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._gap, self._now = per_second, chat_gap, now
        self._sent: deque[float] = deque(maxlen=per_second)
        self._chats: dict[int, float] = {}
        self._held_until = 0.0
        self._told: tuple[int, float] | None = None

    def room(self) -> int:
        """How many could be sent now."""
        now = self._now()
        if now < self._held_until:
            return 0
        return self._most - sum(1 for at in self._sent if now - at < _SECOND)

    def wait_for(self, chat: int | None) -> float:
        """Seconds until something may be sent to a chat; nothing is reserved."""
        now = self._now()
        overall = self._sent[0] + _SECOND - now if len(self._sent) == self._most else 0.0
        return max(0.0, overall, self._held_until - now, self._chats.get(chat, 0.0) - now if chat is not None else 0.0)

    async def turn(self, chat: int | None = None) -> None:
        """Return when something may be sent, to a chat or beside the chats, and count it as sent."""
        while (wait := self.wait_for(chat)) > 0:
            await asyncio.sleep(wait)
        now = self._now()
        self._sent.append(now)
        if chat is not None:
            self._chats[chat] = now + self._gap
            if len(self._chats) > 5000:
                self._chats = {id: until for id, until in self._chats.items() if until > now}

    def told_to_wait(self, chat: int, seconds: float) -> None:
        """Telegram said 429: nothing more to this chat until then, and to nobody if it says so to two chats in a row."""
        now = self._now()
        self._chats[chat] = now + seconds
        if self._told is not None and self._told[0] != chat and now - self._told[1] < _TOGETHER:
            self._held_until = max(self._held_until, now + seconds)
        self._told = (chat, now)
