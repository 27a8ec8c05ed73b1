"""Tables of the conversation log, the query cycle and the staff directory."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

from sqlalchemy import JSON, CheckConstraint, DateTime, ForeignKey, Index, String, TypeDecorator, UniqueConstraint, false, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from bot.store.sealing import Sealed, SealedAddress, SealedJSON
from bot.store.states import CLOSED_STATES, OPEN_STATES, STATES


class Instant(TypeDecorator):
    """A moment, kept in UTC and always given back with its zone (SQLite forgets zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=timezone.utc)


def where(condition: str) -> dict[str, Any]:
    """An index over only the rows that meet a condition, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _in(states: frozenset[str]) -> str:
    return f"state IN ({', '.join(repr(state) for state in sorted(states))})"


class Base(DeclarativeBase):
    """Root of all tables."""

    type_annotation_map = {datetime: Instant, dict[str, Any]: JSON, list[Any]: JSON, str: String(255)}


class Conversation(Base):
    """One person's chat on one channel. `last_seq` is the number of its newest message; `area` is empty while nobody has named one.

    `external_id` is the person's address on a channel that pushes (a Telegram chat id), `dispatched_seq` the newest message for which
    deliveries were made there, `unreachable_since` when the channel said that it reaches them no more. While `held_query_id` is set a
    person has the conversation and the bot is quiet; `hold_told` says whether the parent was told so. `guide` is where its guide stands
    (`form`, `slots`), for an engine that has forgotten the conversation. `masking_told_seq` is the message after which the parent was told
    that names and numbers are not needed.
    """

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    channel: Mapped[str] = mapped_column(String(20))
    external_id: Mapped[str | None] = mapped_column(SealedAddress("conversations.external_id"))
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    area: Mapped[str] = mapped_column(String(40))
    role: Mapped[str] = mapped_column(String(20), default="parent")
    last_seq: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    school: Mapped[str | None] = mapped_column(String(120))
    dispatched_seq: Mapped[int] = mapped_column(default=0, server_default="0")
    unreachable_since: Mapped[datetime | None]
    held_query_id: Mapped[str | None] = mapped_column(String(32))
    hold_told: Mapped[bool] = mapped_column(default=False, server_default=false())
    guide: Mapped[dict[str, Any] | None] = mapped_column(SealedJSON("conversations.guide"))
    masking_told_seq: Mapped[int | None]

    __table_args__ = (
        UniqueConstraint("channel", "external_id"),
        Index("conversations_undispatched", "id", **where("channel <> 'web' AND dispatched_seq < last_seq")),
    )


class Message(Base):
    """One message of a conversation, in order of `seq`.

    A parent's message has a `turn_state`: `asked` until its turn is done (claimed by one app until `claimed_until`), then `done`.
    Messages that answer it carry its seq as `answers_seq`. `request_id` is the request that brought it, or that it answers, in the logs.
    """

    __tablename__ = "messages"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    seq: Mapped[int]
    author: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(default="")
    text: Mapped[str] = mapped_column(Sealed("messages.text"))
    at: Mapped[datetime]
    client_id: Mapped[str | None] = mapped_column(String(64))
    command: Mapped[str | None]
    outcome: Mapped[str | None] = mapped_column(String(12))
    topic: Mapped[str | None] = mapped_column(String(60))
    asks: Mapped[str | None] = mapped_column(String(40))
    result: Mapped[str | None] = mapped_column(String(40))
    sources: Mapped[list[Any]] = mapped_column(default=list)
    choices: Mapped[list[Any]] = mapped_column(default=list)
    query_id: Mapped[str | None] = mapped_column(ForeignKey("queries.id"))
    answers_seq: Mapped[int | None]
    understanding: Mapped[dict[str, Any] | None] = mapped_column(SealedJSON("messages.understanding"))
    request_id: Mapped[str | None] = mapped_column(String(32))
    turn_state: Mapped[str | None] = mapped_column(String(10))
    claimed_by: Mapped[str | None] = mapped_column(String(64))
    claimed_until: Mapped[datetime | None]

    query: Mapped["Query | None"] = relationship(foreign_keys=[query_id])

    __table_args__ = (
        UniqueConstraint("conversation_id", "seq"),
        UniqueConstraint("conversation_id", "client_id"),
        CheckConstraint("author IN ('parent', 'assistant', 'staff', 'system')", name="author_known"),
        CheckConstraint("turn_state IS NULL OR turn_state IN ('asked', 'done')", name="turn_state_known"),
        Index("messages_unfinished", "turn_state", "claimed_until"),
    )


class Choice(Base):
    """A button that was offered: a random id that stands for a command of the engine, so that nobody can make one up."""

    __tablename__ = "choices"

    id: Mapped[str] = mapped_column(String(24), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    title: Mapped[str]
    command: Mapped[str] = mapped_column(String(400))


class Staff(Base):
    """A member of staff. `areas`, `topics`, `therapies`, `languages` and `schools` empty mean all of them, nothing special.

    `duty` leads stand in where no lead fits, `deputy_id` is who stands in for this one. Leave is in `leave`; `away_until` is leave that
    has begun. With a `totp_secret` signing in takes a second step; `totp_step` is the newest code's, which opens once only.
    """

    __tablename__ = "staff"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    title: Mapped[str]
    role: Mapped[str] = mapped_column(String(20))
    team: Mapped[str] = mapped_column(String(40), default="")
    areas: Mapped[list[Any]] = mapped_column(default=list)
    topics: Mapped[list[Any]] = mapped_column(default=list)
    therapies: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    languages: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    schools: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    on_call: Mapped[bool] = mapped_column(default=False)
    duty: Mapped[bool] = mapped_column(default=False, server_default=false())
    deputy_id: Mapped[str | None] = mapped_column(ForeignKey("staff.id"))
    active: Mapped[bool] = mapped_column(default=True)
    away_until: Mapped[date | None]
    password_hash: Mapped[str]
    totp_secret: Mapped[str | None] = mapped_column(Sealed("staff.totp_secret"))
    totp_step: Mapped[int] = mapped_column(default=0, server_default="0")
    oidc_subject: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("role IN ('lead', 'coordinator', 'manager', 'auditor')", name="role_known"),)


class StaffSession(Base):
    """A browser that is signed in (`stage` full), or has given its password only: `second_step` is owed, or must be `set_up` first.

    Only the hash of its cookie is kept. `new_secret` is a second step that is being set up.
    """

    __tablename__ = "staff_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    stage: Mapped[str] = mapped_column(String(12), default="full", server_default="full")
    new_secret: Mapped[str | None] = mapped_column(Sealed("staff_sessions.new_secret"))

    staff: Mapped[Staff] = relationship()

    __table_args__ = (CheckConstraint("stage IN ('full', 'second_step', 'set_up')", name="stage_known"),)


class SignInAttempt(Base):
    """A failed sign-in, counted for the lock-out."""

    __tablename__ = "sign_in_attempts"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    email: Mapped[str] = mapped_column(index=True)
    at: Mapped[datetime]


class Query(Base):
    """An unresolved question with an owner. One for each parent's message at most (`conversation_id`, `asked_seq`).

    `answered_at` is when the channel accepted a reply that answers: only that stops the clock. `next_look_at` is when the worker looks
    at it again; every open query has one. `promise_no` counts the days promised, `reminders` those sent since the newest reply.
    """

    __tablename__ = "queries"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    reference: Mapped[str] = mapped_column(String(12), unique=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), index=True)
    asked_seq: Mapped[int]
    topic: Mapped[str | None] = mapped_column(String(60))
    area: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(12))
    language: Mapped[str] = mapped_column(String(8), default="en")
    reason: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(20))
    lead_id: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    due_on: Mapped[date]
    asked_at: Mapped[datetime]
    chased_at: Mapped[datetime | None]
    school: Mapped[str | None] = mapped_column(String(120))
    therapy: Mapped[str | None] = mapped_column(String(40))
    promise_no: Mapped[int] = mapped_column(default=1, server_default="1")
    state_since: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    next_look_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    reminders: Mapped[int] = mapped_column(default=0, server_default="0")
    reminded_at: Mapped[datetime | None]
    ended_reason: Mapped[str | None] = mapped_column(Sealed("queries.ended_reason"))
    version: Mapped[int] = mapped_column(default=1)

    lead: Mapped[Staff] = relationship()
    conversation: Mapped[Conversation] = relationship()

    __mapper_args__ = {"version_id_col": version}
    __table_args__ = (
        UniqueConstraint("conversation_id", "asked_seq"),
        CheckConstraint(_in(STATES), name="state_known"),
        CheckConstraint(f"({_in(OPEN_STATES)} AND ended_at IS NULL AND next_look_at IS NOT NULL) OR ({_in(CLOSED_STATES)} AND ended_at IS NOT NULL)", name="open_or_ended"),
        CheckConstraint("kind IN ('ordinary', 'priority', 'urgent')", name="kind_known"),
        Index("queries_open", "due_on", **where("ended_at IS NULL")),
        Index("queries_open_by_lead", "lead_id", **where("ended_at IS NULL")),
        Index("queries_to_look_at", "next_look_at", **where("ended_at IS NULL")),
        Index("queries_ended", "ended_at", **where("ended_at IS NOT NULL")),
    )

    @property
    def is_open(self) -> bool:
        """Whether somebody still owes the parent something."""
        return self.state in OPEN_STATES

    @property
    def is_owed(self) -> bool:
        """Whether the clock runs: no reply that answers has been accepted, and we do not wait for the parent."""
        return self.is_open and self.answered_at is None and self.state != "awaiting_parent"

    @property
    def told_state(self) -> str:
        """The state as the parent is told it: nobody is told of a reply that has not reached them."""
        return "in_progress" if self.state == "replied" and self.answered_at is None else self.state


class QueryEvent(Base):
    """What happened to a query, in order; rows are only ever added."""

    __tablename__ = "query_events"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"), index=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(SealedJSON("query_events.detail"), default=dict)


class Reply(Base):
    """A staff reply. `idempotency_key` was minted when the reply box was opened, so one box sends at most one reply.

    It is `to_read` while a second reader is awaited, `waiting` until `release_at` (it can be taken back until then), then `sent`: only
    then has the parent's conversation its message. `taken_back`, `returned` by the second reader and `overtaken` by a newer message of
    the parent end it unsent. `kind` says whether it answers, asks the parent for something, or tells how things stand. `marks` says of
    each question's id whether this reply answers it.
    """

    __tablename__ = "replies"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"), index=True)
    message_id: Mapped[str | None] = mapped_column(ForeignKey("messages.id"), index=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(10), default="answer", server_default="answer")
    state: Mapped[str] = mapped_column(String(12), default="sent", server_default="sent")
    text: Mapped[str] = mapped_column(Sealed("replies.text"), default="", server_default="")
    marks: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    read_to: Mapped[int] = mapped_column(default=0, server_default="0")
    at: Mapped[datetime]
    release_at: Mapped[datetime | None]
    read_by: Mapped[str | None] = mapped_column(ForeignKey("staff.id"))
    comment: Mapped[str | None] = mapped_column(Sealed("replies.comment"))
    delivered_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("kind IN ('answer', 'ask', 'update')", name="reply_kind_known"),
        CheckConstraint("state IN ('to_read', 'waiting', 'sent', 'taken_back', 'returned', 'overtaken')", name="reply_state_known"),
        CheckConstraint("state <> 'sent' OR message_id IS NOT NULL", name="sent_reply_has_message"),
        Index("replies_to_release", "release_at", **where("state = 'waiting'")),
        Index("replies_under_way", "query_id", unique=True, **where("state IN ('to_read', 'waiting')")),
    )


class Draft(Base):
    """A reply being written, kept on the server."""

    __tablename__ = "drafts"

    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    text: Mapped[str] = mapped_column(Sealed("drafts.text"))
    at: Mapped[datetime]


class RateCount(Base):
    """How often one address or session did something in one window of time, which ends `until`. The key holds a keyed hash of who it was."""

    __tablename__ = "rate_counts"

    key: Mapped[str] = mapped_column(String(120), primary_key=True)
    window: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
    until: Mapped[datetime | None]
