"""Who a query goes to. H-T2-R3: "each parent … is allocated a named lead professional"; a name, never a mailbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Collection, Mapping, Sequence

from bot.store.tables import Staff

NOBODY_AWAY: frozenset[str] = frozenset()


class NobodyToAsk(Exception):
    """The staff directory holds nobody who could own a query: add an active manager (`signpost staff add`)."""


@dataclass(frozen=True)
class Need:
    """What routing looks at."""

    area: str
    topic: str | None
    kind: str
    therapy: str | None = None
    language: str = "en"
    school: str | None = None


@dataclass(frozen=True)
class Special:
    """What a team of an area file is for; empty means nothing special."""

    topics: frozenset[str] = frozenset()
    therapies: frozenset[str] = frozenset()
    schools: frozenset[str] = frozenset()


Teams = Mapping[tuple[str, str], Special]


def is_awake(member: Staff, today: date, away: Collection[str] = NOBODY_AWAY) -> bool:
    """Whether this member of staff can own a query today; `away` holds the ids of those on leave."""
    return member.active and member.id not in away and (member.away_until is None or member.away_until < today)


def choose_lead(
    need: Need,
    staff: Sequence[Staff],
    open_queries: Mapping[str, int],
    today: date,
    away: Collection[str] = NOBODY_AWAY,
    teams: Teams = {},
    besides: Collection[str] = (),
) -> Staff:
    """The named person for a query: on call if urgent, else the lead who fits it best and has the fewest open queries.

    The ladder: leads of the area whose topics, school, language and therapy (their own, or their team's in the area file) fit, those who
    fit in more first; leads for everything; the area's duty leads; coordinators; managers. Somebody kept for other topics is not
    asked before those, but no rung is left out. Within a rung the one with the fewest open queries (`open_queries`, by staff id), then
    by name. `besides` are ids that are not asked (a deputy is somebody else than the lead). Raises NobodyToAsk when every rung is empty.
    """
    awake = [s for s in staff if is_awake(s, today, away) and s.role != "auditor" and s.id not in besides]
    here = [s for s in awake if not s.areas or need.area in s.areas]
    on_call = [s for s in here if s.on_call] if need.kind == "urgent" else []
    leads = [s for s in here if s.role == "lead"]
    fits = {s.id: _fit(need, s, teams.get((need.area, s.team), Special())) for s in leads}
    best = max((fit for fit in fits.values() if fit is not None), default=0)
    rungs = (
        on_call,
        [s for s in leads if fits[s.id] == best and best > 0],
        [s for s in leads if fits[s.id] == 0],
        [s for s in leads if s.duty],
        leads,
        [s for s in here if s.role == "coordinator"],
        [s for s in here if s.role == "manager"],
        [s for s in awake if s.role == "manager"],
    )
    for rung in rungs:
        if rung:
            return min(rung, key=lambda s: (open_queries.get(s.id, 0), s.name))
    raise NobodyToAsk(f"nobody in the staff directory can own a query for {need.area}")


def _fit(need: Need, member: Staff, team: Special) -> int | None:
    """How well somebody fits: more is better, 0 is for everything, None is kept for other things."""
    asked = (
        (need.topic, member.topics or team.topics, 8),
        (need.school, member.schools or team.schools, 4),
        (need.language if need.language != "en" else None, member.languages, 2),
        (need.therapy, member.therapies or team.therapies, 1),
    )
    fit = 0
    for wanted, kept_for, weight in asked:
        if wanted is not None and wanted in kept_for:
            fit += weight
        elif kept_for and weight != 2 and (wanted is not None or weight == 8):
            return None
    return fit
