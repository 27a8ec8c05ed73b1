"""What each update of Telegram means for a conversation. Every update is handled once, and what it says is committed with that."""

from __future__ import annotations

import asyncio
import logging
from typing import Callable

from anyio import to_thread
from sqlalchemy import select
from telegram import Bot, CallbackQuery, ChatMember, InlineKeyboardButton, InlineKeyboardMarkup, Message, Update
from telegram.constants import ChatAction, ParseMode
from telegram.error import TelegramError

from bot.channels.telegram_chats import Chats, Services
from bot.channels.telegram_commands import Commands
from bot.channels.telegram_links import Links, of_chat
from bot.channels.telegram_pace import Pace
from bot.channels.telegram_said import Command, command_in, thing_in
from bot.channels.telegram_sender import NO_PREVIEW
from bot.channels.telegram_text import LIMIT, as_html, units
from bot.channels.telegram_updates import Stored, Updates
from bot.conversations import offered
from bot.conversations.log import UnknownChoice
from bot.conversations.outbound import Outbound
from bot.store.tables import Conversation

logger = logging.getLogger(__name__)

TURNS_AT_ONCE = 32
TYPING_AFTER = 0.6
TYPING_EVERY = 4.5
# In front of a one-use code in a button that asks to delete; ids of choices never hold a colon.
DELETE, KEEP = "delete:", "keep:"


class Intake:
    """Handles updates.

    Parameters
    ----------
    wake: called when there may be something to send.
    """

    def __init__(self, bot: Bot, services: Services, updates: Updates, links: Links, pace: Pace, wake: Callable[[], None]) -> None:
        self._bot, self._updates, self._pace, self._wake = bot, updates, pace, wake
        self._database, self._log, self._turns = services.database, services.log, services.turns
        self._answers, self._deliveries = services.answers, services.office.deliveries
        self._chats = Chats(services, updates)
        self._commands = Commands(services, self._chats, updates, links)
        self._at_once = asyncio.Semaphore(TURNS_AT_ONCE)
        self._tasks: set[asyncio.Task] = set()

    async def handle(self, stored: Stored) -> None:
        """Handle a stored update. Raises whatever went wrong; then it may be handled again."""
        update = Update.de_json(dict(stored.body), self._bot)
        if update.callback_query is not None:
            await self._pressed(stored, update.callback_query)
        elif update.message is not None:
            await self._written(stored, update.message)
        elif update.edited_message is not None:
            await self._edited(stored, update.edited_message)
        elif update.my_chat_member is not None:
            await to_thread.run_sync(self._membership, stored, update.my_chat_member.new_chat_member.status)
        await to_thread.run_sync(self._done, stored)
        self._wake()

    async def give_up(self, stored: Stored) -> None:
        """Tell the parent that an update could not be handled."""
        await to_thread.run_sync(self._chats.say, None, stored.chat_id, [self._chats.words("telegram_trouble")])
        self._wake()

    async def settle(self) -> None:
        """Stop what goes on in the background; unfinished turns are taken up again from the log."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, stored: Stored) -> None:
        with self._database.write() as session:
            self._updates.handled(session, stored.update_id)

    # words

    async def _written(self, stored: Stored, message: Message) -> None:
        command = command_in(message)
        if command is not None:
            await self._commanded(stored, command)
        elif message.text:
            await self._takes(stored, message.text)
        elif (thing := thing_in(message)) is not None:
            await self._sent(stored, message, thing)

    async def _takes(self, stored: Stored, text: str, mark: str = "") -> None:
        """Put words on disk and start their turn."""
        id = await to_thread.run_sync(self._chats.conversation, stored.chat_id)
        await self._accept(stored, id, text, None, mark)

    async def _accept(
        self, stored: Stored, conversation_id: str, text: str, choice: str | None, mark: str = "", pressed: int | None = None
    ) -> None:
        accepted = await to_thread.run_sync(self._log.accept, conversation_id, f"telegram-{stored.update_id}{mark}", text, choice)
        if not accepted.repeated:
            self._in_background(self._take_down_buttons(stored.chat_id, conversation_id, accepted.seq, pressed))
        if not accepted.done:
            self._in_background(self._turn(stored.chat_id, conversation_id, accepted.message_id))

    def _in_background(self, work) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _turn(self, chat_id: int, conversation_id: str, message_id: str) -> None:
        """Take a turn, few at once so that a crowd does not make the engine look slow, and show that it is being worked on."""
        async with self._at_once:
            turn = self._turns.begin(conversation_id, message_id)
            typing = asyncio.create_task(self._typing(chat_id))
            try:
                await asyncio.wait({turn})
            finally:
                typing.cancel()
        self._wake()

    async def _typing(self, chat_id: int) -> None:
        await asyncio.sleep(TYPING_AFTER)
        while True:
            if self._pace.room() > TURNS_AT_ONCE // 4:
                await self._quietly(self._bot.send_chat_action(chat_id, ChatAction.TYPING))
            await asyncio.sleep(TYPING_EVERY)

    async def _edited(self, stored: Stored, message: Message) -> None:
        # An edit that is not of words is a place that moves, or a picture: said when it was sent.
        if message.text:
            await to_thread.run_sync(self._chats.notice, stored, [], self._chats.words("telegram_edited"))

    async def _sent(self, stored: Stored, message: Message, thing: str) -> None:
        """Something that we do not open. Words that came with it are read."""
        what = self._answers.say(f"telegram_a_{thing}")
        sent = Outbound(self._answers.say("telegram_was_sent", what=what), author="parent", name="")
        if message.caption:
            await self._takes(stored, message.caption)
            notice = self._chats.words("telegram_only_words_with", what=what)
        elif thing == "sticker":
            notice = self._chats.words("telegram_only_words_sticker")
        else:
            notice = self._chats.words("telegram_only_words", what=what)
        await to_thread.run_sync(self._chats.notice, stored, [sent], notice)

    # commands

    async def _commanded(self, stored: Stored, command: Command) -> None:
        if command.name == "start":
            await to_thread.run_sync(self._commands.start, stored, command.rest)
            return
        # Words behind a command are words: nothing that was typed is lost.
        if command.rest and command.name != "status":
            await self._takes(stored, command.rest, mark="-words")
        match command.name:
            case "person":
                await self._takes(stored, self._answers.say("telegram_ask_person"))
            case "status":
                await to_thread.run_sync(self._commands.status, stored, command.rest)
            case "help":
                await to_thread.run_sync(self._chats.say, stored, stored.chat_id, [self._commands.help()])
            case "privacy":
                await to_thread.run_sync(self._commands.privacy, stored)
            case "delete":
                await self._ask_to_delete(stored)
            case "stop":
                await to_thread.run_sync(self._commands.stop, stored)
            case _ if not command.rest:
                unknown = f"{self._answers.say('telegram_unknown_command')}\n\n{self._commands.help().text}"
                await to_thread.run_sync(self._chats.say, stored, stored.chat_id, [Outbound(unknown, author="system")])

    # deleting

    async def _ask_to_delete(self, stored: Stored) -> None:
        """Ask first. The question is not written into the conversation that it is about."""
        asked = await to_thread.run_sync(self._commands.deletion, stored.chat_id)
        if asked is None:
            await self._tell(stored.chat_id, self._chats.site_words("telegram_nothing_to_delete"))
            return
        text, code = asked
        rows = [[InlineKeyboardButton(self._answers.say(f"telegram_delete_{key}"), callback_data=f"{data}{code}")] for key, data in (("yes", DELETE), ("no", KEEP))]
        await self._tell(stored.chat_id, text, InlineKeyboardMarkup(rows))


    async def _delete_pressed(self, stored: Stored, query: CallbackQuery) -> None:
        chat_id = stored.chat_id
        verb, _, code = query.data.partition(":")
        done = await to_thread.run_sync(self._commands.delete, code, stored, f"{verb}:" == DELETE)
        await self._quietly(query.answer())
        if done is None:
            await self._tell(chat_id, self._chats.site_words("telegram_button_unknown"))
        else:
            await self._tell(chat_id, self._chats.site_words("telegram_deleted" if done else "telegram_kept"))
        await self._quietly(self._bot.edit_message_reply_markup(chat_id, query.message.message_id, reply_markup=None))


    async def _tell(self, chat_id: int, text: str, keyboard: InlineKeyboardMarkup | None = None) -> None:
        """Say something that is not part of a conversation. Raises TelegramError, so that the update is handled again."""
        async with self._pace.turn(chat_id):
            await self._bot.send_message(chat_id, as_html(text), parse_mode=ParseMode.HTML, link_preview_options=NO_PREVIEW, reply_markup=keyboard)

    # buttons

    async def _pressed(self, stored: Stored, query: CallbackQuery) -> None:
        chat_id, data = stored.chat_id, query.data or ""
        if data.startswith((DELETE, KEEP)):
            await self._delete_pressed(stored, query)
            return
        button = await to_thread.run_sync(self._offered, chat_id, data, f"telegram-{stored.update_id}")
        if button is None or button.settled:
            await self._quietly(query.answer(self._answers.say("telegram_button_unknown" if button is None else "telegram_button_old"), show_alert=True))
            await self._paced(self._bot.edit_message_reply_markup, chat_id, query.message.message_id, reply_markup=None)
            return
        await self._quietly(query.answer())
        await to_thread.run_sync(self._chats.conversation, chat_id)
        try:
            await self._accept(stored, button.conversation_id, "", data, pressed=query.message.message_id)
        except UnknownChoice:
            return
        self._in_background(self._show_choice(query, button.title))

    def _offered(self, chat_id: int, choice_id: str, client_id: str) -> offered.Button | None:
        with self._database.read() as session:
            return offered.find(session, choice_id, of_chat(chat_id), client_id)

    async def _show_choice(self, query: CallbackQuery, title: str) -> None:
        """Take the buttons away and leave what was chosen."""
        message = query.message
        chosen = f"<b>{as_html(self._answers.say('telegram_chosen', title=title))}</b>"
        if isinstance(message, Message) and message.text and units(message.text) + units(chosen) + 2 <= LIMIT:
            text = f"{message.text_html}\n\n{chosen}"
            await self._paced(
                self._bot.edit_message_text, text, message.chat.id, message.message_id, parse_mode=ParseMode.HTML, link_preview_options=NO_PREVIEW
            )
        else:
            await self._paced(self._bot.edit_message_reply_markup, message.chat.id, message.message_id, reply_markup=None)

    async def _take_down_buttons(self, chat_id: int, conversation_id: str, seq: int, pressed: int | None) -> None:
        """Buttons of the bot hold until the parent says anything: those above message number `seq` go, but for the one that was pressed."""
        for message_id in set(await to_thread.run_sync(self._standing, conversation_id, seq)) - {pressed}:
            await self._paced(self._bot.edit_message_reply_markup, chat_id, message_id, reply_markup=None)

    def _standing(self, conversation_id: str, seq: int) -> list[int]:
        with self._database.read() as session:
            return offered.standing(session, conversation_id, seq)

    async def _paced(self, call, *given, **named) -> None:
        async with self._pace.turn():
            await self._quietly(call(*given, **named))

    @staticmethod
    async def _quietly(call) -> None:
        """For what only looks nice: that it did not work is not worth a second try."""
        try:
            await call
        except TelegramError as problem:
            logger.info("Telegram: %s", type(problem).__name__)

    # blocked and back

    def _membership(self, stored: Stored, status: str) -> None:
        with self._database.read() as session:
            ids = list(session.scalars(select(Conversation.id).where(of_chat(stored.chat_id))))
        for id in ids:
            if status in (ChatMember.BANNED, ChatMember.LEFT):
                self._deliveries.gone(id, "the parent blocked the bot")
            else:
                self._chats.back(id)
