"""The app: channels, conversation log, casework, console and custom actions in one Starlette application."""

from __future__ import annotations

import asyncio
import hmac
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
from anyio import to_thread
from rasa_sdk.executor import ActionExecutor
from rasa_sdk.interfaces import ActionExecutionRejection, ActionNotFoundException
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from actions import all_actions
from bot.channels import chat_page, guide_pages, return_page, web
from bot.channels.headers import OtherSites, SecurityHeaders
from bot.channels.limits import RateLimits
from bot.channels.problems import Problem
from bot.channels.requests import QuickJSON, Requests, SlowBodies
from bot.clock import Clock
from bot.console.routes import console_routes
from bot.conversations.standing import Standings
from bot.logs import security_event
from bot.pages.rendering import page
from bot.parts import Signpost
from bot.settings import ROOT, Settings
from bot.widget.routes import routes as widget_routes

if TYPE_CHECKING:
    from bot.channels.telegram import TelegramChannel

logger = logging.getLogger(__name__)

RECOVER_EVERY = 5.0
# a call of the engine holds the recent events of a conversation
LONGEST_CALL = 4 * 1024 * 1024


def create_app(settings: Settings | None = None, clock: Clock = Clock()) -> Starlette:
    """The application for an ASGI server."""
    signpost = Signpost.build(settings or Settings.from_environment(), clock)
    limits = RateLimits(signpost.database, clock, signpost.settings.limits_on)
    chat = web.WebChat(
        log=signpost.log,
        turns=signpost.turns,
        listeners=signpost.listeners,
        standings=Standings(signpost.database, clock),
        limits=limits,
        answers=signpost.answers,
        areas=signpost.areas,
        default_area=signpost.settings.area,
        reply_wait=signpost.settings.reply_wait,
        own_words=signpost.own_words,
        telegram=bool(signpost.settings.telegram_token),
    )

    telegram = _telegram(signpost)

    @asynccontextmanager
    async def lifespan(app: Starlette):
        await to_thread.run_sync(signpost.desk.check)
        await to_thread.run_sync(signpost.refresh)
        await signpost.turns.recover(including_fresh=signpost.database.is_sqlite)
        sweeper = asyncio.create_task(_tend_for_ever(signpost))
        if telegram is not None:
            await telegram.start()
        yield
        sweeper.cancel()
        if telegram is not None:
            await telegram.stop()
        await signpost.turns.settle()
        await signpost.engine.close()
        signpost.database.close()

    async def healthz(request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def readyz(request: Request) -> Response:
        ready = await signpost.engine.is_ready()
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    app = Starlette(
        # looked through from the first: what every turn asks for stands there
        routes=[
            Route("/engine/actions", _actions(signpost), methods=["POST"]),
            *web.routes(chat),
            *chat_page.routes(chat, signpost.settings),
            *return_page.routes(signpost.log, limits, signpost.settings),
            *_telegram_routes(telegram, chat, signpost.settings),
            *guide_pages.routes(chat, signpost.settings, signpost.guides, signpost.desk),
            *widget_routes(signpost.settings, signpost.areas, signpost.settings.area),
            *console_routes(signpost, limits),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Mount("/static", StaticFiles(directory=ROOT / "bot" / "static"), name="static"),
        ],
        middleware=[
            Middleware(Requests),
            Middleware(SecurityHeaders, embedders=signpost.settings.embedders, https=signpost.settings.secure_cookies == "on"),
            Middleware(OtherSites, embedders=signpost.settings.embedders),
            Middleware(SlowBodies),
        ],
        exception_handlers={Problem: _problem, HTTPException: _http_problem, Exception: _fault},
        lifespan=lifespan,
    )
    app.state.signpost = signpost
    return app


def _telegram(signpost: Signpost) -> TelegramChannel | None:
    """The channel, where a token is set. Its library is loaded only then."""
    if not signpost.settings.telegram_token:
        return None
    from bot.channels.telegram import TelegramChannel
    from bot.channels.telegram_chats import Services as TelegramServices

    lent = TelegramServices(
        database=signpost.database,
        log=signpost.log,
        turns=signpost.turns,
        office=signpost.office,
        answers=signpost.answers,
        areas=signpost.areas,
        default_area=signpost.settings.area,
        site=signpost.settings.site,
    )
    return TelegramChannel(signpost.settings, signpost.clock, lent)


def _telegram_routes(telegram: TelegramChannel | None, chat: web.WebChat, settings: Settings) -> list[Route]:
    if telegram is None:
        return []
    from bot.channels import telegram_page

    return telegram_page.routes(telegram, chat, settings)


async def _tend_for_ever(signpost: Signpost) -> None:
    """Unfinished turns of a dead app are taken, the engine forgets what was deleted, and what staff changed elsewhere is taken up."""
    while True:
        await asyncio.sleep(RECOVER_EVERY)
        for tend in (signpost.turns.recover, signpost.own_words.forget, signpost.refreshed):
            try:
                await tend()
            except Exception:
                logger.exception("%s failed; it is tried again", tend.__qualname__)


def _actions(signpost: Signpost):
    """The route that runs Rasa's custom actions; only the engine knows its token."""
    executor = ActionExecutor()
    for action in all_actions(signpost.services()):
        executor.register_action(action)
    expected = f"Bearer {signpost.settings.engine_token}"

    async def run(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not signpost.settings.engine_token or not hmac.compare_digest(given.encode(), expected.encode()):
            security_event("engine_address_refused")
            return Problem(403, "forbidden", "This address is for the engine only.").response()
        # Rasa 3.6 leaves the domain out (selective domain), which no action of ours reads; rasa-sdk wants the key.
        call: dict[str, Any] = {"domain": {}, **await web.json_body(request, longest=LONGEST_CALL, loads=orjson.loads)}
        try:
            result = await executor.run(call)
        except ActionExecutionRejection as rejected:
            return QuickJSON({"error": str(rejected), "action_name": rejected.action_name}, 400)
        except ActionNotFoundException as missing:
            return JSONResponse({"error": str(missing), "action_name": missing.action_name}, 404)
        return QuickJSON(result.model_dump() if result else None)

    return run


def _told(request: Request, problem: Problem) -> Response:
    """A problem as a page for people, as JSON for programs."""
    if "text/html" in request.headers.get("accept", ""):
        return page("problem.html", problem.status, message=problem.message, back="/")
    return problem.response()


async def _problem(request: Request, problem: Problem) -> Response:
    return _told(request, problem)


async def _http_problem(request: Request, problem: HTTPException) -> Response:
    told = {404: "There is nothing at this address.", 405: "This address does not take that kind of request."}
    message = told.get(problem.status_code, problem.detail)
    return _told(request, Problem(problem.status_code, f"http_{problem.status_code}", message, dict(problem.headers or {})))


async def _fault(request: Request, fault: Exception) -> Response:
    logger.exception("a request failed: %s %s", request.method, request.url.path)
    return _told(request, Problem(500, "fault", "Something went wrong on our side. What you wrote before is safe. Please try again."))
