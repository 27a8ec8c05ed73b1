"""Tables that the query cycle keeps beside its queries: promises, questions, alerts, deliveries, explanation requests, cover."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bot.store.sealing import Sealed
from bot.store.tables import Base, Query, Staff, where


class Promise(Base):
    """A day that the parent was promised, why it was promised, and the message that told them (`told_seq`)."""

    __tablename__ = "promises"

    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True)
    due_on: Mapped[date]
    reason: Mapped[str] = mapped_column(Sealed("promises.reason"))
    made_at: Mapped[datetime]
    told_seq: Mapped[int | None]


class Question(Base):
    """One thing that the parent asked in a query, and whether a reply answered it."""

    __tablename__ = "questions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"), index=True)
    seq: Mapped[int]
    no: Mapped[int]
    text: Mapped[str] = mapped_column(Sealed("questions.text"))
    mark: Mapped[str] = mapped_column(String(10), default="open")

    __table_args__ = (
        UniqueConstraint("query_id", "seq", "no"),
        CheckConstraint("mark IN ('open', 'answered', 'partly', 'referred')", name="mark_known"),
    )


class Alert(Base):
    """Something that a named member of staff must know; `key` makes it once only, `acknowledged_at` is a human's doing.

    `step` is the rung of the ladder (lead, deputy, manager). Alerts without a query are about the service itself.
    """

    __tablename__ = "alerts"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(160), unique=True)
    query_id: Mapped[str | None] = mapped_column(ForeignKey("queries.id"), index=True)
    kind: Mapped[str] = mapped_column(String(30))
    step: Mapped[str] = mapped_column(String(10))
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None] = mapped_column(ForeignKey("staff.id"))

    query: Mapped[Query | None] = relationship()
    staff: Mapped[Staff] = relationship(foreign_keys=[staff_id])

    __table_args__ = (
        CheckConstraint("step IN ('lead', 'deputy', 'manager')", name="step_known"),
        Index("alerts_unacknowledged", "staff_id", **where("acknowledged_at IS NULL")),
    )


class Email(Base):
    """An e-mail to staff or to a body that is asked to explain. `key` makes it once only and is its Message-ID."""

    __tablename__ = "emails"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(160), unique=True)
    address: Mapped[str] = mapped_column(Sealed("emails.address"))
    subject: Mapped[str] = mapped_column(Sealed("emails.subject"))
    body: Mapped[str] = mapped_column(Sealed("emails.body"))
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime]
    problem: Mapped[str | None]
    query_id: Mapped[str | None] = mapped_column(ForeignKey("queries.id"))

    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sending', 'sent', 'failed')", name="email_state_known"),
        Index("emails_to_send", "next_try_at", **where("state IN ('waiting', 'sending')")),
    )


class Delivery(Base):
    """One part of one message on its way to the parent (docs/delivery.md).

    `waiting` until `next_try_at`, `sending` while a worker holds the lease, then `accepted`, `refused` (for ever) or `unknown` (nobody can
    say whether it arrived: a person decides). On the web it waits until the parent's chat fetches it.
    """

    __tablename__ = "deliveries"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    query_id: Mapped[str | None] = mapped_column(ForeignKey("queries.id"))
    channel: Mapped[str] = mapped_column(String(20))
    seq: Mapped[int]
    part: Mapped[int]
    parts: Mapped[int]
    body: Mapped[str] = mapped_column(Sealed("deliveries.body"))
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    leased_by: Mapped[str | None] = mapped_column(String(64))
    leased_until: Mapped[datetime | None]
    provider_id: Mapped[str | None] = mapped_column(String(120))
    problem: Mapped[str | None]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]

    query: Mapped[Query | None] = relationship()

    __table_args__ = (
        UniqueConstraint("message_id", "part"),
        CheckConstraint("state IN ('waiting', 'sending', 'accepted', 'refused', 'unknown')", name="delivery_state_known"),
        Index("deliveries_to_send", "next_try_at", **where("state IN ('waiting', 'sending')")),
        Index("deliveries_in_trouble", "created_at", **where("state IN ('refused', 'unknown')")),
    )


class Explanation(Base):
    """A request to a body to explain a decision (H-T2-R6), and what it answered."""

    __tablename__ = "explanations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"), index=True)
    body: Mapped[str] = mapped_column(String(20))
    address: Mapped[str | None] = mapped_column(Sealed("explanations.address"))
    text: Mapped[str] = mapped_column(Sealed("explanations.text"))
    due_on: Mapped[date]
    state: Mapped[str] = mapped_column(String(10), default="asked")
    asked_by: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    asked_at: Mapped[datetime]
    reminders: Mapped[int] = mapped_column(default=0)
    answer: Mapped[str | None] = mapped_column(Sealed("explanations.answer"))
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("body IN ('council', 'icb', 'service', 'school')", name="body_known"),
        CheckConstraint("state IN ('asked', 'answered', 'withdrawn')", name="explanation_state_known"),
    )


class Leave(Base):
    """Days, both included, on which a member of staff owns nothing."""

    __tablename__ = "leave"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
    from_on: Mapped[date]
    to_on: Mapped[date]

    __table_args__ = (CheckConstraint("from_on <= to_on", name="leave_has_days"),)


class ReturnCode(Base):
    """A code that opens a conversation from anywhere (`/return`). Only its hash is kept; every hand-off tells one."""

    __tablename__ = "return_codes"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id"))
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ConversationToken(Base):
    """A further browser that opens a conversation, by its return code. Only the token's hash is kept."""

    __tablename__ = "conversation_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]


class Heartbeat(Base):
    """A worker and when it was last seen alive."""

    __tablename__ = "heartbeats"

    worker: Mapped[str] = mapped_column(String(64), primary_key=True)
    started_at: Mapped[datetime]
    at: Mapped[datetime]


class DailyJob(Base):
    """A job that runs once a day: the day for which it was last done."""

    __tablename__ = "daily_jobs"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    done_for: Mapped[date]
    at: Mapped[datetime]
