"""Who may see and do what in the console."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_, select, true
from sqlalchemy.orm import aliased

from bot.store.cycle import Alert
from bot.store.tables import Conversation, Query, Staff

ROLES = ("lead", "coordinator", "manager", "auditor")
REPLYING_ROLES = frozenset({"lead", "coordinator", "manager"})
PERMISSIONS: dict[str, frozenset[str]] = {
    "read": frozenset(ROLES),
    "reply": REPLYING_ROLES,
    "review": REPLYING_ROLES,
    "approve": frozenset({"coordinator", "manager"}),
    "close": frozenset({"manager"}),
    "health": frozenset({"coordinator", "manager", "auditor"}),
    "audit": frozenset({"manager", "auditor"}),
    "admin": frozenset({"manager"}),
}


def may(member: Staff, permission: str) -> bool:
    """Whether a member's role has a permission."""
    return member.role in PERMISSIONS[permission]


def may_see_area(member: Staff, area: str) -> bool:
    """Whether an area is this member's business; no areas means all."""
    return not member.areas or area in member.areas


def in_areas(member: Staff, column) -> ColumnElement[bool]:
    """`may_see_area` as a condition on a column of areas."""
    return column.in_(member.areas) if member.areas else true()


def in_scope(member: Staff) -> ColumnElement[bool]:
    """The queries that are this member's business, as a condition.

    Need to know: those of their areas; for a lead who belongs to a team, those of that team, and any that they were asked about.
    """
    here = in_areas(member, Query.area)
    if member.role != "lead" or not member.team:
        return here
    team = select(Staff.id).where(Staff.team == member.team)
    asked = exists().where(Alert.query_id == Query.id, Alert.staff_id == member.id)
    return and_(here, or_(Query.lead_id == member.id, Query.lead_id.in_(team), asked)) | (Query.lead_id == member.id)


def conversations_in_scope(member: Staff) -> ColumnElement[bool]:
    """The conversations that this member may review: of their areas or of none, and if they became queries, with one in their scope."""
    here = in_areas(member, Conversation.area) | (Conversation.area == "")
    if member.role != "lead" or not member.team:
        return here
    any_query = aliased(Query)
    theirs = exists(select(Query.id).where(Query.conversation_id == Conversation.id, in_scope(member)).correlate(Conversation))
    return and_(here, or_(~exists().where(any_query.conversation_id == Conversation.id), theirs))
