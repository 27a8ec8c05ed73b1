"""Telegram as a channel that pushes: one part sent once, and what Telegram said of it as an outcome (docs/delivery.md)."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Sequence

import httpx
from anyio import to_thread
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TelegramError

from bot.channels.telegram_pace import Pace
from bot.channels.telegram_text import LIMIT, as_html, buttons, headed, split, units
from bot.conversations.senders import Accepted, Announced, Outcome, Part, Refused, TryAgain, Unknown
from bot.knowledge.answers import Answers
from bot.store.database import Database
from bot.store.telegram import TelegramQuiet

logger = logging.getLogger(__name__)

CHANNEL = "telegram"
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_NEVER = ("chat not found", "user not found", "peer_id_invalid", "user is deactivated")
_TOKEN_PAUSE = 60.0


def chat_of(address: str) -> int:
    """The Telegram chat of a conversation's address: `4711`, or `4711/…` for one that another conversation has taken the place of."""
    return int(address.partition("/")[0])


class TelegramSender:
    """Sends parts to chats.

    Parameters
    ----------
    site: where people read what is not sent to Telegram.
    staff_replies: False sends a notice instead of what staff wrote.
    """

    channel = CHANNEL

    def __init__(self, bot: Bot, database: Database, pace: Pace, answers: Answers, site: str, staff_replies: bool) -> None:
        self._bot, self._database, self._pace, self._answers = bot, database, pace, answers
        self._site, self._staff_replies = site, staff_replies

    def split(self, text: str) -> Sequence[str]:
        """Parts that stay below Telegram's limit with a name and the titles of buttons."""
        return split(text)

    async def send(self, part: Part) -> Outcome:
        """Send one part when its turn comes."""
        if await to_thread.run_sync(self._is_quiet, part):
            return Refused("the parent asked for no more messages on Telegram (/stop)")
        announced = part.author == "staff" and not self._staff_replies
        text, keyboard = self._notice(part) if announced else _shown(part)
        chat = chat_of(part.address)
        try:
            async with self._pace.turn(chat):
                sent = await self._say(chat, text, keyboard)
        except TelegramError as problem:
            outcome = outcome_of(problem)
            if isinstance(problem, RetryAfter):
                self._pace.told_to_wait(chat, seconds_of(problem))
            return outcome
        return Announced(str(sent)) if announced else Accepted(str(sent))

    async def _say(self, chat: int, text: str, keyboard: InlineKeyboardMarkup | None) -> int:
        sent = await self._bot.send_message(
            chat, text, parse_mode=ParseMode.HTML, link_preview_options=NO_PREVIEW, reply_markup=keyboard
        )
        return sent.message_id

    def _is_quiet(self, part: Part) -> bool:
        with self._database.read() as session:
            asked = session.get(TelegramQuiet, part.conversation_id)
            return asked is not None and part.seq > asked.after_seq

    def _notice(self, part: Part) -> tuple[str, None]:
        key = "telegram_reply_waits" if part.reference else "telegram_reply_waits_here"
        return as_html(self._answers.say(key, name=part.name, reference=part.reference or "", site=self._site)), None


def _shown(part: Part) -> tuple[str, InlineKeyboardMarkup | None]:
    """A part as HTML with its buttons, one in a row."""
    text = as_html(part.text)
    if part.author == "staff" and part.part == 0:
        text = headed(part.name, text)
    if not part.choices:
        return text, None
    listed, titles = buttons([choice["title"] for choice in part.choices])
    with_list = f"{text}\n\n{as_html(listed)}" if listed else text
    keyboard = InlineKeyboardMarkup(
        [[InlineKeyboardButton(title, callback_data=choice["id"])] for title, choice in zip(titles, part.choices, strict=True)]
    )
    return with_list if units(with_list) <= LIMIT else text, keyboard


def seconds_of(problem: RetryAfter) -> float:
    """How long Telegram asks us to wait."""
    after = problem.retry_after
    return after.total_seconds() if isinstance(after, timedelta) else float(after)


def outcome_of(problem: TelegramError) -> Outcome:
    """What an error says of a message that was to be sent.

    The Bot API's own refusal (`{"ok": false, …}`) means that it was not taken; so does a connection that never came to be. A time-out
    or a connection that broke after that, or a gateway's answer, leaves open whether it was.
    """
    name = type(problem).__name__
    cause = problem.__cause__
    match problem:
        case RetryAfter():
            return TryAgain(name, seconds_of(problem))
        case Forbidden():
            return Refused(str(problem), unreachable=True)
        case BadRequest():
            return Refused(str(problem), unreachable=any(told in str(problem).lower() for told in _NEVER))
        case ChatMigrated():
            return Refused(str(problem), unreachable=True)
        case InvalidToken():
            logger.error("Telegram does not accept the bot's token")
            return TryAgain(name, _TOKEN_PAUSE)
    if isinstance(cause, _NOT_SENT):
        return TryAgain(type(cause).__name__)
    if cause is None:
        return TryAgain(str(problem)[:200])
    return Unknown(type(cause).__name__)
