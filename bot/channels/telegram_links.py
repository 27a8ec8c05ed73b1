"""Which conversation a Telegram chat is: its own, or one carried on from the web by a one-use link."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from bot.channels.telegram_sender import CHANNEL
from bot.clock import Clock, new_secret
from bot.conversations.log import token_hash
from bot.store.cycle import Delivery
from bot.store.database import Database
from bot.store.tables import Conversation, Message
from bot.store.telegram import TelegramCode

LINK_LASTS = timedelta(hours=1)
MOST_BEFORE = 50


class Links:
    """One-use codes, and conversations moved to a chat."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def new_code(self, conversation_id: str, purpose: str = "carry_on") -> str:
        """A code of 43 characters (A-Z, a-z, 0-9, _ and -, as `?start=` takes them) that holds for LINK_LASTS."""
        code = new_secret()
        expires_at = self._clock.now() + LINK_LASTS
        with self._database.write() as session:
            session.add(TelegramCode(code_hash=token_hash(code), purpose=purpose, conversation_id=conversation_id, expires_at=expires_at))
        return code

    def use(self, session: Session, code: str, purpose: str, update_id: int) -> str | None:
        """The conversation of a code, which is used up by an update; nothing if there is none, it is too old, or was used before."""
        known = session.get(TelegramCode, token_hash(code), with_for_update=True)
        if known is None or known.purpose != purpose or known.used_in not in (None, update_id):
            return None
        if known.used_in is None and known.expires_at < self._clock.now():
            return None
        known.used_in = update_id
        return known.conversation_id

    def carry_on(self, session: Session, conversation_id: str, chat_id: int) -> None:
        """From now on the conversation is that chat's, within a session.

        What was said since the parent last wrote is sent there, so that they see where they were. A conversation that the chat had before
        keeps its address with a mark, so that what is still owed to it arrives.
        """
        conversation = session.get_one(Conversation, conversation_id, with_for_update=True)
        if (conversation.channel, conversation.external_id) == (CHANNEL, str(chat_id)):
            return
        before = session.scalar(select(Conversation).where(Conversation.channel == CHANNEL, Conversation.external_id == str(chat_id)))
        if before is not None:
            taken = set(session.scalars(select(Conversation.external_id).where(of_chat(chat_id))))
            before.external_id = next((mark for mark in _marks(chat_id) if mark not in taken), None)
            session.flush()
        conversation.channel, conversation.external_id, conversation.unreachable_since = CHANNEL, str(chat_id), None
        unread = (Delivery.conversation_id == conversation_id, Delivery.channel != CHANNEL, Delivery.state == "waiting")
        first_unread = session.scalar(select(func.min(Delivery.seq)).where(*unread))
        session.execute(delete(Delivery).where(*unread).execution_options(synchronize_session=False))
        written = select(func.max(Message.seq)).where(Message.conversation_id == conversation_id, Message.author == "parent")
        seen = session.scalar(written) or 0
        conversation.dispatched_seq = min(seen, first_unread - 1) if first_unread else seen
        session.flush()


def of_chat(chat_id: int):
    """The condition under which a conversation is, or was, that chat's."""
    return (Conversation.channel == CHANNEL) & Conversation.external_id.in_([str(chat_id), *_marks(chat_id)])


def _marks(chat_id: int) -> list[str]:
    """Addresses of the conversations that a chat had before: counted, because an encrypted column is only found by what it equals."""
    return [f"{chat_id}/{number}" for number in range(1, MOST_BEFORE + 1)]
