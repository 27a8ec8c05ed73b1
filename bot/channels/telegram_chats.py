"""A chat's conversation: found or begun, and what is said in it, once for each update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.casework.office import Office
from bot.channels.telegram_sender import CHANNEL
from bot.channels.telegram_updates import Stored, Updates
from bot.conversations.log import ConversationLog
from bot.conversations.outbound import Outbound
from bot.conversations.turns import Turns
from bot.knowledge.answers import Answers
from bot.knowledge.areas import Area
from bot.store.cycle import Delivery
from bot.store.database import Database
from bot.store.tables import Conversation, Message
from bot.store.telegram import TelegramQuiet


@dataclass(frozen=True)
class Services:
    """What the channel uses of the app."""

    database: Database
    log: ConversationLog
    turns: Turns
    office: Office
    answers: Answers
    areas: dict[str, Area]
    default_area: str
    site: str

    def area(self, id: str) -> Area:
        """The area of that id, or the configured one."""
        return self.areas.get(id, self.areas[self.default_area])


class Chats:
    """Conversations by chat."""

    def __init__(self, services: Services, updates: Updates) -> None:
        self._services, self._updates = services, updates
        self._database, self._log, self._answers = services.database, services.log, services.answers

    def conversation(self, chat_id: int, area: str = "") -> str:
        """The chat's conversation, begun with the welcome if it is new; without an area a guide asks for it.

        Who writes can be reached, and wants to be.
        """
        id = self._log.for_address(CHANNEL, str(chat_id), area, "parent", [self.welcome(area)])
        with self._database.read() as session:
            gone = session.get_one(Conversation, id).unreachable_since is not None
            is_quiet = session.get(TelegramQuiet, id) is not None
        if gone or is_quiet:
            self.back(id)
        return id

    def back(self, conversation_id: str) -> None:
        """The parent can be written to again: what staff wrote meanwhile and could not be sent is sent now."""
        missed = (
            select(Delivery.id)
            .join(Message, Message.id == Delivery.message_id)
            .where(Delivery.conversation_id == conversation_id, Delivery.channel == CHANNEL, Delivery.state == "refused", Message.author == "staff")
        )
        with self._database.write() as session:
            session.get_one(Conversation, conversation_id).unreachable_since = None
            if (asked := session.get(TelegramQuiet, conversation_id)) is not None:
                session.delete(asked)
            for id in session.scalars(missed.order_by(Delivery.seq, Delivery.part)).all():
                self._services.office.deliveries.again(session, id)

    def known(self, session: Session, chat_id: int) -> Conversation | None:
        """The chat's conversation, if it has begun."""
        return session.scalar(select(Conversation).where(Conversation.channel == CHANNEL, Conversation.external_id == str(chat_id)))

    def welcome(self, area: str) -> Outbound:
        """What a chat begins with: the words of the web, and what is different on Telegram."""
        told = [self._answers.say("welcome"), self._answers.say("privacy_notice"), self.site_words("telegram_note"), self._services.area(area).not_for_emergencies]
        return Outbound("\n\n".join(told), outcome="talk")

    def site_words(self, key: str, **words: str) -> str:
        """A sentence of the system, which may name our address as `{site}`."""
        return self._answers.say(key, site=self._services.site, **words)

    def words(self, key: str, **words: str) -> Outbound:
        """The same as a message."""
        return Outbound(self.site_words(key, **words), author="system")

    def say(self, stored: Stored | None, chat_id: int, said: Sequence[Outbound]) -> None:
        """Say something in the chat's conversation once for an update: not again if it is handled already."""
        id = self.conversation(chat_id)
        with self._database.write() as session:
            if stored is not None and not self._updates.is_waiting(session, stored.update_id):
                return
            self._log.append(session, id, said)
            if stored is not None:
                self._updates.handled(session, stored.update_id)

    def notice(self, stored: Stored, before: list[Outbound], notice: Outbound) -> None:
        """Say a notice, unless it is what was said last: ten pictures are answered once."""
        with self._database.read() as session:
            known = self.known(session, stored.chat_id)
            spoken = select(Message.author, Message.text).where(Message.conversation_id == (known.id if known else None), Message.author != "parent")
            newest = session.execute(spoken.order_by(Message.seq.desc()).limit(1)).first()
        repeated = newest is not None and tuple(newest) == ("system", notice.text)
        self.say(stored, stored.chat_id, before if repeated else [*before, notice])
