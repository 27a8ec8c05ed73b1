"""Security headers on every response: no page of ours loads anything from elsewhere or runs inline script."""

from __future__ import annotations

import re
from typing import Mapping, Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

_NO_STORE = (b"cache-control", b"no-store")

FRAMED = ("/chat",)
SHARED = ("/api/chat/", "/widget/")


class SecurityHeaders:
    """ASGI middleware that adds HEADERS, and keeps pages with people's words out of caches.

    Parameters
    ----------
    embedders: origins whose pages may hold the chat in a frame.
    https: people reach the service by https only, and browsers are told so (RFC 6797).
    """

    def __init__(self, app: ASGIApp, embedders: Sequence[str] = (), https: bool = False) -> None:
        self._app = app
        everywhere = {**HEADERS, **(HTTPS_ONLY if https else {})}
        policy = HEADERS["Content-Security-Policy"]
        framed = {**everywhere, "Content-Security-Policy": policy.replace("frame-ancestors 'self'", " ".join(["frame-ancestors 'self'", *embedders]))}
        self._everywhere, self._framed = _raw(everywhere), _raw(framed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                headers += [header for header in (self._framed if scope["path"].startswith(FRAMED) else self._everywhere) if header[0] not in there]
                if not scope["path"].startswith("/static/") and _NO_STORE[0] not in there:
                    headers.append(_NO_STORE)
            await send(message)

        await self._app(scope, receive, with_headers)


class OtherSites:
    """ASGI middleware that lets pages of `embedders` use the chat API and the widget's files (CORS), and nothing else.

    No cookie is ever allowed along: a conversation opens with its token only.
    """

    def __init__(self, app: ASGIApp, embedders: Sequence[str]) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app,
            allow_origin_regex="|".join(_pattern(origin) for origin in embedders) or "(?!)",
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Retry-After"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shared = scope["type"] == "http" and scope["path"].startswith(SHARED)
        await (self._shared if shared else self._app)(scope, receive, send)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def _pattern(origin: str) -> str:
    """An origin as a pattern; `*.` stands for any subdomain, as in a Content-Security-Policy."""
    return re.escape(origin).replace(re.escape("*."), r"(?:[a-z0-9-]+\.)+")
