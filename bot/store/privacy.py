"""Tables of data protection: what was erased, what the engine has still to forget, counts without persons."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from bot.store.tables import Base


class Erasure(Base):
    """That a conversation's words were deleted: when, on whose wish and how much. The conversation's id is random and names nobody; with
    it, what comes back from an older backup is deleted again."""

    __tablename__ = "erasures"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    conversation_id: Mapped[str] = mapped_column(String(32), default="", server_default="")
    wished_by: Mapped[str] = mapped_column(String(12))
    area: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str] = mapped_column(String(20))
    messages: Mapped[int]
    queries: Mapped[int]

    __table_args__ = (CheckConstraint("wished_by IN ('parent', 'operator', 'retention')", name="wished_by_known"),)


class Forgetting(Base):
    """A conversation that the engine is still to forget. The row goes when it has, and no turn of it can be under way any more."""

    __tablename__ = "forgettings"

    conversation_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    since: Mapped[datetime]


class Statistic(Base):
    """A count of what was deleted since, without persons: how many of `measure` (and `of`) in a month, an area and a channel."""

    __tablename__ = "statistics"

    month: Mapped[date] = mapped_column(primary_key=True)
    area: Mapped[str] = mapped_column(String(40), primary_key=True)
    channel: Mapped[str] = mapped_column(String(20), primary_key=True)
    measure: Mapped[str] = mapped_column(String(20), primary_key=True)
    of: Mapped[str] = mapped_column(String(60), primary_key=True)
    number: Mapped[int]
