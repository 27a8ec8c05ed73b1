"""The app: channels, conversation log, casework, console and custom actions in one Starlette application."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Sequence

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
from actions.speaking import Services, query_words, return_words
from bot.casework.cycle import Mail
from bot.casework.mail import SECURITY, Smtp
from bot.casework.office import Office
from bot.casework.policy import CasePolicy
from bot.casework.queries import QueryCard, QueryDesk
from bot.casework.replies import Replies
from bot.channels import chat_page, guide_pages, return_page, web
from bot.channels.headers import OtherSites, SecurityHeaders
from bot.channels.limits import RateLimits
from bot.channels.problems import Problem
from bot.channels.requests import Requests, SlowBodies
from bot.clock import Clock, new_id
from bot.conversations.engine import RasaEngine
from bot.conversations.erasure import OwnWords
from bot.conversations.listeners import Listeners
from bot.conversations.log import ConversationLog, Waiting
from bot.conversations.masked import MaskedEngine, listed
from bot.conversations.outbound import Outbound
from bot.conversations.standing import Standings
from bot.conversations.senders import Sender
from bot.conversations.turns import Turns
from bot.console.answers import AnswerChanges
from bot.console.promises import PromiseRules
from bot.console.routes import console_routes
from bot.console.sign_in import SECOND_STEP, SignIn
from bot.knowledge.answers import Answers
from bot.knowledge.areas import Area, load_areas
from bot.knowledge.guide_book import Guides
from bot.knowledge.reading import read_yaml
from bot.knowledge.topics import Topic, load_topics
from bot.logs import security_event
from bot.pages.rendering import page
from bot.privacy.masking import Masker
from bot.privacy.retention import Retention
from bot.settings import ROOT, SettingProblem, Settings, variable
from bot.store.database import Database
from bot.store.keys import open_keyring
from bot.widget.routes import routes as widget_routes

if TYPE_CHECKING:
    from bot.channels.telegram import TelegramChannel

logger = logging.getLogger(__name__)

RECOVER_EVERY = 5.0
# a call of the engine holds the recent events of a conversation
LONGEST_CALL = 4 * 1024 * 1024


@dataclass
class Signpost:
    """The parts of the app, put together from the settings."""

    settings: Settings
    clock: Clock
    database: Database
    topics: dict[str, Topic]
    answers: Answers
    areas: dict[str, Area]
    office: Office
    log: ConversationLog
    engine: RasaEngine
    masker: Masker
    listeners: Listeners
    turns: Turns
    guides: Guides
    sign_in: SignIn
    answer_changes: AnswerChanges
    promise_rules: PromiseRules
    own_words: OwnWords
    retention: Retention

    def refresh(self) -> None:
        """Take up what staff have changed meanwhile, in this app or another: approved answers, promises."""
        self.answer_changes.refresh()
        self.promise_rules.refresh()

    async def refreshed(self) -> None:
        """`refresh` for a coroutine."""
        await to_thread.run_sync(self.refresh)

    @property
    def desk(self) -> QueryDesk:
        """The parents' side of the query cycle."""
        return self.office.desk

    @property
    def replies(self) -> Replies:
        """The replies of staff."""
        return self.office.replies

    @classmethod
    def build(cls, settings: Settings, clock: Clock = Clock(), senders: Sequence[Sender] = ()) -> "Signpost":
        """Put the parts together; `senders` are the channels that push. Raises AnswerProblem, AreaProblem, PolicyProblem,
        TableProblem or SettingProblem for what cannot be used."""
        database = Database(settings.database, open_keyring(settings, settings.database))
        areas = dict(load_areas(ROOT / "data" / "areas"))
        answers = Answers.load(ROOT / "data" / "answers")
        topics = dict(load_topics(ROOT / "data" / "topics.yml"))
        owner = f"{socket.gethostname()}:{os.getpid()}:{new_id()[:8]}"
        public_numbers = [number for area in areas.values() for number in area.public_numbers]
        masker = Masker.load(ROOT / "data" / "policy" / "names.yml", public_numbers)
        log = ConversationLog(database, clock, owner, timedelta(seconds=settings.engine_timeout + 10))
        retention = Retention(database, {id: area.kept_days for id, area in areas.items()}, settings.area, clock)
        office = Office.build(
            database,
            clock,
            log,
            areas,
            settings.area,
            answers,
            CasePolicy.load(ROOT / "data" / "policy" / "casework.yml"),
            senders=senders,
            undo=timedelta(seconds=settings.undo_seconds),
            mail=Mail(settings.site) if settings.smtp_host else None,
            post=_post(settings),
            nightly=[retention.nightly],
        )
        engine = RasaEngine(settings.engine, settings.engine_token, settings.engine_timeout)
        listeners = Listeners()

        def masked(kinds: Sequence[str]) -> Outbound:
            given = [answers.say(f"masked_{kind}") for kind in kinds]
            return Outbound(answers.say("masked_notice", kinds=listed(given)), author="system")

        def apology(turn: Waiting, card: QueryCard) -> list[Outbound]:
            area = areas.get(turn.area, areas[settings.area])
            told = [answers.say("engine_down", **query_words(card)), return_words(answers, settings.site, card), area.not_for_emergencies]
            text = "\n\n".join(part for part in told if part)
            return [Outbound(text, outcome="handoff", query_id=card.id)]

        return cls(
            settings=settings,
            clock=clock,
            database=database,
            topics=topics,
            answers=answers,
            areas=areas,
            office=office,
            log=log,
            engine=engine,
            masker=masker,
            listeners=listeners,
            turns=Turns(log, MaskedEngine(engine, masker, log, masked), office.desk, office.reception, listeners, apology),
            guides=Guides.load(ROOT / "data" / "policy", answers),
            sign_in=SignIn(database, clock, _one_of(settings, "second_step", SECOND_STEP), timedelta(minutes=settings.staff_idle_minutes)),
            promise_rules=PromiseRules(database, clock, areas),
            answer_changes=AnswerChanges(database, clock, answers, areas, {id: topic.area for id, topic in topics.items()}, read_yaml(ROOT / "data" / "policy" / "never_say.yml")),
            own_words=OwnWords(database, office.cycle, engine, clock, timedelta(seconds=settings.engine_timeout + 10)),
            retention=retention,
        )

    def services(self) -> Services:
        """What the custom actions are lent."""
        contacts = read_yaml(ROOT / "data" / "policy" / "contacts.yml")
        return Services(
            self.topics, self.answers, self.areas, self.settings.area, self.desk, self.office.reception, self.settings.site, contacts, self.guides
        )


def _one_of(settings: Settings, name: str, known: Sequence[str]) -> str:
    value = getattr(settings, name).lower()
    if value not in known:
        raise SettingProblem(f"{variable(name)} must be one of {', '.join(known)}, not {value!r}")
    return value


def _post(settings: Settings) -> Smtp | None:
    if not settings.smtp_host:
        return None
    if settings.smtp_security not in SECURITY:
        raise SettingProblem(f"SIGNPOST_SMTP_SECURITY must be one of {', '.join(SECURITY)}, not {settings.smtp_security!r}")
    return Smtp(settings.smtp_host, settings.smtp_port, settings.smtp_from, settings.smtp_user, settings.smtp_password, settings.smtp_security)


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
        routes=[
            *web.routes(chat),
            *chat_page.routes(chat, signpost.settings),
            *return_page.routes(signpost.log, limits, signpost.settings),
            *_telegram_routes(telegram, chat, signpost.settings),
            *guide_pages.routes(chat, signpost.settings, signpost.guides, signpost.desk),
            *widget_routes(signpost.settings, signpost.areas, signpost.settings.area),
            *console_routes(signpost, limits),
            Route("/engine/actions", _actions(signpost), methods=["POST"]),
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
        call: dict[str, Any] = {"domain": {}, **await web.json_body(request, longest=LONGEST_CALL)}
        try:
            result = await executor.run(call)
        except ActionExecutionRejection as rejected:
            return JSONResponse({"error": str(rejected), "action_name": rejected.action_name}, 400)
        except ActionNotFoundException as missing:
            return JSONResponse({"error": str(missing), "action_name": missing.action_name}, 404)
        return JSONResponse(result.model_dump() if result else None)

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
