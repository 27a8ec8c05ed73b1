"""Tables of the Telegram channel: updates that were taken, one-use codes, chats that asked for quiet, and leases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from bot.store.sealing import SealedJSON, SealedNumber
from bot.store.tables import Base, where


class TelegramUpdate(Base):
    """An update that Telegram was told we have. `body` is there until it has been handled; one that cannot be is `set_aside`."""

    __tablename__ = "telegram_updates"

    update_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    chat_id: Mapped[int] = mapped_column(SealedNumber("telegram_updates.chat_id"))
    body: Mapped[dict[str, Any] | None] = mapped_column(SealedJSON("telegram_updates.body"))
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[str] = mapped_column(String(64))
    claimed_until: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'handled', 'set_aside')", name="update_state_known"),
        Index("telegram_updates_waiting", "chat_id", "update_id", **where("state = 'waiting'")),
    )


class TelegramCode(Base):
    """A one-use code that a person carries between web and Telegram (`carry_on`) or confirms with (`delete`).

    Only its hash is kept. `used_in` is the update that used it up."""

    __tablename__ = "telegram_codes"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(10))
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime]
    used_in: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (CheckConstraint("purpose IN ('carry_on', 'delete')", name="code_purpose_known"),)


class TelegramQuiet(Base):
    """A conversation whose parent said /stop: nothing later than message number `after_seq` is sent there until they write again."""

    __tablename__ = "telegram_quiet"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    after_seq: Mapped[int]


class Lease(Base):
    """Something that only one app does at a time, and until when it has it."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    until: Mapped[datetime]
