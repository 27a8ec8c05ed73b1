"""The engine watched for danger that it half heard: who may be in danger is told where help is, beside whatever is answered."""

from __future__ import annotations

from typing import Any, Mapping

from bot.conversations.engine import Engine, EngineReply
from bot.conversations.log import Waiting
from bot.conversations.outbound import Outbound


class WatchfulEngine:
    """An engine whose reply carries the emergency line where the message may speak of danger and the reply is not about that.

    Being wrong here costs a line that was not needed; a miss may cost a life (config.yml, `danger_from`). An answer to a guide's
    question is read as that.

    Parameters
    ----------
    line: the message with that line.
    """

    def __init__(self, engine: Engine, line: Outbound) -> None:
        self._engine, self._line = engine, line

    async def take(self, turn: Waiting) -> EngineReply:
        """The reply, and the emergency line after it if it may be needed. Raises EngineProblem."""
        reply = await self._engine.take(turn)
        heard = reply.understanding.get("understanding")
        half_heard = isinstance(heard, Mapping) and heard.get("may_be_danger") and not turn.command
        if not half_heard or any(said.outcome == "urgent" or said.asks or said.result for said in reply.messages):
            return reply
        return EngineReply((*reply.messages, self._line), reply.understanding)

    async def understand(self, turn: Waiting) -> Mapping[str, Any]:
        """What a message means. Raises EngineProblem."""
        return await self._engine.understand(turn)

    async def is_ready(self) -> bool:
        """Whether the engine is ready."""
        return await self._engine.is_ready()
