"""The chat as a page that works without JavaScript, the demo page around it, and what we say about privacy and accessibility."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Mapping
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from bot.channels.problems import NOT_SIGNED_IN, Problem
from bot.channels.web import WebChat, address, conversation_routes, json_body
from bot.clock import new_id
from bot.conversations.erasure import as_text
from bot.knowledge.areas import Area
from bot.pages.cookies import Cookies
from bot.pages.forms import FormRefused, read_form, refuse_cross_site
from bot.pages.rendering import page, render
from bot.settings import Settings
from bot.store.tables import Conversation
from bot.widget.words import USUAL, Words, all_words, words

COOKIE = "signpost_chat"
KEEP_COOKIE = "signpost_keep"
COOKIE_DAYS = 90
FOREIGN = Problem(403, "elsewhere", "This was sent from another website, so it was not used.")


@dataclass(frozen=True)
class OpenChat:
    """A parent's conversation in their browser: its id, area and role, and the token for the cookie."""

    id: str
    area: str
    role: str
    token: str


@dataclass(frozen=True)
class Manner:
    """How a page is to be shown: in a frame or not, and in which language."""

    embed: bool
    words: Words

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Manner:
        """From the fields of an address or a form."""
        return cls("embed" in given, words(given.get("lang")))

    @property
    def fields(self) -> dict[str, str]:
        """What goes along in addresses and forms."""
        return {**({"embed": "1"} if self.embed else {}), **({"lang": self.words.code} if self.words.code != USUAL else {})}

    def address(self, path: str, **query: str) -> str:
        """A page's address that keeps the manner."""
        asked = urlencode({**self.fields, **{name: value for name, value in query.items() if value}})
        return f"{path}{'?' if asked else ''}{asked}"


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
        Route("/chat/keep", told_on_page(pages.keep), methods=["POST"]),
        Route("/chat/own", told_on_page(pages.own), methods=["GET"]),
        Route("/chat/own/copy", told_on_page(pages.copy), methods=["GET"]),
        Route("/chat/own/delete", told_on_page(pages.delete), methods=["POST"]),
        *conversation_routes(chat, "/chat/api", pages.token),
        Route("/chat/api/keep", pages.keep_by_script, methods=["POST"]),
        Route("/chat/api/forget", pages.forget_by_script, methods=["POST"]),
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
        self._chat, self._settings, self._cookies = chat, settings, chat_cookies(settings)

    async def home(self, request: Request) -> Response:
        """What Signpost is, and the chat as another website would show it."""
        return page("home.html", areas=self._areas(), site=self._settings.site, chosen=self._chat.default_area)

    async def privacy(self, request: Request) -> Response:
        """What is kept and who reads it."""
        return page("privacy.html", cookie_days=COOKIE_DAYS, telegram=bool(self._settings.telegram_token), areas=self._areas())

    async def accessibility(self, request: Request) -> Response:
        """How accessible the pages are."""
        return page("accessibility.html")

    async def show(self, request: Request) -> Response:
        """The conversation; a browser without one is given a new one."""
        asked = request.query_params
        opened = await self._known(request)
        if opened is None and "kept" in asked:
            return self._said("chat/no_cookie.html", Manner.of(asked), status=400)
        if opened is None:
            opened = await self._start(request, asked.get("area"), asked.get("role"))
        wished = (asked.get("area", opened.area), asked.get("role", opened.role))
        return await self._page(request, opened, Manner.of(asked), asked.get("checked", ""), goes_on=wished != (opened.area, opened.role))

    async def send(self, request: Request) -> Response:
        """Take a message or a choice, then show the conversation; `do=check` only looks for replies."""
        refuse_cross_site(request, self._settings.site)
        form = await read_form(request)
        manner, text, choice = Manner.of(form), form.get("text", ""), form.get("choice")
        opened = await self._known(request)
        known = opened is not None
        if opened is None:
            opened = await self._start(request, form.get("area") or None, form.get("role") or None)
        if form.get("do") == "check" and text.strip():
            return await self._page(request, opened, manner, checked=form.get("newest", ""), text=text)
        if form.get("do") == "check":
            return self._back(request, opened, manner, checked=form.get("newest", ""))
        try:
            accepted = await self._chat.accept(opened.id, client_id(form), None if choice else text, choice)
        except Problem as problem:
            return await self._page(request, opened, manner, text=text, problem=problem)
        await self._chat.answer(accepted)
        return self._back(request, opened, manner, kept="" if known else "1")

    def _back(self, request: Request, opened: OpenChat, manner: Manner, **query: str) -> Response:
        answer = RedirectResponse(f"{manner.address('/chat', **query)}#latest", 303)
        self._keep(request, answer, opened.token)
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
        manner = Manner.of(request.query_params)
        return HTMLResponse(render("chat/messages.html", messages=messages, form_id=new_id(), manner=manner, w=manner.words, latest=None, settled={}))

    async def ask_clear(self, request: Request) -> Response:
        """Ask before a chat is forgotten, and name the questions that are still open in it."""
        opened = await self._known(request)
        messages = await to_thread.run_sync(self._chat.log.after, opened.id, 0) if opened else []
        references = {m["query"]["reference"]: m["query"] for m in messages if m["query"]}
        return self._said("chat/clear.html", Manner.of(request.query_params), queries=list(references.values()))

    async def clear(self, request: Request) -> Response:
        """Forget the chat on this device."""
        refuse_cross_site(request, self._settings.site)
        form = await read_form(request)
        answer = self._said("chat/cleared.html", Manner.of(form), areas=self._areas(), chosen=self._chat.default_area)
        self._forget(answer)
        return answer

    async def keep(self, request: Request) -> Response:
        """Keep the chat on this device after the browser is closed, or stop keeping it (`wanted` empty)."""
        refuse_cross_site(request, self._settings.site)
        form = await read_form(request)
        answer = RedirectResponse(Manner.of(form).address("/chat"), 303)
        self._choose(answer, self.token(request), bool(form.get("wanted")))
        return answer

    async def own(self, request: Request) -> Response:
        """What parents can do with what they wrote: have a copy, have it deleted. Names the questions that deleting takes back."""
        opened = await self._known(request)
        queries = await to_thread.run_sync(self._chat.own_words.at_stake, opened.id) if opened else []
        return self._said("chat/own.html", Manner.of(request.query_params), chat=opened, queries=queries)

    async def copy(self, request: Request) -> Response:
        """The chat as a text file."""
        opened = await self._known(request)
        if opened is None:
            raise NOT_SIGNED_IN
        copied = await to_thread.run_sync(self._chat.own_words.copy, opened.id)
        return PlainTextResponse(as_text(copied), headers={"Content-Disposition": 'attachment; filename="signpost-chat.txt"'})

    async def delete(self, request: Request) -> Response:
        """Delete everything that was written in the chat."""
        refuse_cross_site(request, self._settings.site)
        manner = Manner.of(await read_form(request))
        opened = await self._known(request)
        if opened is not None:
            await to_thread.run_sync(self._chat.own_words.erase, opened.id)
        answer = self._said("chat/deleted.html", manner, areas=self._areas(), chosen=self._chat.default_area)
        self._forget(answer)
        return answer

    async def keep_by_script(self, request: Request) -> Response:
        """The same, asked by the page's script: `{"wanted": true}`."""
        token, body = self.token(request), await json_body(request)
        answer = JSONResponse({"kept": bool(body.get("wanted"))})
        self._choose(answer, token, bool(body.get("wanted")))
        return answer

    async def forget_by_script(self, request: Request) -> Response:
        """Forget the chat on this device, asked by the page's script."""
        self.token(request)
        answer = JSONResponse({"forgotten": True})
        self._forget(answer)
        return answer

    def token(self, request: Request) -> str:
        """The token in the chat's cookie. Raises Problem for what another website sent."""
        try:
            refuse_cross_site(request, self._settings.site)
        except FormRefused:
            raise FOREIGN from None
        return self._cookies.read(request, COOKIE)

    def _said(self, template: str, manner: Manner, status: int = 200, **values: Any) -> HTMLResponse:
        return page(template, status, manner=manner, w=manner.words, languages=all_words().values(), **values)

    def _areas(self) -> list[Area]:
        return sorted(self._chat.areas.values(), key=lambda area: area.name)

    async def _known(self, request: Request) -> OpenChat | None:
        token = self._cookies.read(request, COOKIE)
        found: Conversation | None = await to_thread.run_sync(self._chat.log.by_token, token) if token else None
        return OpenChat(found.id, found.area, found.role, token) if found else None

    async def _start(self, request: Request, area: str | None, role: str | None) -> OpenChat:
        # The page says which area it speaks of, so the conversation has that one even if nobody chose it.
        area = area or self._chat.default_area
        id, token = await self._chat.start(address(request), area, role, told=True)
        return OpenChat(id, area, role or "parent", token)

    async def _page(
        self,
        request: Request,
        opened: OpenChat,
        manner: Manner,
        checked: str = "",
        text: str = "",
        problem: Problem | None = None,
        goes_on: bool = False,
    ) -> Response:
        """The chat page.

        `checked` is the newest number that the reader had seen when they asked for replies; `goes_on` says that they asked for another
        area or role but that this chat goes on.
        """
        messages = await to_thread.run_sync(self._chat.log.after, opened.id, 0)
        mine = [m["seq"] for m in messages if m["author"] == "parent"]
        newest = messages[-1]["seq"] if messages else 0
        answer = self._said(
            "chat/page.html",
            manner,
            problem.status if problem else 200,
            chat=opened,
            area=self._chat.areas.get(opened.area, self._chat.areas[self._chat.default_area]),
            messages=messages,
            latest=mine[-1] if mine else newest,
            newest=newest,
            waiting=bool(mine) and await self._is_waiting(opened.id, mine[-1]),
            news=_news(messages, checked),
            text=text,
            goes_on=goes_on,
            problem=problem,
            queries=(await to_thread.run_sync(self._chat.standings.of, opened.id))["queries"],
            kept=bool(self._cookies.read(request, KEEP_COOKIE)),
            settled=_settled(messages),
            telegram=bool(self._settings.telegram_token),
            form_id=new_id(),
        )
        if problem:
            answer.headers.update(problem.headers)
        self._keep(request, answer, opened.token)
        return answer

    async def _is_waiting(self, conversation_id: str, asked: int) -> bool:
        return not await to_thread.run_sync(self._chat.log.is_done, conversation_id, asked)

    def _keep(self, request: Request, answer: Response, token: str) -> None:
        self._keep_for(answer, token, bool(self._cookies.read(request, KEEP_COOKIE)))

    def _keep_for(self, answer: Response, token: str, long: bool) -> None:
        """Set the cookie: for COOKIE_DAYS if the parent chose to keep the chat, else until the browser is closed."""
        seconds = COOKIE_DAYS * 86400 if long else None
        self._cookies.write(answer, COOKIE, token, seconds)
        if long:
            self._cookies.write(answer, KEEP_COOKIE, "1", seconds)

    def _choose(self, answer: Response, token: str, long: bool) -> None:
        if token:
            self._keep_for(answer, token, long)
        if not long:
            self._cookies.drop(answer, KEEP_COOKIE)

    def _forget(self, answer: Response) -> None:
        for name in (COOKIE, KEEP_COOKIE):
            self._cookies.drop(answer, name)


def keep_chat(answer: Response, token: str, settings: Settings) -> None:
    """Have the browser keep the token of a chat in its cookie until it is closed."""
    chat_cookies(settings).write(answer, COOKIE, token)


def chat_cookies(settings: Settings) -> Cookies:
    """The chat's cookies."""
    return Cookies.of(settings, "/chat", "lax")


def client_id(form: dict[str, str]) -> str:
    """The message's id: the same form sent twice with the same words is one message, with other words it is another."""
    minted = form.get("client_id") or new_id()
    said = f"{minted}\n{form.get('choice', '')}\n{form.get('text', '').strip()}"
    return hashlib.sha256(said.encode()).hexdigest()


def _settled(messages: list[dict[str, Any]]) -> dict[int, str | None]:
    """Messages whose buttons are gone, by number, with the title that was pressed if one was.

    What Signpost offered holds until the parent says anything; a question of staff (was this answered?) until one of its titles is said
    while no other question has it.
    """
    gone: dict[int, str | None] = {}
    offered: dict[int, tuple[str, list[str]]] = {}
    for message in messages:
        if message["author"] == "parent":
            text = message["text"]
            asking = [seq for seq, (author, titles) in offered.items() if author != "assistant" and text in titles]
            over = [seq for seq, (author, _) in offered.items() if author == "assistant"] + (asking if len(asking) == 1 else [])
            gone |= {seq: text if text in offered.pop(seq)[1] else None for seq in over}
        elif message["choices"]:
            offered[message["seq"]] = (message["author"], [choice["title"] for choice in message["choices"]])
    return gone


def _news(messages: list[dict[str, Any]], checked: str) -> int | None:
    """How many messages came since the reader had seen number `checked`; nothing if they did not ask."""
    seen = _number(checked)
    return None if seen is None else sum(1 for m in messages if m["seq"] > seen and m["author"] != "parent")


def _number(given: str) -> int | None:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None
