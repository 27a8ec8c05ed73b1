"""The commands of the Telegram channel: what is said to them, and deleting. Each is done once for its update."""

from __future__ import annotations

from sqlalchemy import delete, select

from bot.casework.references import find_reference
from bot.channels.telegram_chats import Chats, Services
from bot.channels.telegram_links import Links, of_chat
from bot.channels.telegram_updates import Stored, Updates
from bot.conversations.erasure import erase, open_queries
from bot.conversations.outbound import Outbound
from bot.store.tables import Conversation
from bot.store.telegram import TelegramCode, TelegramQuiet

COMMANDS = ("help", "person", "status", "privacy", "delete", "stop")


class Commands:
    """What each command does."""

    def __init__(self, services: Services, chats: Chats, updates: Updates, links: Links) -> None:
        self._services, self._chats, self._updates, self._links = services, chats, updates, links
        self._database, self._log, self._answers = services.database, services.log, services.answers

    def start(self, stored: Stored, payload: str) -> None:
        """Begin, in the area that the link names; or carry on the web chat that the link's code stands for."""
        if payload and payload not in self._services.areas:
            self._carry_on(stored, payload)
            return
        with self._database.read() as session:
            is_new = self._chats.known(session, stored.chat_id) is None
        id = self._chats.conversation(stored.chat_id, payload)
        if not is_new:
            with self._database.read() as session:
                area = session.get_one(Conversation, id).area
            self._chats.say(stored, stored.chat_id, [self._chats.welcome(area)])

    def _carry_on(self, stored: Stored, code: str) -> None:
        with self._database.write() as session:
            if not self._updates.is_waiting(session, stored.update_id):
                return
            id = self._links.use(session, code, "carry_on", stored.update_id)
            if id is not None:
                self._links.carry_on(session, id, stored.chat_id)
                area = session.get_one(Conversation, id).area
                told = [self._chats.words("telegram_linked"), self._chats.words("telegram_note"), Outbound(self._services.area(area).not_for_emergencies, author="system")]
                self._log.append(session, id, [Outbound("\n\n".join(part.text for part in told), author="system")])
                self._updates.handled(session, stored.update_id)
        if id is None:
            self._chats.say(stored, stored.chat_id, [self._chats.words("telegram_link_old")])

    def status(self, stored: Stored, rest: str) -> None:
        """How the chat's question stands, or the one whose reference is in `rest`; the engine is not needed."""
        id = self._chats.conversation(stored.chat_id)
        reference = find_reference(rest) if rest else None
        self._chats.say(stored, stored.chat_id, [self._services.office.reception.status(id, reference)])

    def help(self) -> Outbound:
        """What works here."""
        return self._chats.words("telegram_help", emergency=self._services.area(self._services.default_area).not_for_emergencies)

    def privacy(self, stored: Stored) -> None:
        """The reviewed answer, and what is different on Telegram."""
        id = self._chats.conversation(stored.chat_id)
        with self._database.read() as session:
            area = self._services.area(session.get_one(Conversation, id).area)
        wording = self._answers.wording("privacy", area)
        sources = tuple(source.as_json() for source in wording.sources)
        self._chats.say(stored, stored.chat_id, [Outbound(wording.text, author="system", topic="privacy", sources=sources), self._chats.words("telegram_privacy")])

    def stop(self, stored: Stored) -> None:
        """Be quiet after a last word; what is owed is told, and a reply that staff write becomes their work to bring otherwise."""
        id = self._chats.conversation(stored.chat_id)
        with self._database.write() as session:
            if not self._updates.is_waiting(session, stored.update_id):
                return
            told = [self._chats.site_words("telegram_stopped")]
            told += [self._chats.site_words("telegram_stopped_open", reference=q.reference, lead=q.lead.name) for q in open_queries(session, id)]
            last = self._log.append(session, id, [Outbound("\n\n".join(told), author="system")])[-1]
            session.merge(TelegramQuiet(conversation_id=id, after_seq=last.seq))
            self._updates.handled(session, stored.update_id)

    def deletion(self, chat_id: int) -> tuple[str, str] | None:
        """The question to ask before deleting, with a one-use code for its buttons; nothing if there is nothing to delete."""
        with self._database.read() as session:
            ids = list(session.scalars(select(Conversation.id).where(of_chat(chat_id))))
            owed = [query for id in ids for query in open_queries(session, id)]
        if not ids:
            return None
        told = [self._chats.site_words("telegram_delete_ask"), *(self._chats.site_words("telegram_delete_open", reference=q.reference, lead=q.lead.name) for q in owed)]
        return "\n\n".join(told), self._links.new_code(ids[0], "delete")

    def delete(self, code: str, stored: Stored, wanted: bool) -> bool | None:
        """Erase all that is of the chat if that is `wanted`; whether it was, or nothing if the button's code does not hold."""
        with self._database.write() as session:
            id = self._links.use(session, code, "delete", stored.update_id)
            if id is None:
                return None
            if wanted:
                for conversation_id in list(session.scalars(select(Conversation.id).where(of_chat(stored.chat_id)))):
                    erase(session, self._services.office.cycle, conversation_id)
                    session.execute(delete(TelegramCode).where(TelegramCode.conversation_id == conversation_id, TelegramCode.purpose == "carry_on"))
                self._updates.erase(session, stored.chat_id)
        return wanted
