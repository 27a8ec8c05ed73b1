"""Tables of the conversation log, the query cycle and the staff directory."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

from sqlalchemy import JSON, CheckConstraint, DateTime, ForeignKey, Index, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from bot.store.states import OPEN_STATES, STATES


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


class Base(DeclarativeBase):
    """Root of all tables."""

    type_annotation_map = {datetime: Instant, dict[str, Any]: JSON, list[Any]: JSON, str: String(255)}


class Conversation(Base):
    """One person's chat on one channel. `last_seq` is the number of its newest message; `area` is empty while nobody has named one."""

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    channel: Mapped[str] = mapped_column(String(20))
    external_id: Mapped[str | None]
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    area: Mapped[str] = mapped_column(String(40))
    role: Mapped[str] = mapped_column(String(20), default="parent")
    last_seq: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("channel", "external_id"),)


class Message(Base):
    """One message of a conversation, in order of `seq`.

    A parent's message has a `turn_state`: `asked` until its turn is done (claimed by one app until `claimed_until`), then `done`.
    Messages that answer it carry its seq as `answers_seq`. `understanding`: of a parent's message what was made of it; of a guide's
    message where the guide then stood.
    """

    __tablename__ = "messages"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    seq: Mapped[int]
    author: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(default="")
    text: Mapped[str] = mapped_column(Text)
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
    understanding: Mapped[dict[str, Any] | None]
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
    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    title: Mapped[str]
    command: Mapped[str] = mapped_column(String(400))


class Staff(Base):
    """A member of staff. `areas` and `topics` empty mean all."""

    __tablename__ = "staff"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    title: Mapped[str]
    role: Mapped[str] = mapped_column(String(20))
    team: Mapped[str] = mapped_column(String(40), default="")
    areas: Mapped[list[Any]] = mapped_column(default=list)
    topics: Mapped[list[Any]] = mapped_column(default=list)
    on_call: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    away_until: Mapped[date | None]
    password_hash: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("role IN ('lead', 'coordinator', 'manager', 'auditor')", name="role_known"),)


class StaffSession(Base):
    """A signed-in browser. Only the hash of its cookie is kept."""

    __tablename__ = "staff_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    staff: Mapped[Staff] = relationship()


class SignInAttempt(Base):
    """A failed sign-in, counted for the lock-out."""

    __tablename__ = "sign_in_attempts"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    email: Mapped[str] = mapped_column(index=True)
    at: Mapped[datetime]


class Query(Base):
    """An unresolved question with an owner. One for each parent's message at most (`conversation_id`, `asked_seq`)."""

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
    version: Mapped[int] = mapped_column(default=1)

    lead: Mapped[Staff] = relationship()
    conversation: Mapped[Conversation] = relationship()

    __mapper_args__ = {"version_id_col": version}
    __table_args__ = (
        UniqueConstraint("conversation_id", "asked_seq"),
        CheckConstraint(f"state IN ({', '.join(repr(s) for s in sorted(STATES))})", name="state_known"),
        CheckConstraint("kind IN ('ordinary', 'priority', 'urgent')", name="kind_known"),
        Index("queries_open", "state", "due_on"),
    )

    @property
    def is_open(self) -> bool:
        """Whether somebody still owes the parent something."""
        return self.state in OPEN_STATES


class QueryEvent(Base):
    """What happened to a query, in order; rows are only ever added."""

    __tablename__ = "query_events"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"), index=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Reply(Base):
    """A staff reply. `idempotency_key` was minted when the reply box was opened, so one box sends at most one reply."""

    __tablename__ = "replies"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"), index=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id"))
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
    at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


class Draft(Base):
    """A reply being written, kept on the server."""

    __tablename__ = "drafts"

    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class RateCount(Base):
    """How often one address or session did something in one window of time."""

    __tablename__ = "rate_counts"

    key: Mapped[str] = mapped_column(String(120), primary_key=True)
    window: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
