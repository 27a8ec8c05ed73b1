"""Coming back: a code from the hand-off opens the same chat on any device, also when the channel it began on is dead."""

from __future__ import annotations

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot.casework.references import read_return_code
from bot.channels.chat_page import keep_chat
from bot.channels.limits import RateLimits
from bot.channels.problems import Problem
from bot.channels.web import address
from bot.conversations.log import ConversationLog
from bot.pages.forms import FormRefused, read_form, refuse_cross_site
from bot.pages.rendering import page
from bot.settings import Settings

# A code has 52 bits: at ten tries in ten minutes from an address nobody guesses one.
MOST_TRIES, WINDOW = 10, 600

EMPTY = "Type the code that you were given. It has 12 letters and numbers."
UNKNOWN = "We do not know this code. Check it and try again. It is under the message that gave you your reference."


def routes(log: ConversationLog, limits: RateLimits, settings: Settings) -> list[Route]:
    """Routes of `/return`."""

    async def show(request: Request) -> Response:
        return page("return.html")

    async def come_back(request: Request) -> Response:
        try:
            refuse_cross_site(request, settings.site)
            typed = (await read_form(request)).get("code", "")[:60]
            await to_thread.run_sync(limits.spend, "return", address(request), MOST_TRIES, WINDOW)
        except (FormRefused, Problem) as refused:
            return page("return.html", refused.status, problem=str(refused))
        if not typed.strip():
            return page("return.html", 422, problem=EMPTY)
        code = read_return_code(typed)
        token = await to_thread.run_sync(log.come_back, code) if code else None
        if token is None:
            return page("return.html", 404, problem=UNKNOWN, typed=typed)
        answer = RedirectResponse("/chat#latest", 303)
        keep_chat(answer, token, settings)
        return answer

    return [Route("/return", show, methods=["GET"]), Route("/return", come_back, methods=["POST"])]
