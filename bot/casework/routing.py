"""Who a query goes to. H-T2-R3: "each parent … is allocated a named lead professional"; a name, never a mailbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Mapping, Sequence

from bot.store.tables import Staff


class NobodyToAsk(Exception):
    """The staff directory holds nobody who could own a query: add an active manager (`signpost staff add`)."""


@dataclass(frozen=True)
class Need:
    """What routing looks at."""

    area: str
    topic: str | None
    kind: str


def is_awake(member: Staff, today: date) -> bool:
    """Whether this member of staff can own a query today."""
    return member.active and (member.away_until is None or member.away_until < today)


def choose_lead(need: Need, staff: Sequence[Staff], open_queries: Mapping[str, int], today: date) -> Staff:
    """The named person for a query: on call if urgent, else a lead for the area and topic with fewest open queries.

    The ladder: leads of the area who know the topic, leads of the area, coordinators, managers; within a rung the one with the
    fewest open queries (`open_queries`, by staff id), then by name. Raises NobodyToAsk when every rung is empty.
    """
    awake = [s for s in staff if is_awake(s, today) and s.role != "auditor"]
    here = [s for s in awake if not s.areas or need.area in s.areas]
    on_call = [s for s in here if s.on_call] if need.kind == "urgent" else []
    leads = [s for s in here if s.role == "lead"]
    rungs = (
        on_call,
        [s for s in leads if need.topic and need.topic in s.topics],
        [s for s in leads if not s.topics] or leads,
        [s for s in here if s.role == "coordinator"],
        [s for s in here if s.role == "manager"],
        [s for s in awake if s.role == "manager"],
    )
    for rung in rungs:
        if rung:
            return min(rung, key=lambda s: (open_queries.get(s.id, 0), s.name))
    raise NobodyToAsk(f"nobody in the staff directory can own a query for {need.area}")
