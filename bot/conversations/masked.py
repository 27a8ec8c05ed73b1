"""The engine behind masking: it never sees what says who somebody is. What was typed stays in the log for the staff who answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Mapping, Sequence

from anyio import to_thread

from bot import metrics
from bot.conversations.engine import Engine, EngineProblem, EngineReply
from bot.conversations.log import ConversationLog, Waiting
from bot.conversations.outbound import Outbound
from bot.privacy.masking import Masked, Masker


class MaskedEngine:
    """An engine that is asked with masked text.

    Parameters
    ----------
    notice: the message that tells a parent, once a conversation, that what they gave (its kinds) was not needed and was hidden.
    """

    def __init__(self, engine: Engine, masker: Masker, log: ConversationLog, notice: Callable[[Sequence[str]], Outbound]) -> None:
        self._engine, self._masker, self._log, self._notice = engine, masker, log, notice

    async def take(self, turn: Waiting) -> EngineReply:
        """Ask the engine. The parent is told of masking after the first reply that is no matter of danger. Raises EngineProblem."""
        masked = self._mask(turn)
        try:
            with metrics.timed(metrics.TURN_SECONDS):
                reply = await self._engine.take(replace(turn, text=masked.text))
        except EngineProblem as problem:
            metrics.ENGINE_PROBLEMS.labels(problem.kind).inc()
            raise
        for outcome in {message.outcome or "none" for message in reply.messages}:
            metrics.TURNS.labels(outcome).inc()
        if not masked.found:
            return reply
        for kind in masked.kinds:
            metrics.MASKED.labels(kind).inc()
        said = reply.messages
        if not any(message.outcome == "urgent" for message in said) and await to_thread.run_sync(self._log.tell_of_masking, turn.conversation_id, turn.seq):
            said = (*said, self._notice(masked.kinds))
        return EngineReply(said, {**reply.understanding, "masked": list(masked.kinds)})

    async def understand(self, turn: Waiting) -> Mapping[str, Any]:
        """Ask the engine what a masked message means. Raises EngineProblem."""
        masked = self._mask(turn)
        understanding = await self._engine.understand(replace(turn, text=masked.text))
        return {**understanding, "masked": list(masked.kinds)} if masked.found else understanding

    def _mask(self, turn: Waiting) -> Masked:
        """The turn's text masked; a button's title is ours and stays."""
        return Masked(turn.text) if turn.command else self._masker.mask(turn.text)

    async def is_ready(self) -> bool:
        """Whether the engine is ready."""
        return await self._engine.is_ready()


def listed(things: Sequence[str]) -> str:
    """`a name, a postcode and a phone number`."""
    return " and ".join(part for part in (", ".join(things[:-1]), things[-1]) if part)
