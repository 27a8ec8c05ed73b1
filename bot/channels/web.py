"""The web chat API (contract 2): sessions, idempotent posts, fetching by sequence, long-poll and server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from itertools import count
from typing import Any, AsyncIterator, Callable

from anyio import to_thread
from sse_starlette.sse import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.channels.limits import RateLimits
from bot.channels.problems import BAD_JSON, NOT_SIGNED_IN, TOO_LARGE, Problem
from bot.channels.requests import QuickJSON
from bot.conversations.erasure import OwnWords
from bot.conversations.listeners import Listeners
from bot.conversations.log import Accepted, ConversationLog, UnknownChoice
from bot.conversations.outbound import Outbound
from bot.conversations.standing import Standings
from bot.conversations.turns import Turns
from bot.knowledge.answers import Answers
from bot.knowledge.areas import Area
from bot.logs import security_event

LONGEST_TEXT = 4000
LONGEST_BODY = 64 * 1024
LONGEST_WAIT = 25.0
# looks at the log, about one a second, until a stream asks again whether its token still opens the chat
LOOKS = 5
ROLES = ("parent", "school")


@dataclass(frozen=True)
class WebChat:
    """The chat as a service, shared by the API and the page that works without JavaScript."""

    log: ConversationLog
    turns: Turns
    listeners: Listeners
    standings: Standings
    limits: RateLimits
    answers: Answers
    areas: dict[str, Area]
    default_area: str
    reply_wait: float
    own_words: OwnWords
    telegram: bool = False

    async def start(self, who: str, area: str | None, role: str | None, told: bool = False) -> tuple[str, str]:
        """A new conversation for somebody at address `who`: its id and token. Raises Problem.

        Without an area the conversation has none yet: answers are the configured area's, and a guide asks for it.

        `told`: they were shown what this is, who reads it and what it is not for, so the greeting need not say so again.
        """
        if area is not None and (not isinstance(area, str) or area not in self.areas):
            raise Problem(422, "unknown_area", f"We do not know the area {str(area)[:40]!r}. We know: {', '.join(sorted(self.areas))}.")
        if role is not None and role not in ROLES:
            raise Problem(422, "unknown_role", "The role must be parent or school.")
        await self.limits.spent("session", who, 120, 600)
        welcome = self.answers.say("welcome")
        if not told:
            welcome = f"{welcome}\n\n{self.answers.say('privacy_notice')}\n\n{self.areas[area or self.default_area].not_for_emergencies}"
        return await to_thread.run_sync(self.log.start, "web", area or "", role or "parent", [Outbound(welcome, outcome="talk")])

    async def accept(self, conversation_id: str, client_id: Any, text: Any, choice: Any) -> Accepted:
        """Put a message on disk. Raises Problem for what is not a message."""
        if not isinstance(client_id, str) or not 8 <= len(client_id) <= 64 or not client_id.isprintable():
            raise Problem(422, "client_id", "A message needs a client_id: a text of 8 to 64 characters, new for each message.")
        if choice is None:
            text = self._text(text)
        elif not isinstance(choice, str) or text is not None:
            raise Problem(422, "choice", "Send either a text or the id of a choice, not both.")
        await self.limits.spent("message", conversation_id, 30, 60)
        try:
            return await to_thread.run_sync(self.log.accept, conversation_id, client_id, text or "", choice)
        except UnknownChoice:
            raise Problem(422, "choice", "That button does not belong to this chat. Please type your answer instead.") from None

    def _text(self, text: Any) -> str:
        if not isinstance(text, str) or not text.strip():
            raise Problem(422, "text", "Please write a message before you send it.")
        if len(text) > LONGEST_TEXT:
            raise Problem(422, "too_long", self.answers.say("too_long", limit=f"{LONGEST_TEXT:,}"))
        kept = "".join(c for c in text if c in "\n\t" or ord(c) >= 32 and not 0xD800 <= ord(c) <= 0xDFFF).strip()
        if not kept:
            raise Problem(422, "text", "Please write a message before you send it.")
        return kept

    async def answer(self, accepted: Accepted) -> tuple[bool, list[dict[str, Any]]]:
        """Take the turn and wait for it, but no longer than `reply_wait`; whether it is done, and what was said so far."""
        done = accepted.done
        if not done:
            task = self.turns.begin(accepted.conversation_id, accepted.message_id, accepted.waiting)
            done = bool((await asyncio.wait({task}, timeout=self.reply_wait))[0])
            if done and (said := task.result()) is not None:
                return True, said
        return done, await to_thread.run_sync(self.log.answers_to, accepted.conversation_id, accepted.seq)


def bearer(request: Request) -> str:
    """The token in the Authorization header, or nothing."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def routes(chat: WebChat) -> list[Route]:
    """Routes under /api/chat."""

    async def start(request: Request) -> Response:
        body = await json_body(request, optional=True)
        id, token = await chat.start(address(request), body.get("area"), body.get("role"))
        messages = await to_thread.run_sync(chat.log.after, id, 0)
        return JSONResponse({"session": id, "token": token, "messages": messages}, 201)

    return [Route("/api/chat/sessions", start, methods=["POST"]), *conversation_routes(chat, "/api/chat", bearer)]


def conversation_routes(chat: WebChat, prefix: str, token_of: Callable[[Request], str]) -> list[Route]:
    """Routes of a conversation that was started: posts, fetching, events, how it stands. `token_of` finds its token in a request."""

    async def conversation(request: Request) -> str:
        token = token_of(request)
        found = await to_thread.run_sync(chat.log.id_by_token, token) if token else None
        if found is None:
            security_event("unknown_token" if token else "no_token", path=prefix)
            raise NOT_SIGNED_IN
        return found

    async def post(request: Request) -> Response:
        conversation_id = await conversation(request)
        body = await json_body(request)
        accepted = await chat.accept(conversation_id, body.get("client_id"), body.get("text"), body.get("choice"))
        done, messages = await chat.answer(accepted)
        return QuickJSON({"accepted": accepted.seq, "messages": messages}, 200 if done else 202)

    async def get(request: Request) -> Response:
        conversation_id = await conversation(request)
        after = _number(request.query_params.get("after"), "after", 0, 2**31)
        wait = _number(request.query_params.get("wait"), "wait", 0, 3600)
        until = time.monotonic() + min(wait, LONGEST_WAIT)
        while True:
            messages = await to_thread.run_sync(chat.log.after, conversation_id, int(after))
            left = until - time.monotonic()
            if messages or left <= 0:
                return QuickJSON({"messages": messages})
            await chat.listeners.wait(conversation_id, min(left, 1.0))

    async def events(request: Request) -> Response:
        conversation_id = await conversation(request)
        last = request.headers.get("last-event-id") or request.query_params.get("after")
        after = int(_number(last, "after", 0, 2**31))

        async def stream() -> AsyncIterator[ServerSentEvent]:
            seq = after
            # the client sees at once that nothing on the way holds events back
            yield ServerSentEvent(comment="open")
            for look in count():
                if await request.is_disconnected():
                    return
                if look % LOOKS == LOOKS - 1 and await to_thread.run_sync(chat.log.id_by_token, token_of(request)) is None:
                    # deleted meanwhile
                    return
                for message in await to_thread.run_sync(chat.log.after, conversation_id, seq):
                    seq = message["seq"]
                    yield ServerSentEvent(json.dumps(message, ensure_ascii=False), event="message", id=str(seq))
                await chat.listeners.wait(conversation_id, 1.0)

        return EventSourceResponse(stream(), ping=15, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def standing(request: Request) -> Response:
        standing = await to_thread.run_sync(chat.standings.of, await conversation(request))
        return JSONResponse({**standing, "telegram": chat.telegram})

    async def typing(request: Request) -> Response:
        await to_thread.run_sync(chat.standings.parent_types, await conversation(request))
        return Response(status_code=204)

    async def copy(request: Request) -> Response:
        copied = await to_thread.run_sync(chat.own_words.copy, await conversation(request))
        return JSONResponse(copied, headers={"Content-Disposition": 'attachment; filename="signpost-chat.json"'})

    async def erase(request: Request) -> Response:
        conversation_id = await conversation(request)
        if (await json_body(request)).get("confirm") is not True:
            at_stake = await to_thread.run_sync(chat.own_words.at_stake, conversation_id)
            taken_back = "".join(f" Your question {query.reference}, which {query.lead} has, is then taken back." for query in at_stake)
            raise Problem(422, "confirm", f'This deletes everything that was written in this chat.{taken_back} To do so, send {{"confirm": true}}.')
        await to_thread.run_sync(chat.own_words.erase, conversation_id)
        return JSONResponse({"erased": True})

    return [
        Route(f"{prefix}/typing", typing, methods=["POST"]),
        Route(f"{prefix}/copy", copy, methods=["GET"]),
        Route(f"{prefix}/erase", erase, methods=["POST"]),
        Route(f"{prefix}/messages", post, methods=["POST"]),
        Route(f"{prefix}/messages", get, methods=["GET"]),
        Route(f"{prefix}/events", events, methods=["GET"]),
        Route(f"{prefix}/standing", standing, methods=["GET"]),
    ]


def address(request: Request) -> str:
    """Where a request comes from, for rate limits."""
    return request.client.host if request.client else "unknown"


async def json_body(
    request: Request, optional: bool = False, longest: int = LONGEST_BODY, loads: Callable[[bytes], Any] = json.loads
) -> dict[str, Any]:
    """The JSON object in a request. Raises Problem if there is none, or too much of it."""
    raw = await read_body(request, longest)
    if not raw and optional:
        return {}
    try:
        body = loads(raw)
    except (ValueError, RecursionError):
        raise BAD_JSON from None
    if not isinstance(body, dict):
        raise BAD_JSON
    return body


async def read_body(request: Request, longest: int = LONGEST_BODY) -> bytes:
    """The body of a request, refused as soon as it is too long."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > longest:
            raise TOO_LARGE
    return raw


def _number(given: str | None, name: str, least: float, most: float) -> float:
    if given in (None, ""):
        return least
    try:
        number = float(given)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise Problem(422, name, f"{name} must be a number of {least:g} or more.")
    return number
