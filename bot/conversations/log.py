"""The conversation log: what was said, in order, on disk before anything else happens."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from bot.clock import Clock, new_id, new_secret
from bot.conversations.outbound import Outbound
from bot.store.database import Database
from bot.store.tables import Choice, Conversation, Message, Query, Reply


@dataclass(frozen=True)
class Accepted:
    """A parent's message that is on disk: its number, and whether it was there already."""

    conversation_id: str
    message_id: str
    seq: int
    repeated: bool
    done: bool


@dataclass(frozen=True)
class Waiting:
    """A parent's message whose turn is to be taken; `again` if an app that died may have taken it already.

    guide: where the conversation's guide stood after the last message that belonged to one.
    """

    message_id: str
    conversation_id: str
    seq: int
    text: str
    command: str | None
    area: str
    role: str
    again: bool
    guide: Mapping[str, Any] | None = None


class UnknownChoice(Exception):
    """The button pressed was never offered in this conversation."""


class ConversationLog:
    """Conversations and their messages.

    Parameters
    ----------
    owner: name of this running app; a turn is claimed in its name.
    lease: how long a claim holds before another app may take the turn.
    """

    def __init__(self, database: Database, clock: Clock, owner: str, lease: timedelta) -> None:
        self._database, self._clock, self.owner, self._lease = database, clock, owner, lease
        self._taken_over: set[str] = set()

    def start(self, channel: str, area: str, role: str, greeting: Sequence[Outbound] = ()) -> tuple[str, str]:
        """Begin a conversation; its id and the secret token that opens it (only its hash is kept)."""
        token = new_secret()
        with self._database.write() as session:
            conversation = Conversation(
                id=new_id(), channel=channel, external_id=None, token_hash=token_hash(token), area=area, role=role, last_seq=0, created_at=self._clock.now()
            )
            session.add(conversation)
            session.flush()
            self.append(session, conversation.id, greeting)
        return conversation.id, token

    def by_token(self, token: str) -> Conversation | None:
        """The conversation that a token opens."""
        with self._database.read() as session:
            return session.scalar(select(Conversation).where(Conversation.token_hash == token_hash(token)))

    def accept(self, conversation_id: str, client_id: str, text: str, choice: str | None = None) -> Accepted:
        """Write a parent's message down and claim its turn; the same `client_id` again gives the same message.

        Raises UnknownChoice for a button that was not offered here.
        """
        try:
            with self._database.write() as session:
                command = None
                if choice is not None:
                    offered = session.get(Choice, choice)
                    if offered is None or offered.conversation_id != conversation_id:
                        raise UnknownChoice(choice)
                    text, command = offered.title, offered.command
                message = Message(
                    id=new_id(),
                    conversation_id=conversation_id,
                    seq=self._next_seq(session, conversation_id),
                    author="parent",
                    text=text,
                    at=self._clock.now(),
                    client_id=client_id,
                    command=command,
                    turn_state="asked",
                    claimed_by=self.owner,
                    claimed_until=self._clock.now() + self._lease,
                )
                session.add(message)
            return Accepted(conversation_id, message.id, message.seq, False, False)
        except IntegrityError:
            with self._database.read() as session:
                before = session.scalars(
                    select(Message).where(Message.conversation_id == conversation_id, Message.client_id == client_id)
                ).one()
                return Accepted(conversation_id, before.id, before.seq, True, before.turn_state == "done")

    @staticmethod
    def _next_seq(session: Session, conversation_id: str) -> int:
        return session.execute(
            update(Conversation)
            .where(Conversation.id == conversation_id)
            .values(last_seq=Conversation.last_seq + 1)
            .returning(Conversation.last_seq)
            .execution_options(synchronize_session=False)
        ).scalar_one()

    def waiting(self, message_id: str) -> Waiting | None:
        """A message whose turn this app holds; nothing if it was taken already."""
        with self._database.read() as session:
            row = session.execute(
                select(Message, Conversation.area, Conversation.role)
                .join(Conversation, Conversation.id == Message.conversation_id)
                .where(Message.id == message_id, Message.turn_state == "asked", Message.claimed_by == self.owner)
            ).one_or_none()
            if row is None:
                return None
            message, area, role = row
            guide = session.scalar(
                select(Message.understanding)
                .where(Message.conversation_id == message.conversation_id, Message.author == "assistant", Message.outcome == "check")
                .order_by(Message.seq.desc())
                .limit(1)
            )
        again = message.id in self._taken_over
        return Waiting(
            message.id, message.conversation_id, message.seq, message.text, message.command, area, role, again, (guide or {}).get("guide")
        )

    def abandoned(self, including_fresh: bool = False) -> list[tuple[str, str]]:
        """Claim the turns that an app left unfinished when it died: (conversation id, message id), oldest first.

        `including_fresh` also takes turns whose lease still runs: right only where no other app can be alive.
        """
        now = self._clock.now()
        left = select(Message.id, Message.conversation_id).where(Message.turn_state == "asked", Message.claimed_by != self.owner)
        if not including_fresh:
            left = left.where(Message.claimed_until < now)
        claimed = []
        with self._database.write() as session:
            for message_id, conversation_id in session.execute(left.order_by(Message.at).limit(200)).all():
                taken = session.execute(
                    update(Message)
                    .where(Message.id == message_id, Message.turn_state == "asked", Message.claimed_by != self.owner)
                    .values(claimed_by=self.owner, claimed_until=now + self._lease)
                )
                if taken.rowcount == 1:
                    claimed.append((conversation_id, message_id))
                    self._taken_over.add(message_id)
        return claimed

    def finish(self, message_id: str, said: Sequence[Outbound], understanding: dict[str, Any] | None) -> list[dict[str, Any]] | None:
        """Write what was said in answer and close the turn, together; the messages as the chat API shows them.

        Nothing is written or given if the turn was closed already.
        """
        with self._database.write() as session:
            closed = session.execute(
                update(Message)
                .where(Message.id == message_id, Message.turn_state == "asked", Message.claimed_by == self.owner)
                .values(turn_state="done", understanding=understanding)
                .returning(Message.conversation_id, Message.seq)
                .execution_options(synchronize_session=False)
            ).one_or_none()
            self._taken_over.discard(message_id)
            if closed is None:
                return None
            rows = self.append(session, closed.conversation_id, said, answers_seq=closed.seq)
            return [as_json(row) for row in rows]

    def append(self, session: Session, conversation_id: str, said: Sequence[Outbound], answers_seq: int | None = None) -> list[Message]:
        """Add messages to a conversation within a session, with random ids for their choices."""
        rows = []
        for outbound in said:
            message_id = new_id()
            choices = [(secrets.token_urlsafe(12), choice) for choice in outbound.choices]
            row = Message(
                id=message_id,
                conversation_id=conversation_id,
                seq=self._next_seq(session, conversation_id),
                author=outbound.author,
                name=outbound.name,
                text=outbound.text,
                at=self._clock.now(),
                outcome=outbound.outcome,
                topic=outbound.topic,
                asks=outbound.asks,
                result=outbound.result,
                sources=[dict(s) for s in outbound.sources],
                choices=[_shown(id, choice) for id, choice in choices],
                query_id=outbound.query_id,
                understanding={"guide": outbound.guide} if outbound.guide else None,
                answers_seq=answers_seq,
            )
            session.add(row)
            if choices:
                session.flush()
            session.add_all(
                Choice(id=id, conversation_id=conversation_id, message_id=message_id, title=choice.title, command=choice.command) for id, choice in choices
            )
            rows.append(row)
        session.flush()
        return rows

    def after(self, conversation_id: str, seq: int) -> list[dict[str, Any]]:
        """Messages later than `seq` as the chat API shows them. A staff reply among them is thereby delivered."""
        with self._database.read() as session:
            rows = list(
                session.scalars(
                    select(Message)
                    .options(joinedload(Message.query).joinedload(Query.lead))
                    .where(Message.conversation_id == conversation_id, Message.seq > seq)
                    .order_by(Message.seq)
                )
            )
            shown = [as_json(row) for row in rows]
        staff_messages = [row.id for row in rows if row.author == "staff"]
        if staff_messages:
            self._delivered(staff_messages)
        return shown

    def _delivered(self, message_ids: list[str]) -> None:
        undelivered = select(Reply.id).where(Reply.message_id.in_(message_ids), Reply.delivered_at.is_(None))
        with self._database.read() as session:
            if not session.scalars(undelivered).first():
                return
        with self._database.write() as session:
            session.execute(update(Reply).where(Reply.id.in_(undelivered)).values(delivered_at=self._clock.now()))

    def answers_to(self, conversation_id: str, seq: int) -> list[dict[str, Any]]:
        """The messages that answered the message with number `seq`."""
        with self._database.read() as session:
            rows = session.scalars(
                select(Message)
                .options(joinedload(Message.query).joinedload(Query.lead))
                .where(Message.conversation_id == conversation_id, Message.answers_seq == seq)
                .order_by(Message.seq)
            )
            return [as_json(row) for row in rows]


def token_hash(token: str) -> str:
    """What is kept of a secret token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _shown(id: str, choice) -> dict[str, str]:
    shown = {"id": id, "title": choice.title}
    if choice.topic:
        shown["topic"] = choice.topic
    if choice.value:
        shown["value"] = choice.value
    return shown


def as_json(message: Message) -> dict[str, Any]:
    """A message as the chat API shows it."""
    shown = {
        "seq": message.seq,
        "author": message.author,
        "name": message.name or ("You" if message.author == "parent" else ""),
        "text": message.text,
        "at": message.at.isoformat(),
        "choices": message.choices,
        "outcome": message.outcome,
        "topic": message.topic,
        "sources": message.sources,
        "query": _query(message.query) if message.query else None,
    }
    if message.asks:
        shown["asks"] = message.asks
    if message.result:
        shown["result"] = message.result
    return shown


def _query(query: Query) -> dict[str, Any]:
    return {"reference": query.reference, "state": query.state, "lead": query.lead.name, "due_on": query.due_on.isoformat()}
