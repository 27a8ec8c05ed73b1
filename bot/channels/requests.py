"""Each request has an id that goes with it through engine, actions and delivery, and is counted."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot import metrics
from bot.channels.problems import Problem
from bot.clock import new_id
from bot.logs import REQUEST_HEADER, requested, valid_request

# Only the engine's calls go on under the id of the request that they belong to: others could write into our logs.
CALLED_BY_ENGINE = "/engine/actions"
BODY_SECONDS = 20.0
TOO_SLOW = Problem(408, "too_slow", "The message did not arrive in time. Please send it again.", {"Connection": "close"})


class QuickJSON(JSONResponse):
    """A JSON response for what every turn says, written four times as fast. Raises TypeError for what is no JSON."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class Requests:
    """ASGI middleware: an id for the logs, told in `X-Request-Id`, and figures by route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_HEADER) if scope["path"] == CALLED_BY_ENGINE else None
        id, began, status = valid_request(given) or new_id(), time.perf_counter(), 500

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).setdefault(REQUEST_HEADER, id)
            await send(message)

        with requested(id):
            try:
                await self._app(scope, receive, with_id)
            finally:
                route = getattr(scope.get("route"), "path", "") or "other"
                method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other"
                metrics.REQUESTS.labels(method, route, status).inc()
                metrics.REQUEST_SECONDS.labels(route).observe(time.perf_counter() - began)


class SlowBodies:
    """ASGI middleware: a request's body has BODY_SECONDS to arrive, so that slow senders cannot hold the service. Raises Problem 408."""

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        until, whole = time.monotonic() + self._seconds, False

        async def in_time() -> Message:
            nonlocal whole
            if whole:
                # what comes after the body is only that the client has gone
                return await receive()
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                raise TOO_SLOW from None
            whole = message["type"] != "http.request" or not message.get("more_body")
            return message

        await self._app(scope, in_time, send)
