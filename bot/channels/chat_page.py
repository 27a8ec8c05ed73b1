"""The chat as a page that works without JavaScript, the demo page around it, and what we say about privacy and accessibility."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Awaitable, Callable
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from bot.channels.problems import Problem
from bot.channels.web import WebChat, address
from bot.clock import new_id
from bot.knowledge.areas import Area
from bot.pages.forms import FormRefused, read_form, refuse_cross_site
from bot.pages.rendering import page, render
from bot.settings import Settings
from bot.store.tables import Conversation

COOKIE = "signpost_chat"
COOKIE_DAYS = 90


@dataclass(frozen=True)
class OpenChat:
    """A parent's conversation in their browser: its id, area and role, and the token for the cookie."""

    id: str
    area: str
    role: str
    token: str


def routes(chat: WebChat, settings: Settings) -> list[Route]:
    """Routes of the pages that parents see."""
    pages = ChatPages(chat, settings)
    return [
        Route("/", pages.home),
        Route("/chat", told_on_page(pages.show), methods=["GET"]),
        Route("/chat", told_on_page(pages.send), methods=["POST"]),
        Route("/chat/messages", pages.newer, methods=["GET"]),
        Route("/chat/clear", told_on_page(pages.ask_clear), methods=["GET"]),
        Route("/chat/clear", told_on_page(pages.clear), methods=["POST"]),
        Route("/privacy", pages.privacy),
        Route("/accessibility", pages.accessibility),
    ]


Handler = Callable[[Request], Awaitable[Response]]


def told_on_page(handler: Handler) -> Handler:
    """The handler, with a problem told on a page."""

    async def told(request: Request) -> Response:
        try:
            return await handler(request)
        except FormRefused as refused:
            return page("problem.html", refused.status, message=refused.message, back="/chat")
        except Problem as problem:
            answer = page("problem.html", problem.status, message=problem.message, back="/chat")
            answer.headers.update(problem.headers)
            return answer

    return told


class ChatPages:
    """Handlers of the pages. Every message goes through the same WebChat as the API."""

    def __init__(self, chat: WebChat, settings: Settings) -> None:
        self._chat, self._settings = chat, settings

    async def home(self, request: Request) -> Response:
        """What Signpost is, and the chat in a frame."""
        return page("home.html", areas=self._areas(), site=self._settings.site, chosen=self._chat.default_area)

    async def privacy(self, request: Request) -> Response:
        """What is kept and who reads it."""
        return page("privacy.html", cookie_days=COOKIE_DAYS)

    async def accessibility(self, request: Request) -> Response:
        """How accessible the pages are."""
        return page("accessibility.html")

    async def show(self, request: Request) -> Response:
        """The conversation; a browser without one is given a new one."""
        asked = request.query_params
        opened = await self._known(request)
        if opened is None and "kept" in asked:
            return page("chat/no_cookie.html", 400)
        if opened is None:
            opened = await self._start(request, asked.get("area"), asked.get("role"))
        wished = (asked.get("area", opened.area), asked.get("role", opened.role))
        return await self._page(opened, "embed" in asked, asked.get("checked", ""), goes_on=wished != (opened.area, opened.role))

    async def send(self, request: Request) -> Response:
        """Take a message or a choice, then show the conversation; `do=check` only looks for replies."""
        refuse_cross_site(request, self._settings.site)
        form = await read_form(request)
        embed, text, choice = "embed" in form, form.get("text", ""), form.get("choice")
        opened = await self._known(request)
        known = opened is not None
        if opened is None:
            opened = await self._start(request, form.get("area") or None, form.get("role") or None)
        if form.get("do") == "check" and text.strip():
            return await self._page(opened, embed, checked=form.get("newest", ""), text=text)
        if form.get("do") == "check":
            return self._back(opened, embed, checked=form.get("newest", ""))
        try:
            accepted = await self._chat.accept(opened.id, client_id(form), None if choice else text, choice)
        except Problem as problem:
            return await self._page(opened, embed, text=text, problem=problem)
        await self._chat.answer(accepted)
        return self._back(opened, embed, kept="" if known else "1")

    def _back(self, opened: OpenChat, embed: bool, **query: str) -> Response:
        asked = urlencode({name: value for name, value in {"embed": "1" if embed else "", **query}.items() if value})
        answer = RedirectResponse(f"/chat{'?' if asked else ''}{asked}#latest", 303)
        self._keep(answer, opened.token)
        return answer

    async def newer(self, request: Request) -> Response:
        """Messages after a number as list items, for the script that adds them to the page; 204 when there are none."""
        opened = await self._known(request)
        if opened is None:
            return Response(status_code=401)
        seen = _number(request.query_params.get("after", "")) or 0
        messages = await to_thread.run_sync(self._chat.log.after, opened.id, seen)
        if not messages:
            return Response(status_code=204)
        embed = "embed" in request.query_params
        return HTMLResponse(render("chat/messages.html", messages=messages, form_id=new_id(), embed=embed, latest=None, buttons_after=0))

    async def ask_clear(self, request: Request) -> Response:
        """Ask before a chat is forgotten, and name the questions that are still open in it."""
        opened = await self._known(request)
        messages = await to_thread.run_sync(self._chat.log.after, opened.id, 0) if opened else []
        references = {m["query"]["reference"]: m["query"] for m in messages if m["query"]}
        return page("chat/clear.html", queries=list(references.values()), embed="embed" in request.query_params)

    async def clear(self, request: Request) -> Response:
        """Forget the chat on this device."""
        refuse_cross_site(request, self._settings.site)
        form = await read_form(request)
        answer = page("chat/cleared.html", areas=self._areas(), chosen=self._chat.default_area, embed="embed" in form)
        answer.delete_cookie(COOKIE, path="/chat", httponly=True, samesite="lax", secure=self._secure)
        return answer

    def _areas(self) -> list[Area]:
        return sorted(self._chat.areas.values(), key=lambda area: area.name)

    async def _known(self, request: Request) -> OpenChat | None:
        token = request.cookies.get(COOKIE, "")
        found: Conversation | None = await to_thread.run_sync(self._chat.log.by_token, token) if token else None
        return OpenChat(found.id, found.area, found.role, token) if found else None

    async def _start(self, request: Request, area: str | None, role: str | None) -> OpenChat:
        # The page says which area it speaks of, so the conversation has that one even if nobody chose it.
        area = area or self._chat.default_area
        id, token = await self._chat.start(address(request), area, role)
        return OpenChat(id, area, role or "parent", token)

    async def _page(
        self, opened: OpenChat, embed: bool, checked: str = "", text: str = "", problem: Problem | None = None, goes_on: bool = False
    ) -> Response:
        """The chat page.

        `checked` is the newest number that the reader had seen when they asked for replies; `goes_on` says that they asked for another
        area or role but that this chat goes on.
        """
        messages = await to_thread.run_sync(self._chat.log.after, opened.id, 0)
        mine = [m["seq"] for m in messages if m["author"] == "parent"]
        newest = messages[-1]["seq"] if messages else 0
        answer = page(
            "chat/page.html",
            problem.status if problem else 200,
            chat=opened,
            area=self._chat.areas.get(opened.area, self._chat.areas[self._chat.default_area]),
            messages=messages,
            latest=mine[-1] if mine else newest,
            buttons_after=mine[-1] if mine else 0,
            newest=newest,
            waiting=bool(mine) and await self._is_waiting(opened.id, mine[-1], messages),
            news=_news(messages, checked),
            text=text,
            goes_on=goes_on,
            problem=problem,
            privacy_notice=self._chat.answers.say("privacy_notice"),
            form_id=new_id(),
            embed=embed,
        )
        if problem:
            answer.headers.update(problem.headers)
        self._keep(answer, opened.token)
        return answer

    async def _is_waiting(self, conversation_id: str, asked: int, messages: list[dict[str, Any]]) -> bool:
        if any(m["seq"] > asked and m["author"] != "assistant" for m in messages):
            return False
        return not await to_thread.run_sync(self._chat.log.answers_to, conversation_id, asked)

    def _keep(self, answer: Response, token: str) -> None:
        answer.set_cookie(COOKIE, token, max_age=COOKIE_DAYS * 86400, path="/chat", httponly=True, samesite="lax", secure=self._secure)

    @property
    def _secure(self) -> bool:
        return self._settings.secure_cookies == "on"


def client_id(form: dict[str, str]) -> str:
    """The message's id: the same form sent twice with the same words is one message, with other words it is another."""
    minted = form.get("client_id") or new_id()
    said = f"{minted}\n{form.get('choice', '')}\n{form.get('text', '').strip()}"
    return hashlib.sha256(said.encode()).hexdigest()


def _news(messages: list[dict[str, Any]], checked: str) -> int | None:
    """How many messages came since the reader had seen number `checked`; nothing if they did not ask."""
    seen = _number(checked)
    return None if seen is None else sum(1 for m in messages if m["seq"] > seen and m["author"] != "parent")


def _number(given: str) -> int | None:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None
