"""Tables of the staff console: second step of signing in, notes and tags, review, changes of answers, schools, promises, the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bot.store.sealing import Sealed
from bot.store.tables import Base, Staff, where


class RecoveryCode(Base):
    """A code that stands in for the second step of signing in, once. Only its hash is kept."""

    __tablename__ = "recovery_codes"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
    used_at: Mapped[datetime | None]


class OidcRequest(Base):
    """A browser that was sent to the organisation's own sign-in and is awaited back: what its answer is checked against."""

    __tablename__ = "oidc_requests"

    state_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    checks: Mapped[dict[str, Any]]
    onward: Mapped[str]
    expires_at: Mapped[datetime]


class Presence(Base):
    """A member of staff who has a query's page open (`at`, renewed while it is), and when they last wrote in its reply box."""

    __tablename__ = "presences"

    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id", ondelete="CASCADE"), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime]
    wrote_at: Mapped[datetime | None]

    staff: Mapped[Staff] = relationship()


class Typing(Base):
    """When a parent last typed in a conversation's message box."""

    __tablename__ = "typing"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime]


class Note(Base):
    """What staff write down for one another about a query. Parents never see it."""

    __tablename__ = "notes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id", ondelete="CASCADE"), index=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    text: Mapped[str] = mapped_column(Sealed("notes.text"))
    at: Mapped[datetime]

    staff: Mapped[Staff] = relationship()


class Summary(Base):
    """One line of staff about a query, without anything that says who somebody is: it can be searched."""

    __tablename__ = "summaries"

    query_id: Mapped[str] = mapped_column(ForeignKey("queries.id", ondelete="CASCADE"), primary_key=True)
    text: Mapped[str] = mapped_column(String(300))
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime]


class Tag(Base):
    """A word of staff for a conversation, and so for its queries."""

    __tablename__ = "tags"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(40), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    at: Mapped[datetime]

    __table_args__ = (Index("tags_by_tag", "tag"),)


class Review(Base):
    """What reviewers made of a conversation: whether somebody must look at it, and who has read it through."""

    __tablename__ = "reviews"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    flagged: Mapped[bool] = mapped_column(default=False, server_default=false())
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str | None] = mapped_column(ForeignKey("staff.id"))

    __table_args__ = (Index("reviews_flagged", "conversation_id", **where("flagged")),)


class SavedConversation(Base):
    """A conversation that a member of staff saved for later."""

    __tablename__ = "saved_conversations"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime]


class SavedView(Base):
    """A list of queries with its filters, under a name, for one member of staff."""

    __tablename__ = "saved_views"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(60))
    address: Mapped[str] = mapped_column(String(500))

    __table_args__ = (UniqueConstraint("staff_id", "name"),)


class ExampleProposal(Base):
    """A masked message that the bot read wrongly, with its right topic: a training example once a second person agrees.

    `understood` is the topic that the bot took it for. The conversation may be erased; the masked example stays.
    """

    __tablename__ = "example_proposals"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    conversation_id: Mapped[str | None] = mapped_column(ForeignKey("conversations.id", ondelete="SET NULL"), index=True)
    seq: Mapped[int]
    area: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(String(500))
    topic: Mapped[str] = mapped_column(String(60))
    understood: Mapped[str | None] = mapped_column(String(60))
    state: Mapped[str] = mapped_column(String(10), default="proposed")
    proposed_by: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None]
    comment: Mapped[str | None] = mapped_column(String(400))

    proposer: Mapped[Staff] = relationship(foreign_keys=[proposed_by])
    decider: Mapped[Staff | None] = relationship(foreign_keys=[decided_by])

    __table_args__ = (
        CheckConstraint("state IN ('proposed', 'approved', 'refused')", name="proposal_state_known"),
        CheckConstraint("decided_by IS NULL OR decided_by <> proposed_by", name="proposal_has_second_person"),
        Index("example_proposals_by_state", "state", "proposed_at"),
    )


class AnswerChange(Base):
    """A change of an answer: what it was and becomes (text, short, school, owner), who proposed it and which second person decided."""

    __tablename__ = "answer_changes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    topic: Mapped[str] = mapped_column(String(60), index=True)
    was: Mapped[dict[str, Any]]
    becomes: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(String(400))
    state: Mapped[str] = mapped_column(String(10), default="proposed")
    proposed_by: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None]
    comment: Mapped[str | None] = mapped_column(String(400))

    proposer: Mapped[Staff] = relationship(foreign_keys=[proposed_by])
    decider: Mapped[Staff | None] = relationship(foreign_keys=[decided_by])

    __table_args__ = (
        CheckConstraint("state IN ('proposed', 'approved', 'refused', 'withdrawn')", name="change_state_known"),
        CheckConstraint("state <> 'approved' OR decided_by <> proposed_by", name="change_has_second_person"),
        Index("answer_changes_one_open", "topic", unique=True, **where("state = 'proposed'")),
    )


class School(Base):
    """A school or setting of an area, by the name that staff and parents use."""

    __tablename__ = "schools"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    area: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(120))

    __table_args__ = (UniqueConstraint("area", "name"),)


class PromiseRule(Base):
    """Working days that staff have set for an area's promises; where there is none, the area's file holds."""

    __tablename__ = "promise_rules"

    area: Mapped[str] = mapped_column(String(40), primary_key=True)
    working_days: Mapped[int]
    priority_working_days: Mapped[int]
    urgent_working_days: Mapped[int]
    changed_by: Mapped[str] = mapped_column(ForeignKey("staff.id"))
    changed_at: Mapped[datetime]


class AuditEntry(Base):
    """Who did or read what in the console, and when; rows are only ever added. `about` is a reference or an id, never anybody's words."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    staff_id: Mapped[str | None] = mapped_column(ForeignKey("staff.id"))
    actor: Mapped[str]
    act: Mapped[str] = mapped_column(String(40))
    about: Mapped[str] = mapped_column(String(80), default="")
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    address: Mapped[str] = mapped_column(String(60), default="")

    __table_args__ = (Index("audit_entries_by_time", "at"), Index("audit_entries_by_staff", "staff_id", "at"), Index("audit_entries_by_subject", "about"))
