"""Telegram in the app: updates by polling or by webhook, what is said sent at Telegram's pace, one app at a time doing either.

Both promises hold as on the web. An update is on disk before Telegram is told that we have it; a message is on disk before it is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import warnings
from contextlib import suppress
from typing import Any, Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

os.environ.setdefault("PTB_TIMEDELTA", "true")

from telegram import Bot, BotCommand  # noqa: E402 - reads the variable above
from telegram.error import Conflict, InvalidToken, TelegramError  # noqa: E402
from telegram.helpers import create_deep_linked_url  # noqa: E402
from telegram.request import HTTPXRequest  # noqa: E402
from telegram.warnings import PTBUserWarning  # noqa: E402

from bot.channels.problems import BAD_JSON, TOO_LARGE, Problem  # noqa: E402
from bot.channels.telegram_chats import Services  # noqa: E402
from bot.channels.telegram_commands import COMMANDS  # noqa: E402
from bot.channels.telegram_intake import Intake  # noqa: E402
from bot.channels.telegram_links import Links  # noqa: E402
from bot.channels.telegram_pace import Pace  # noqa: E402
from bot.channels.telegram_sender import TelegramSender, seconds_of  # noqa: E402
from bot.channels.telegram_updates import KINDS, Updates, chat_in, is_number  # noqa: E402
from bot.clock import Clock  # noqa: E402
from bot.logs import keep_out  # noqa: E402
from bot.settings import SettingProblem, Settings  # noqa: E402
from bot.store.leases import Leases  # noqa: E402

logger = logging.getLogger(__name__)

# The updates are wanted as they came, so that one that this version of the library cannot read does not hold up the others.
warnings.filterwarnings("ignore", message="Please use 'Bot.getUpdates'", category=PTBUserWarning)

LEASE = "telegram"
PATH = "/webhooks/telegram"
PORTS = (443, 80, 88, 8443)
LONGEST_BODY = 256 * 1024
LONGEST_POLL = 25
RENEW_EVERY = 5.0
LOOK_EVERY = 0.5
TIDY_EVERY = 5.0
PRUNE_EVERY = 720  # of TIDY_EVERY: once an hour
IN_FLIGHT = 32
CONNECTIONS = 64
CALLS_AT_ONCE = 20
_TIMEOUT = 15.0
UNREACHABLE = Problem(503, "telegram_away", "Telegram cannot be reached just now. Please try again later, or carry on here.")


def check(settings: Settings) -> None:
    """Raise SettingProblem for settings of Telegram that cannot be used."""
    if settings.telegram_mode not in ("polling", "webhook"):
        raise SettingProblem(f"SIGNPOST_TELEGRAM_MODE must be polling or webhook, not {settings.telegram_mode!r}")
    if settings.telegram_staff_replies not in ("on", "off"):
        raise SettingProblem(f"SIGNPOST_TELEGRAM_STAFF_REPLIES must be on or off, not {settings.telegram_staff_replies!r}")
    if settings.telegram_mode == "polling":
        return
    site = urlsplit(settings.site)
    if site.scheme != "https" or (site.port or 443) not in PORTS:
        raise SettingProblem(f"SIGNPOST_PUBLIC_URL must be an https address on port 443, 80, 88 or 8443 for Telegram's webhook, not {settings.site!r}")
    if not settings.telegram_dpia.strip():
        raise SettingProblem("SIGNPOST_TELEGRAM_DPIA must name your data protection impact assessment of Telegram before its webhook is used (docs/telegram.md)")


def make_bot(settings: Settings) -> Bot:
    """The bot of the settings. Its token is kept out of every log from here on."""
    keep_out(settings.telegram_token)
    # At INFO httpx writes every address it calls, which holds the token.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    base = settings.telegram_api_url.rstrip("/")
    loopback = urlsplit(base).hostname in ("127.0.0.1", "localhost", "::1")

    def request() -> HTTPXRequest:
        return HTTPXRequest(
            connection_pool_size=CONNECTIONS,
            read_timeout=_TIMEOUT,
            write_timeout=_TIMEOUT,
            connect_timeout=_TIMEOUT,
            pool_timeout=_TIMEOUT,
            httpx_kwargs={"trust_env": not loopback},
        )

    return Bot(settings.telegram_token, base_url=f"{base}/bot", base_file_url=f"{base}/file/bot", request=request(), get_updates_request=request())


class TelegramChannel:
    """The channel as the app starts and stops it: it hands this app's deliveries their sender. Raises SettingProblem."""

    def __init__(self, settings: Settings, clock: Clock, services: Services) -> None:
        check(settings)
        bot, pace = make_bot(settings), Pace()
        self._settings, self._bot, self._pace, self._services = settings, bot, pace, services
        database, owner = services.database, services.log.owner
        self._deliveries = services.office.deliveries
        self._deliveries.add(TelegramSender(bot, database, pace, services.answers, services.site, settings.telegram_staff_replies == "on"))
        self._alone = database.is_sqlite
        self._updates, self._links = Updates(database, clock, owner), Links(database, clock)
        self._leases = Leases(database, clock, owner, alone=self._alone)
        self._wake = asyncio.Event()
        self.intake = Intake(bot, services, self._updates, self._links, pace, self._wake.set)
        self._chats: dict[int, asyncio.Task] = {}
        self._tasks: list[asyncio.Task] = []
        self._sending: set[asyncio.Task] = set()
        self._username = ""

    @property
    def site(self) -> str:
        """Base address that people see."""
        return self._settings.site

    @property
    def secret(self) -> str:
        """What Telegram must say with each call of the webhook: the same in every app that has the token, and no way back to it."""
        return hmac.new(self._settings.telegram_token.encode(), b"signpost webhook", hashlib.sha256).hexdigest()

    # life

    async def start(self) -> None:
        """Take up what was left behind, then work until `stop`."""
        for chat in await to_thread.run_sync(self._updates.left_behind, self._alone):
            self._work_on(chat)
        self._tasks = [asyncio.create_task(self._for_ever(work)) for work in (self._lead, self._tidy)]

    async def stop(self) -> None:
        """Stop; what is unfinished stays on disk, and another app may take over at once."""
        for task in [*self._tasks, *self._chats.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._chats.values(), return_exceptions=True)
        # What is on its way is waited for: cut off, nobody would know whether it arrived.
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self.intake.settle()
        with suppress(Exception):
            await to_thread.run_sync(self._leases.give_back, LEASE)
        await self._bot.shutdown()

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception as fault:
                logger.exception("Telegram: %s; it is tried again", type(fault).__name__)
                await asyncio.sleep(RENEW_EVERY)

    async def _lead(self) -> None:
        """While this app has the lease, it receives (by polling) and sends."""
        doing: list[asyncio.Task] = []
        try:
            while True:
                mine = await to_thread.run_sync(self._leases.take, LEASE)
                if mine and not doing:
                    doing = [asyncio.create_task(self._for_ever(work)) for work in (self._receive, self._send)]
                elif not mine and doing:
                    await _end(doing)
                    doing = []
                await asyncio.sleep(RENEW_EVERY)
        finally:
            await _end(doing)

    async def _tidy(self) -> None:
        """Take up what failed or what a dead app left; forget what is old."""
        rounds = 0
        while True:
            await asyncio.sleep(TIDY_EVERY)
            for chat in await to_thread.run_sync(self._updates.left_behind):
                self._work_on(chat)
            if rounds % PRUNE_EVERY == 0:
                await to_thread.run_sync(self._updates.prune)
            rounds += 1

    # receiving

    async def receive(self, bodies: list[Mapping[str, Any]]) -> None:
        """Put updates on disk and start handling them; committed when this returns."""
        wanted = []
        for body in bodies:
            chat = chat_in(body)
            if chat is None:
                continue
            if chat.get("type") == "private":
                wanted.append(body)
            elif "left" not in str(body.get("my_chat_member", "")):
                asyncio.create_task(self._leave(chat["id"]))
        if wanted:
            for chat_id in await to_thread.run_sync(self._updates.keep, wanted):
                self._work_on(chat_id)

    async def _leave(self, chat_id: int) -> None:
        with suppress(TelegramError):
            await self._bot.leave_chat(chat_id)

    def _work_on(self, chat_id: int) -> None:
        """Handle a chat's updates one after the other."""
        before = self._chats.get(chat_id)
        task = asyncio.create_task(self._handle_all(chat_id, before))
        self._chats[chat_id] = task
        task.add_done_callback(lambda done: self._chats.pop(chat_id) if self._chats.get(chat_id) is done else None)

    async def _handle_all(self, chat_id: int, before: asyncio.Task | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        after = -1
        while (stored := await to_thread.run_sync(self._updates.next_of, chat_id, after)) is not None:
            after = stored.update_id
            try:
                await self.intake.handle(stored)
            except Exception as fault:
                logger.error("update %s could not be handled: %s", stored.update_id, type(fault).__name__, exc_info=not isinstance(fault, TelegramError))
                if await to_thread.run_sync(self._updates.failed, stored.update_id):
                    logger.critical("update %s was set aside", stored.update_id)
                    await self.intake.give_up(stored)

    async def _receive(self) -> None:
        """Say who we are, then poll, or have Telegram call the webhook."""
        await self._introduce()
        if self._settings.telegram_mode == "webhook":
            await asyncio.Event().wait()
        offset: int | None = None
        while True:
            asked = {"offset": offset, "timeout": LONGEST_POLL, "allowed_updates": list(KINDS)}
            try:
                got = await self._bot.do_api_request("getUpdates", api_kwargs=asked, read_timeout=LONGEST_POLL + _TIMEOUT)
            except Conflict:
                logger.error("another program reads this bot's messages, or a webhook is set; only one can. It is tried again in %s s", TIDY_EVERY)
                await asyncio.sleep(TIDY_EVERY)
                continue
            except TelegramError as problem:
                await self._rest(problem)
                continue
            await self.receive(got)
            offset = max((update["update_id"] for update in got), default=-1) + 1 or offset

    async def _introduce(self) -> None:
        """Name, commands, and how updates come; tried until Telegram can be reached."""
        while True:
            try:
                await self._named()
                say = self._services.answers.say
                await self._bot.set_my_commands([BotCommand(name, say(f"telegram_command_{name}")) for name in COMMANDS])
                if self._settings.telegram_mode == "webhook":
                    address = f"{self._settings.site}{PATH}"
                    await self._bot.set_webhook(address, secret_token=self.secret, allowed_updates=list(KINDS), max_connections=CALLS_AT_ONCE)
                else:
                    await self._bot.delete_webhook()
                return
            except TelegramError as problem:
                await self._rest(problem)

    async def _rest(self, problem: TelegramError) -> None:
        if isinstance(problem, InvalidToken):
            logger.error("Telegram does not accept SIGNPOST_TELEGRAM_TOKEN; it is tried again in a minute")
        else:
            logger.warning("Telegram cannot be reached (%s); it is tried again", type(problem).__name__)
        waits = 60.0 if isinstance(problem, InvalidToken) else seconds_of(problem) if hasattr(problem, "retry_after") else RENEW_EVERY
        await asyncio.sleep(waits)

    async def _named(self) -> str:
        if not self._username:
            self._username = (await self._bot.get_me()).username or ""
        return self._username

    async def link(self, conversation_id: str) -> str:
        """A one-use address at which a web conversation is carried on in Telegram. Raises Problem."""
        try:
            username = await self._named()
        except TelegramError:
            raise UNREACHABLE from None
        code = await to_thread.run_sync(self._links.new_code, conversation_id)
        return create_deep_linked_url(username, code)

    # sending

    async def _send(self) -> None:
        """Send what waits, as fast as Telegram takes it."""
        rounds = 0
        while True:
            if rounds % 20 == 0:
                await to_thread.run_sync(self._deliveries.expire)
            rounds += 1
            self._wake.clear()
            made = await to_thread.run_sync(self._deliveries.dispatch_waiting)
            room = min(IN_FLIGHT - len(self._sending), self._pace.room())
            parts = await to_thread.run_sync(self._deliveries.claim, room) if room > 0 else []
            for part in parts:
                task = asyncio.create_task(self._send_one(part))
                self._sending.add(task)
                task.add_done_callback(self._sent)
            if not made and not parts:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), LOOK_EVERY)

    def _sent(self, task: asyncio.Task) -> None:
        self._sending.discard(task)
        self._wake.set()

    async def _send_one(self, part) -> None:
        outcome = await self._deliveries.send(part)
        try:
            await to_thread.run_sync(self._deliveries.settle, part.delivery_id, outcome)
        except Exception:
            logger.exception("a part was sent but what became of it could not be written down")

    # the webhook

    def routes(self) -> list[Route]:
        """The address that Telegram calls, in webhook mode only."""
        return [Route(PATH, self._called, methods=["POST"])] if self._settings.telegram_mode == "webhook" else []

    async def _called(self, request: Request) -> Response:
        given = request.headers.get("x-telegram-bot-api-secret-token", "")
        if not hmac.compare_digest(given.encode(), self.secret.encode()):
            raise Problem(403, "forbidden", "This address is for Telegram only.")
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > LONGEST_BODY:
                raise TOO_LARGE
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            raise BAD_JSON from None
        if not isinstance(body, dict) or not is_number(body.get("update_id")) or body["update_id"] < 0:
            raise BAD_JSON
        await self.receive([body])
        return JSONResponse({})


async def _end(tasks: list[asyncio.Task]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
