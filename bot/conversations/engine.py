"""The engine asked one thing: this conversation said this; what now?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Mapping, Protocol

import aiohttp
import orjson

from bot.conversations.log import Waiting
from bot.conversations.outbound import Outbound
from bot.logs import REQUEST_HEADER, request_id


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

    async def understand(self, turn: Waiting) -> Mapping[str, Any]:
        """What a message means, without taking its turn. Raises EngineProblem."""

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
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=3.0)
        self._session: aiohttp.ClientSession | None = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            # The engine closes idle connections after 5 s: ours go before, or one would break in the moment of use.
            connections = aiohttp.TCPConnector(limit=64, keepalive_timeout=4.0)
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout, connector=connections)
        return self._session

    async def take(self, turn: Waiting) -> EngineReply:
        """Ask the engine. Raises EngineProblem if it is down, slow, or answers what is no answer."""
        reply = await self._turn(turn)
        if not reply.messages:
            raise EngineProblem("nonsense", "no message")
        return reply

    async def understand(self, turn: Waiting) -> Mapping[str, Any]:
        """Ask the engine what a message means and nothing more. Raises EngineProblem as `take` does."""
        return (await self._turn(turn, only_understand=True)).understanding

    async def _turn(self, turn: Waiting, **more: bool) -> EngineReply:
        asked = {
            "conversation": turn.conversation_id,
            "message_id": turn.message_id,
            "text": turn.text,
            "command": turn.command,
            "again": turn.again,
            "metadata": {"area": turn.area, "role": turn.role, "seq": turn.seq},
            "guide": turn.guide,
            **more,
        }
        try:
            status, body = await self._ask(asked)
        except asyncio.TimeoutError as problem:
            raise EngineProblem("slow", type(problem).__name__) from problem
        except aiohttp.ClientError as problem:
            raise EngineProblem("down", type(problem).__name__) from problem
        if status != 200:
            raise EngineProblem("nonsense", f"status {status}")
        try:
            said = orjson.loads(body)
            messages = tuple(Outbound.from_dict(m) for m in said["messages"])
            understanding = dict(said["understanding"] or {})
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise EngineProblem("nonsense", f"{type(problem).__name__}: {problem}") from problem
        return EngineReply(messages, understanding)

    async def _ask(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        """Post a turn; once more if the connection broke. A kept connection may be closed by the engine in the moment it is used,
        and `again` keeps a turn that was taken after all from being taken twice."""
        try:
            return await self._post(asked)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError) as broken:
            if isinstance(broken, aiohttp.ClientConnectorError):
                raise
            return await self._post({**asked, "again": True})

    async def _post(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        headers = {REQUEST_HEADER: request_id.get() or ""}
        async with self._client().post(self._url, json=asked, headers=headers) as answer:
            return answer.status, await answer.read()

    async def forget(self, conversation_id: str) -> None:
        """Have the engine forget a conversation. Raises EngineProblem if it cannot be asked or does not."""
        try:
            async with self._client().delete(f"{self._url}conversations/{conversation_id}") as answer:
                if answer.status != 200:
                    raise EngineProblem("nonsense", f"status {answer.status}")
        except asyncio.TimeoutError as problem:
            raise EngineProblem("slow", type(problem).__name__) from problem
        except aiohttp.ClientError as problem:
            raise EngineProblem("down", type(problem).__name__) from problem

    async def is_ready(self) -> bool:
        """Whether the engine has its model loaded."""
        try:
            async with self._client().get(self._url, timeout=aiohttp.ClientTimeout(total=2.0)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, asyncio.TimeoutError):
            return False

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
