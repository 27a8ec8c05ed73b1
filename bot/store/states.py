"""States of a query and the moves between them.

H-T2-R9: "a query cycle is completed and the parent receives a valid response". Overdue and due today are computed, never states.
"""

from __future__ import annotations

TRANSITIONS: dict[str, frozenset[str]] = {
    "logged": frozenset({"routed"}),
    "routed": frozenset({"in_progress", "awaiting_parent", "replied", "withdrawn", "closed_by_manager"}),
    "in_progress": frozenset({"awaiting_parent", "replied", "withdrawn", "closed_by_manager"}),
    "awaiting_parent": frozenset({"in_progress", "replied", "withdrawn", "silent", "closed_by_manager"}),
    "replied": frozenset({"replied", "confirmed", "partly", "reopened", "withdrawn", "silent", "closed_by_manager"}),
    "partly": frozenset({"in_progress", "awaiting_parent", "replied", "withdrawn", "closed_by_manager", "confirmed"}),
    "reopened": frozenset({"in_progress", "awaiting_parent", "replied", "withdrawn", "closed_by_manager", "confirmed"}),
    "confirmed": frozenset({"reopened", "partly"}),
    "silent": frozenset({"reopened", "confirmed", "partly"}),
    "withdrawn": frozenset({"reopened"}),
    "closed_by_manager": frozenset({"reopened"}),
}
STATES = frozenset(TRANSITIONS)
CLOSED_STATES = frozenset({"confirmed", "silent", "withdrawn", "closed_by_manager"})
OPEN_STATES = STATES - CLOSED_STATES
ANSWERABLE_STATES = frozenset(state for state, after in TRANSITIONS.items() if "replied" in after)


class NotAllowed(Exception):
    """A query may not go from its state to the one asked for."""


def check_move(before: str, after: str) -> None:
    """Raise NotAllowed unless the move stands in the table."""
    if after not in TRANSITIONS[before]:
        raise NotAllowed(f"a query that is {before} cannot become {after}")
