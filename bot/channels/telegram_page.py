"""From the web chat to Telegram: a one-use link, as JSON for the widget and as a page without JavaScript. And Telegram's webhook."""

from __future__ import annotations

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.channels.chat_page import COOKIE, FOREIGN, chat_cookies
from bot.channels.problems import NOT_SIGNED_IN, Problem
from bot.channels.telegram import TelegramChannel
from bot.channels.telegram_links import LINK_LASTS
from bot.channels.web import WebChat, bearer
from bot.pages.forms import FormRefused, refuse_cross_site
from bot.pages.rendering import page
from bot.settings import Settings

MINUTES = int(LINK_LASTS.total_seconds() // 60)


def routes(telegram: TelegramChannel, chat: WebChat, settings: Settings) -> list[Route]:
    """`POST /api/chat/telegram` with the chat's bearer token -> `{"url", "minutes", "note"}` (what to know before Telegram is used);
    `POST /chat/api/telegram` the same with the page's cookie; `POST /chat/telegram` with the page's cookie -> a
    page with the link."""
    cookies = chat_cookies(settings)

    async def link(token: str) -> str:
        conversation_id = await to_thread.run_sync(chat.log.id_by_token, token) if token else None
        if conversation_id is None:
            raise NOT_SIGNED_IN
        await chat.limits.spent("telegram_link", conversation_id, 10, 3600)
        return await telegram.link(conversation_id)

    def note() -> str:
        return chat.answers.say("telegram_note", site=telegram.site)

    async def by_api(request: Request) -> Response:
        return await as_json(bearer(request))

    async def by_script(request: Request) -> Response:
        try:
            refuse_cross_site(request, telegram.site)
        except FormRefused:
            raise FOREIGN from None
        return await as_json(cookies.read(request, COOKIE))

    async def as_json(token: str) -> Response:
        return JSONResponse({"url": await link(token), "minutes": MINUTES, "note": note()}, 201)

    async def by_page(request: Request) -> Response:
        try:
            refuse_cross_site(request, telegram.site)
            url = await link(cookies.read(request, COOKIE))
        except FormRefused as refused:
            return page("problem.html", refused.status, message=refused.message, back="/chat")
        except Problem as problem:
            return page("problem.html", problem.status, message=problem.message, back="/chat")
        return page("chat/telegram.html", url=url, minutes=MINUTES, note=note())

    return [
        *telegram.routes(),
        Route("/api/chat/telegram", by_api, methods=["POST"]),
        Route("/chat/api/telegram", by_script, methods=["POST"]),
        Route("/chat/telegram", by_page, methods=["POST"]),
    ]
