"""The conversation log: what was said, in order, on disk before anything else happens."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Callable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from bot.clock import Clock, new_id, new_secret
from bot.conversations.outbound import Outbound
from bot.conversations.shown import Written, as_json, choice_json
from bot.logs import request_id
from bot.store.cycle import ConversationToken, Delivery, ReturnCode
from bot.store.database import Database
from bot.store.tables import Choice, Conversation, Message, Query


# The statements of every turn, built once. They go to the tables past the object mapper, which takes twice as long.
_CONVERSATIONS, _MESSAGES = Conversation.__table__, Message.__table__
_ID_BY_TOKEN = select(_CONVERSATIONS.c.id).where(_CONVERSATIONS.c.token_hash == bindparam("hash"))
_ID_BY_LATER_TOKEN = select(ConversationToken.conversation_id).where(ConversationToken.token_hash == bindparam("hash"))
_NUMBER = (
    update(_CONVERSATIONS)
    .where(_CONVERSATIONS.c.id == bindparam("conversation"))
    .values(last_seq=_CONVERSATIONS.c.last_seq + bindparam("more"))
    .returning(_CONVERSATIONS.c.last_seq, _CONVERSATIONS.c.area, _CONVERSATIONS.c.role, _CONVERSATIONS.c.held_query_id, _CONVERSATIONS.c.guide)
)
_CLOSE = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("message"), _MESSAGES.c.turn_state == "asked", _MESSAGES.c.claimed_by == bindparam("owner"))
    .values(turn_state="done", understanding=bindparam("understood"))
    .returning(_MESSAGES.c.conversation_id, _MESSAGES.c.seq)
)
_WRITE = insert(_MESSAGES)
_OFFER = insert(Choice.__table__)
_OFFERED = select(Choice.title, Choice.command).where(Choice.id == bindparam("choice"), Choice.conversation_id == bindparam("conversation"))
_TELL_OF_MASKING = (
    update(_CONVERSATIONS)
    .where(
        _CONVERSATIONS.c.id == bindparam("conversation"),
        or_(_CONVERSATIONS.c.masking_told_seq.is_(None), _CONVERSATIONS.c.masking_told_seq == bindparam("asked")),
    )
    .values(masking_told_seq=bindparam("asked"))
)


@dataclass(frozen=True)
class Waiting:
    """A parent's message whose turn is to be taken; `again` if an app that died may have taken it already.

    `held_query_id` names the query for which a person has the conversation, `guide` says where its guide stands.
    """

    message_id: str
    conversation_id: str
    seq: int
    text: str
    command: str | None
    area: str
    role: str
    again: bool
    held_query_id: str | None = None
    guide: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Accepted:
    """A parent's message that is on disk: its number, and whether it was there already. A new one's turn is `waiting`."""

    conversation_id: str
    message_id: str
    seq: int
    repeated: bool
    done: bool
    waiting: Waiting | None = None


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
        self._fetched: Callable[[list[str]], None] = lambda message_ids: None

    def on_fetched(self, fetched: Callable[[list[str]], None]) -> None:
        """Say who is told that the parent's own browser has fetched staff messages."""
        self._fetched = fetched

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

    def id_by_token(self, token: str) -> str | None:
        """The id of the conversation that a token opens."""
        known = {"hash": token_hash(token)}
        with self._database.engine.connect() as connection:
            return connection.scalar(_ID_BY_TOKEN, known) or connection.scalar(_ID_BY_LATER_TOKEN, known)

    def for_address(self, channel: str, external_id: str, area: str, role: str, greeting: Sequence[Outbound] = ()) -> str:
        """The conversation of an address on a channel that pushes, begun with `greeting` if there is none; its id."""
        known = select(Conversation.id).where(Conversation.channel == channel, Conversation.external_id == external_id)
        with self._database.read() as session:
            found = session.scalar(known)
        if found is not None:
            return found
        try:
            with self._database.write() as session:
                conversation = Conversation(
                    id=new_id(), channel=channel, external_id=external_id, token_hash=None, area=area, role=role, last_seq=0, created_at=self._clock.now()
                )
                session.add(conversation)
                session.flush()
                self.append(session, conversation.id, greeting)
                return conversation.id
        except IntegrityError:
            with self._database.read() as session:
                return session.scalars(known).one()

    def by_token(self, token: str) -> Conversation | None:
        """The conversation that a token opens."""
        hashed = token_hash(token)
        with self._database.read() as session:
            first = session.scalar(select(Conversation).where(Conversation.token_hash == hashed))
            if first is not None:
                return first
            return session.scalar(select(Conversation).join(ConversationToken).where(ConversationToken.token_hash == hashed))

    def come_back(self, code: str) -> str | None:
        """Open the conversation of a return code for a further browser: a new token, or nothing if the code is not known."""
        token, now = new_secret(), self._clock.now()
        with self._database.write() as session:
            known = session.get(ReturnCode, token_hash(code))
            if known is None:
                return None
            known.used_at = now
            session.add(ConversationToken(token_hash=token_hash(token), conversation_id=known.conversation_id, created_at=now))
        return token

    def accept(self, conversation_id: str, client_id: str, text: str, choice: str | None = None) -> Accepted:
        """Write a parent's message down and claim its turn; the same `client_id` again gives the same message.

        Raises UnknownChoice for a button that was not offered here.
        """
        try:
            with self._database.write_tables() as tables:
                command = None
                if choice is not None:
                    offered = tables.execute(_OFFERED, {"choice": choice, "conversation": conversation_id}).one_or_none()
                    if offered is None:
                        raise UnknownChoice(choice)
                    text, command = offered
                written = self._write_parents(tables, conversation_id, client_id, text, command)
            return Accepted(conversation_id, written.message_id, written.seq, False, False, written)
        except IntegrityError:
            with self._database.read() as session:
                before = session.scalars(
                    select(Message).where(Message.conversation_id == conversation_id, Message.client_id == client_id)
                ).one()
                return Accepted(conversation_id, before.id, before.seq, True, before.turn_state == "done")

    def _write_parents(self, tables: Connection, conversation_id: str, client_id: str, text: str, command: str | None) -> Waiting:
        number = tables.execute(_NUMBER, {"conversation": conversation_id, "more": 1}).one()
        now = self._clock.now()
        id = new_id()
        tables.execute(
            _WRITE,
            {
                "id": id,
                "conversation_id": conversation_id,
                "seq": number.last_seq,
                "author": "parent",
                "name": "",
                "text": text,
                "at": now,
                "client_id": client_id,
                "request_id": request_id.get(),
                "command": command,
                "sources": [],
                "choices": [],
                "turn_state": "asked",
                "claimed_by": self.owner,
                "claimed_until": now + self._lease,
            },
        )
        return Waiting(id, conversation_id, number.last_seq, text, command, number.area, number.role, False, number.held_query_id, number.guide)

    def tell_of_masking(self, conversation_id: str, seq: int) -> bool:
        """Whether the parent is to be told of masking in answer to message `seq`: once a conversation, and again if that turn is."""
        with self._database.write_tables() as tables:
            return tables.execute(_TELL_OF_MASKING, {"conversation": conversation_id, "asked": seq}).rowcount == 1

    def waiting(self, message_id: str) -> Waiting | None:
        """A message whose turn this app holds; nothing if it was taken already."""
        with self._database.read() as session:
            row = session.execute(
                select(Message, Conversation.area, Conversation.role, Conversation.held_query_id, Conversation.guide)
                .join(Conversation, Conversation.id == Message.conversation_id)
                .where(Message.id == message_id, Message.turn_state == "asked", Message.claimed_by == self.owner)
            ).one_or_none()
        if row is None:
            return None
        message, area, role, held_query_id, guide = row
        again = message.id in self._taken_over
        return Waiting(message.id, message.conversation_id, message.seq, message.text, message.command, area, role, again, held_query_id, guide)

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
        with self._database.write_tables() as tables:
            closed = tables.execute(_CLOSE, {"message": message_id, "owner": self.owner, "understood": understanding}).one_or_none()
            self._taken_over.discard(message_id)
            if closed is None:
                return None
            written = self.append(tables, closed.conversation_id, said, answers_seq=closed.seq)
            if not any(message.query_id for message in written):
                return [as_json(message, None) for message in written]
            with Session(tables) as session:
                return [as_json(message, message.query_id and session.get(Query, message.query_id)) for message in written]

    def append(self, session: Session | Connection, conversation_id: str, said: Sequence[Outbound], answers_seq: int | None = None) -> list[Written]:
        """Add messages to a conversation within a session, with random ids for their choices."""
        if not said:
            return []
        last = session.execute(_NUMBER, {"conversation": conversation_id, "more": len(said)}).one().last_seq
        now = self._clock.now()
        written, choices = [], []
        for seq, outbound in enumerate(said, last - len(said) + 1):
            offered = [(secrets.token_urlsafe(12), choice) for choice in outbound.choices]
            message = {
                "id": new_id(),
                "seq": seq,
                "author": outbound.author,
                "name": outbound.name,
                "text": outbound.text,
                "at": now,
                "outcome": outbound.outcome,
                "topic": outbound.topic,
                "asks": outbound.asks,
                "result": outbound.result,
                "sources": [dict(source) for source in outbound.sources],
                "choices": [choice_json(id, choice) for id, choice in offered],
                "query_id": outbound.query_id,
            }
            written.append(message)
            choices += [
                {"id": id, "conversation_id": conversation_id, "message_id": message["id"], "title": choice.title, "command": choice.command}
                for id, choice in offered
            ]
        circumstances = {"conversation_id": conversation_id, "request_id": request_id.get(), "answers_seq": answers_seq}
        session.execute(_WRITE, [{**message, **circumstances} for message in written])
        for guide in [outbound.guide for outbound in said if outbound.guide][-1:]:
            session.execute(update(_CONVERSATIONS).where(_CONVERSATIONS.c.id == conversation_id).values(guide=dict(guide)))
        if choices:
            session.execute(_OFFER, choices)
        return [Written(**message) for message in written]

    def after(self, conversation_id: str, seq: int) -> list[dict[str, Any]]:
        """Messages later than `seq` as the chat API shows them. What staff wrote among them is thereby delivered."""
        messages = self._after(conversation_id, seq)
        carried = [message.id for message in messages if message.author in ("staff", "system")]
        if carried and self._undelivered(carried):
            self._fetched(carried)
            # Read again: the state that is told beside a reply is that of a reply which has arrived.
            messages = self._after(conversation_id, seq)
        return [as_json(message, message.query) for message in messages]

    def _after(self, conversation_id: str, seq: int) -> list[Message]:
        newer = (
            select(Message)
            .options(joinedload(Message.query).joinedload(Query.lead))
            .where(Message.conversation_id == conversation_id, Message.seq > seq)
            .order_by(Message.seq)
        )
        with self._database.read() as session:
            return list(session.scalars(newer))

    def _undelivered(self, message_ids: list[str]) -> bool:
        undelivered = select(Delivery.id).where(Delivery.message_id.in_(message_ids), Delivery.state.in_(("waiting", "refused", "unknown"))).limit(1)
        with self._database.read() as session:
            return session.scalar(undelivered) is not None

    def is_done(self, conversation_id: str, seq: int) -> bool:
        """Whether the turn of the message with number `seq` is over; nothing need have been said."""
        with self._database.read() as session:
            state = session.scalar(select(Message.turn_state).where(Message.conversation_id == conversation_id, Message.seq == seq))
        return state == "done"

    def answers_to(self, conversation_id: str, seq: int) -> list[dict[str, Any]]:
        """The messages that answered the message with number `seq`."""
        with self._database.read() as session:
            rows = session.scalars(
                select(Message)
                .options(joinedload(Message.query).joinedload(Query.lead))
                .where(Message.conversation_id == conversation_id, Message.answers_seq == seq)
                .order_by(Message.seq)
            )
            return [as_json(row, row.query) for row in rows]


def token_hash(token: str) -> str:
    """What is kept of a secret token."""
    return hashlib.sha256(token.encode()).hexdigest()
