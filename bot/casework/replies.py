"""Staff replies: written once, refused when the parent has written since, seen by the parent on their own channel."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from bot.casework.queries import QueryDesk
from bot.clock import Clock, new_id
from bot.conversations.log import ConversationLog
from bot.conversations.outbound import Outbound
from bot.store.database import Database
from bot.store.states import ANSWERABLE_STATES
from bot.store.tables import Draft, Message, Query, Reply, Staff

LONGEST = 4000


class ReplyRefused(Exception):
    """A reply was not sent; the message says why in words for staff. What they wrote is kept as a draft."""


@dataclass(frozen=True)
class ReplyForm:
    """What came from the reply box. `read_to` is the newest message number that its writer had seen, `version` the query's then."""

    query_id: str
    text: str
    idempotency_key: str
    read_to: int
    version: int


class Replies:
    """Sends replies of staff into the parent's conversation."""

    def __init__(self, database: Database, log: ConversationLog, desk: QueryDesk, clock: Clock) -> None:
        self._database, self._log, self._desk, self._clock = database, log, desk, clock

    def send(self, form: ReplyForm, member: Staff) -> str:
        """Write the reply, its event and its state in one transaction; the conversation's id.

        The same idempotency key again sends nothing more. Raises ReplyRefused.
        """
        text = form.text.strip()
        if not text:
            raise ReplyRefused("Write a reply before you send it.")
        if len(text) > LONGEST:
            self.keep_draft(form.query_id, member.id, text)
            raise ReplyRefused(f"The reply is too long. Use up to {LONGEST} characters. Your text is kept.")
        try:
            refused = self._try(form, text, member)
        except (IntegrityError, StaleDataError):
            # Somebody else, or the same box sent twice, was there in the same moment: look again at what is there now.
            refused = self._try(form, text, member)
        if refused:
            self.keep_draft(form.query_id, member.id, text)
            raise ReplyRefused(refused)
        with self._database.read() as session:
            return session.get_one(Query, form.query_id).conversation_id

    def _try(self, form: ReplyForm, text: str, member: Staff) -> str:
        """Send if nothing stands against it; what does, in words, or nothing."""
        with self._database.write() as session:
            query = session.get_one(Query, form.query_id)
            if session.scalar(select(Reply).where(Reply.idempotency_key == form.idempotency_key)):
                return ""
            newest = session.scalar(
                select(Message.seq)
                .where(Message.conversation_id == query.conversation_id, Message.author == "parent", Message.seq > form.read_to)
                .limit(1)
            )
            if newest is not None:
                return "The parent has written since you opened this page. Read the new message, then send. Your text is kept."
            if query.version != form.version:
                return "The query has changed since you opened this page. Read what is new below, then send. Your text is kept."
            if query.state not in ANSWERABLE_STATES:
                return f"This query is {query.state.replace('_', ' ')}: it cannot be replied to. Your text is kept."
            self._write(session, query, member, text, form.idempotency_key)
        return ""

    def _write(self, session, query: Query, member: Staff, text: str, key: str) -> None:
        said = Outbound(text, author="staff", name=f"{member.name}, {member.title}", query_id=query.id)
        message = self._log.append(session, query.conversation_id, [said])[0]
        session.add(
            Reply(id=new_id(), query_id=query.id, message_id=message.id, staff_id=member.id, idempotency_key=key, at=self._clock.now(), delivered_at=None)
        )
        draft = session.get(Draft, (query.id, member.id))
        if draft is not None:
            session.delete(draft)
        self._desk.move(session, query, "replied", member.name, {"message": message.id})

    def keep_draft(self, query_id: str, staff_id: str, text: str) -> None:
        """Keep what is being written."""
        with self._database.write() as session:
            session.merge(Draft(query_id=query_id, staff_id=staff_id, text=text, at=self._clock.now()))

    def draft(self, query_id: str, staff_id: str) -> str:
        """What was being written, or nothing."""
        with self._database.read() as session:
            draft = session.get(Draft, (query_id, staff_id))
            return draft.text if draft else ""

    def delivered(self, query_id: str) -> list[Reply]:
        """The replies of a query with when the parent's chat fetched them."""
        with self._database.read() as session:
            return list(session.scalars(select(Reply).where(Reply.query_id == query_id).order_by(Reply.at)))
