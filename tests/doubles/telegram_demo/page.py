"""The parent's phone as a page. It works without JavaScript; with it, new messages come by themselves."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.doubles.telegram import BotApiDouble, Phone, Shown

FOLDER = Path(__file__).parent
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


def _html(shown: Shown) -> Markup:
    """A message as HTML: the bot's was read as Telegram's HTML before, the parent's is plain text."""
    return Markup(shown.html) if shown.html else escape(shown.text)


def page_app(api: BotApiDouble, phone: Phone) -> Starlette:
    """The page for one phone."""
    templates = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    templates.filters["html"] = _html

    def rendered(name: str) -> HTMLResponse:
        body = templates.get_template(name).render(messages=list(phone.messages), phone=phone, api=api)
        return HTMLResponse(body, headers={"Content-Security-Policy": POLICY})

    async def show(request: Request) -> Response:
        return rendered("page.html")

    async def messages(request: Request) -> Response:
        return rendered("messages.html")

    async def act(request: Request) -> Response:
        form = await request.form()
        match form.get("do"):
            case "say" if str(form.get("text", "")).strip():
                phone.says(str(form["text"]).strip())
            case "press":
                shown = next((m for m in phone.messages if str(m.id) == form.get("message")), None)
                if shown is not None:
                    phone.presses_data(shown, str(form.get("data")))
            case "send":
                phone.sends(str(form.get("thing")))
            case "block":
                (phone.unblocks if phone.blocked else phone.blocks)()
        return RedirectResponse("/#end", 303)

    async def no_icon(request: Request) -> Response:
        return Response(status_code=204)

    def file(name: str) -> Route:
        async def give(request: Request) -> Response:
            return FileResponse(FOLDER / name)

        return Route(f"/{name}", give)

    return Starlette(routes=[Route("/", show), Route("/", act, methods=["POST"]), Route("/messages", messages), Route("/favicon.ico", no_icon), file("phone.css"), file("phone.js")])
