"""The engine asked one thing: this conversation said this; what now?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Protocol

import httpx

from bot.conversations.log import Waiting
from bot.conversations.outbound import Outbound


class EngineProblem(Exception):
    """The engine gave no usable answer. `kind` is `down`, `slow` or `nonsense`."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


@dataclass(frozen=True)
class EngineReply:
    """What to say, and what was understood of the message."""

    messages: tuple[Outbound, ...]
    understanding: Mapping[str, Any]


class Engine(Protocol):
    """Anything that can take a turn."""

    async def take(self, turn: Waiting) -> EngineReply:
        """The reply to one message. Raises EngineProblem."""

    async def is_ready(self) -> bool:
        """Whether a turn can be taken now."""


class RasaEngine:
    """The engine over its turn channel (`bot/engine/channel.py`).

    Parameters
    ----------
    timeout: seconds after which a turn counts as hanging.
    """

    def __init__(self, url: str, token: str, timeout: float) -> None:
        self._url = f"{url}/webhooks/turn/"
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=3.0),
            headers={"Authorization": f"Bearer {token}"},
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=4.0),
            trust_env=False,
        )

    async def take(self, turn: Waiting) -> EngineReply:
        """Ask the engine. Raises EngineProblem if it is down, slow, or answers what is no answer."""
        asked = {
            "conversation": turn.conversation_id,
            "message_id": turn.message_id,
            "text": turn.text,
            "command": turn.command,
            "again": turn.again,
            "metadata": {"area": turn.area, "role": turn.role, "seq": turn.seq},
            "guide": turn.guide,
        }
        try:
            answer = await self._ask(asked)
        except httpx.TimeoutException as problem:
            raise EngineProblem("slow", type(problem).__name__) from problem
        except httpx.HTTPError as problem:
            raise EngineProblem("down", type(problem).__name__) from problem
        if answer.status_code != 200:
            raise EngineProblem("nonsense", f"status {answer.status_code}")
        try:
            said = answer.json()
            messages = tuple(Outbound.from_dict(m) for m in said["messages"])
            understanding = dict(said["understanding"] or {})
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise EngineProblem("nonsense", f"{type(problem).__name__}: {problem}") from problem
        if not messages:
            raise EngineProblem("nonsense", "no message")
        return EngineReply(messages, understanding)

    async def _ask(self, asked: dict[str, Any]) -> httpx.Response:
        """Post a turn; once more if the connection broke. A kept connection may be closed by the engine in the moment it is used,
        and `again` keeps a turn that was taken after all from being taken twice."""
        try:
            return await self._client.post(self._url, json=asked)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            return await self._client.post(self._url, json={**asked, "again": True})

    async def is_ready(self) -> bool:
        """Whether the engine has its model loaded."""
        try:
            return (await self._client.get(self._url, timeout=2.0)).status_code == 200
        except httpx.HTTPError:
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
