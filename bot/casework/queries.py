"""The query desk: queries opened, looked up, chased, replied to and reopened. Every change with its event in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from bot.casework.promises import WorkingDays
from bot.casework.references import new_reference
from bot.casework.routing import Need, choose_lead
from bot.clock import Clock, new_id
from bot.knowledge.areas import Area
from bot.store.database import Database
from bot.store.states import OPEN_STATES, TRANSITIONS, NotAllowed, check_move
from bot.store.tables import Conversation, Query, QueryEvent, Staff


@dataclass(frozen=True)
class QueryCard:
    """What a parent may know of a query."""

    id: str
    reference: str
    state: str
    lead: str
    lead_title: str
    due_on: date
    overdue: bool

    def words(self) -> dict[str, str]:
        """What a query fills in in the sentences of `data/answers/system.yml`."""
        return {"reference": self.reference, "lead": self.lead, "lead_title": self.lead_title, "due_on": f"{self.due_on:%A %-d %B %Y}"}

    def as_json(self) -> dict[str, Any]:
        """The fields of the chat API."""
        return {"reference": self.reference, "state": self.state, "lead": self.lead, "due_on": self.due_on.isoformat()}


class QueryDesk:
    """The one door to the query cycle.

    Parameters
    ----------
    areas: by id; an area's file sets the promise. `default_area` stands in for one that is not known.
    """

    def __init__(self, database: Database, areas: Mapping[str, Area], default_area: str, clock: Clock) -> None:
        self._database, self._areas, self._clock = database, areas, clock
        self._default = areas[default_area]
        self._calendars = {id: WorkingDays(area.closures) for id, area in areas.items()}

    def check(self) -> None:
        """Fail at start-up rather than later: somebody owns every kind of query and every promise has a date."""
        today = self._clock.today()
        with self._database.read() as session:
            staff = list(session.scalars(select(Staff)))
        for id, area in self._areas.items():
            for kind in ("ordinary", "priority", "urgent"):
                choose_lead(Need(id, None, kind), staff, {}, today)
                self._calendars[id].due(today, area.promise.days(kind))

    def open(
        self,
        conversation_id: str,
        asked_seq: int,
        *,
        reason: str,
        topic: str | None = None,
        kind: str = "ordinary",
        language: str = "en",
        area: str = "",
        told: Sequence[str] = (),
    ) -> QueryCard:
        """Log a question, route it to a named lead and promise a day; committed when this returns.

        The same message asked for twice gives the same query. `area` stands before the conversation's own; `told` is what was told in
        a guide, kept as a note so that nobody asks twice.
        """
        try:
            with self._database.write() as session:
                known = session.scalar(select(Query).where(Query.conversation_id == conversation_id, Query.asked_seq == asked_seq))
                query = known or self._log(session, conversation_id, asked_seq, reason, topic, kind, language, area)
                if told and known is None:
                    self.note(session, query, "told", "bot", {"told": list(told)})
                session.flush()
                return self.card(query)
        except IntegrityError:
            with self._database.read() as session:
                return self.card(self._asked(session, conversation_id, asked_seq))

    def _asked(self, session: Session, conversation_id: str, asked_seq: int) -> Query:
        return session.scalars(
            select(Query).options(joinedload(Query.lead)).where(Query.conversation_id == conversation_id, Query.asked_seq == asked_seq)
        ).one()

    def _log(
        self, session: Session, conversation_id: str, asked_seq: int, reason: str, topic: str | None, kind: str, language: str, named_area: str
    ) -> Query:
        conversation = session.get_one(Conversation, conversation_id)
        area = self._areas.get(named_area or conversation.area, self._default)
        now, today = self._clock.now(), self._clock.today()
        lead = choose_lead(Need(area.id, topic, kind), list(session.scalars(select(Staff))), self._loads(session), today)
        query = Query(
            id=new_id(),
            reference=new_reference(),
            conversation_id=conversation_id,
            asked_seq=asked_seq,
            topic=topic,
            area=area.id,
            kind=kind,
            language=language,
            reason=reason,
            state="logged",
            lead_id=lead.id,
            lead=lead,
            due_on=self._calendars[area.id].due(today, area.promise.days(kind)),
            asked_at=now,
        )
        session.add(query)
        session.flush()
        self._record(session, query, "logged", "bot", {"reason": reason, "topic": topic, "kind": kind})
        self.move(session, query, "routed", "routing", {"lead": lead.name, "due_on": query.due_on.isoformat()})
        return query

    @staticmethod
    def _loads(session: Session) -> dict[str, int]:
        counted = select(Query.lead_id, func.count()).where(Query.state.in_(OPEN_STATES)).group_by(Query.lead_id)
        return {lead: count for lead, count in session.execute(counted)}

    def _record(self, session: Session, query: Query, kind: str, actor: str, detail: dict[str, Any] | None = None) -> None:
        session.add(QueryEvent(query_id=query.id, at=self._clock.now(), kind=kind, actor=actor, detail=detail or {}))

    def move(self, session: Session, query: Query, state: str, actor: str, detail: dict[str, Any] | None = None) -> None:
        """Change a query's state by the table of moves and record it. Raises NotAllowed."""
        check_move(query.state, state)
        query.state = state
        self._record(session, query, state, actor, detail)

    def note(self, session: Session, query: Query, kind: str, actor: str, detail: dict[str, Any] | None = None) -> None:
        """Record something that does not change the state."""
        self._record(session, query, kind, actor, detail)

    def start(self, query_id: str, version: int, member: Staff) -> None:
        """Work on a query has begun. Raises NotAllowed if it has changed since its page (at `version`) was opened."""
        with self._database.write() as session:
            query = session.get_one(Query, query_id)
            if query.version != version:
                raise NotAllowed("the query has changed")
            self.move(session, query, "in_progress", member.name)

    def latest(self, conversation_id: str, reference: str | None = None) -> QueryCard | None:
        """The conversation's query with that reference, else its newest open one, else its newest."""
        with self._database.read() as session:
            query = self.find(session, conversation_id, reference)
            return self.card(query) if query else None

    def find(self, session: Session, conversation_id: str, reference: str | None = None) -> Query | None:
        """As `latest`, within a session."""
        asked = select(Query).options(joinedload(Query.lead)).where(Query.conversation_id == conversation_id).order_by(Query.asked_at.desc(), Query.asked_seq.desc())
        if reference:
            return session.scalar(asked.where(Query.reference == reference))
        queries = list(session.scalars(asked))
        return next((q for q in queries if q.is_open), queries[0] if queries else None)

    def chase(self, conversation_id: str, asked_seq: int, reference: str | None = None) -> QueryCard | None:
        """Mark that the parent asked again; nothing if there is no open query. One chase a message."""
        with self._database.write() as session:
            query = self.find(session, conversation_id, reference)
            if query is None or not query.is_open:
                return None
            query.chased_at = self._clock.now()
            self._record(session, query, "chased", "parent", {"seq": asked_seq, "overdue": self.card(query).overdue})
            return self.card(query)

    def reopen(self, conversation_id: str, asked_seq: int, reference: str | None = None) -> QueryCard | None:
        """The reply did not answer: open again with a new promise; nothing if there is no query with a reply."""
        with self._database.write() as session:
            query = self.find(session, conversation_id, reference)
            if query is None or "reopened" not in TRANSITIONS[query.state]:
                return self.card(query) if query else None
            area = self._areas.get(query.area, self._default)
            query.due_on = self._calendars[area.id].due(self._clock.today(), area.promise.days(query.kind))
            self.move(session, query, "reopened", "parent", {"seq": asked_seq, "due_on": query.due_on.isoformat()})
            return self.card(query)

    def tell(self, conversation_id: str, reference: str, told: Sequence[str]) -> QueryCard | None:
        """Note what a guide was told since a query was opened; nothing if it is not open any more."""
        with self._database.write() as session:
            query = self.find(session, conversation_id, reference)
            if query is None or not query.is_open:
                return None
            self.note(session, query, "told", "bot", {"told": list(told)})
            return self.card(query)

    def card(self, query: Query) -> QueryCard:
        """The parent's view of a query."""
        return QueryCard(
            query.id,
            query.reference,
            query.state,
            query.lead.name,
            query.lead.title,
            query.due_on,
            query.is_open and query.state != "replied" and query.due_on < self._clock.today(),
        )
