"""Turns: a message that is on disk is put to the engine, and what comes back is committed once, whatever fails."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Callable
from weakref import WeakValueDictionary

from anyio import to_thread

from bot.casework.queries import QueryCard, QueryDesk
from bot.casework.reception import Reception
from bot.conversations.engine import Engine, EngineProblem, EngineReply
from bot.conversations.listeners import Listeners
from bot.conversations.log import ConversationLog, Waiting
from bot.conversations.outbound import Outbound

logger = logging.getLogger(__name__)


class Turns:
    """Takes turns, one at a time in each conversation.

    Parameters
    ----------
    reception: casework's part in turns: its own buttons, and conversations that a person has.
    apology: makes the message for an engine that failed, from the turn and the query that was opened for it.
    """

    def __init__(
        self,
        log: ConversationLog,
        engine: Engine,
        desk: QueryDesk,
        reception: Reception,
        listeners: Listeners,
        apology: Callable[[Waiting, QueryCard], list[Outbound]],
    ) -> None:
        self._log, self._engine, self._desk, self._reception = log, engine, desk, reception
        self._listeners, self._apology = listeners, apology
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: dict[str, asyncio.Task] = {}

    def begin(self, conversation_id: str, message_id: str, turn: Waiting | None = None) -> asyncio.Task:
        """Start the turn of a claimed message, or give the one that is under way. It goes on if the caller leaves.

        With `turn`, as it was accepted, a free conversation's turn need not be read again. Its result: the messages that answered, as
        the chat API shows them; nothing if another app took the turn.
        """
        task = self._tasks.get(message_id)
        if task is None:
            task = asyncio.create_task(self._take(conversation_id, message_id, turn))
            self._tasks[message_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(message_id, None))
        return task

    async def _take(self, conversation_id: str, message_id: str, turn: Waiting | None) -> list[dict[str, Any]] | None:
        lock = self._locks.setdefault(conversation_id, asyncio.Lock())
        had_to_wait = lock.locked()
        async with lock:
            if turn is None or had_to_wait:
                turn = await to_thread.run_sync(self._log.waiting, message_id)
            return await self._answer(turn) if turn is not None else None

    async def _answer(self, turn: Waiting) -> list[dict[str, Any]] | None:
        reply = await self._received(turn) or await self._asked(turn)
        said = await to_thread.run_sync(self._log.finish, turn.message_id, reply.messages, dict(reply.understanding))
        self._listeners.tell(turn.conversation_id)
        return said

    async def _received(self, turn: Waiting) -> EngineReply | None:
        """What casework says to a turn of its own; nothing for a turn of the bot."""
        reception, about = self._reception, (turn.conversation_id, turn.seq)
        if turn.command:
            said = await to_thread.run_sync(reception.command, *about, turn.command)
            return EngineReply(tuple(said), {"casework": turn.command.split(":")[1]}) if said is not None else None
        if turn.held_query_id is None:
            return None
        said = await to_thread.run_sync(reception.words, *about, turn.text, turn.held_query_id)
        if said is not None:
            return EngineReply(tuple(said), {"casework": "verdict"})
        try:
            understanding = await self._engine.understand(turn)
        except EngineProblem as problem:
            logger.error("the message %s of a held conversation was not understood: %s", turn.message_id, problem)
            understanding = None
        if understanding is not None and reception.is_answered_while_held(understanding):
            return None
        said = await to_thread.run_sync(reception.join, *about, turn.held_query_id, understanding)
        return EngineReply(tuple(said), {**(understanding or {}), "casework": "joined"}) if said is not None else None

    async def _asked(self, turn: Waiting) -> EngineReply:
        try:
            return await self._engine.take(turn)
        except EngineProblem as problem:
            logger.error("turn of %s failed: %s", turn.message_id, problem)
            return await self._apologise(turn, problem)

    async def _apologise(self, turn: Waiting, problem: EngineProblem) -> EngineReply:
        card = await to_thread.run_sync(
            lambda: self._desk.open(turn.conversation_id, turn.seq, reason=f"engine_{problem.kind}")
        )
        return EngineReply(tuple(self._apology(turn, card)), {"engine": problem.kind})

    async def recover(self, including_fresh: bool = False) -> int:
        """Take the turns that a dead app left behind; how many."""
        left = await to_thread.run_sync(self._log.abandoned, including_fresh)
        for conversation_id, message_id in left:
            self.begin(conversation_id, message_id)
        return len(left)

    async def settle(self) -> None:
        """Wait for the turns under way."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
