"""The pace of what is sent: Telegram takes about 30 messages a second from a bot and one a second in a chat.

Source: core.telegram.org/bots/faq, "My bot is hitting limits, how do I avoid this?"
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import asynccontextmanager
from typing import AsyncIterator, Callable

PER_SECOND = 28
CHAT_GAP = 1.05
_SECOND = 1.0
_LOOK_AGAIN = 0.02
_TOGETHER = 5.0


class Pace:
    """Turns to send, given out so that the limits hold where they are counted: at Telegram. Times are seconds of `now`.

    A message arrives there between the call and its answer, so a turn is given back a second after the answer, not after the call.
    """

    def __init__(self, per_second: int = PER_SECOND, chat_gap: float = CHAT_GAP, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._gap, self._now = per_second, chat_gap, now
        self._under_way = 0
        self._ended: deque[float] = deque()
        self._busy: set[int] = set()
        self._chats: dict[int, float] = {}
        self._held_until = 0.0
        self._told: tuple[int, float] | None = None

    def room(self) -> int:
        """How many could be sent now."""
        now = self._now()
        while self._ended and now - self._ended[0] >= _SECOND:
            self._ended.popleft()
        return 0 if now < self._held_until else self._most - self._under_way - len(self._ended)

    def wait_for(self, chat: int | None) -> float:
        """Seconds until it is worth asking again if something may be sent to a chat; 0 if it may be now. Nothing is reserved."""
        now = self._now()
        if self.room() <= 0:
            freed = self._ended[0] + _SECOND - now if self._ended else _LOOK_AGAIN
            return max(self._held_until - now, freed, _LOOK_AGAIN)
        if chat in self._busy:
            return _LOOK_AGAIN
        return max(0.0, self._chats.get(chat, now) - now) if chat is not None else 0.0

    @asynccontextmanager
    async def turn(self, chat: int | None = None) -> AsyncIterator[None]:
        """Begin when something may be sent, to a chat or beside the chats; the block is the call and its answer."""
        while (wait := self.wait_for(chat)) > 0:
            await asyncio.sleep(wait)
        self._under_way += 1
        if chat is not None:
            self._busy.add(chat)
        try:
            yield
        finally:
            now = self._now()
            self._under_way -= 1
            self._ended.append(now)
            if chat is not None:
                self._busy.discard(chat)
                self._chats[chat] = max(self._chats.get(chat, 0.0), now + self._gap)
            if len(self._chats) > 5000:
                self._chats = {id: until for id, until in self._chats.items() if until > now}

    def told_to_wait(self, chat: int, seconds: float) -> None:
        """Telegram said 429: nothing more to this chat until then, and to nobody if it says so to two chats in a row."""
        now = self._now()
        self._chats[chat] = now + seconds
        if self._told is not None and self._told[0] != chat and now - self._told[1] < _TOGETHER:
            self._held_until = max(self._held_until, now + seconds)
        self._told = (chat, now)
