"""Who may see and do what in the console."""

from __future__ import annotations

from sqlalchemy import ColumnElement, true

from bot.store.tables import Query, Staff

REPLYING_ROLES = frozenset({"lead", "coordinator", "manager"})


def may_see(member: Staff, area: str) -> bool:
    """Whether queries of an area are this member's business; no areas means all."""
    return not member.areas or area in member.areas


def may_reply(member: Staff) -> bool:
    """Whether this member answers parents: an auditor only reads."""
    return member.role in REPLYING_ROLES


def in_scope(member: Staff) -> ColumnElement[bool]:
    """`may_see` as a condition on queries."""
    return Query.area.in_(member.areas) if member.areas else true()
