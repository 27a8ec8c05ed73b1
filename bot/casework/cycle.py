"""The one guarded door to every change of a query: state, event, promise, owner, what the parent is told and who is alerted.

Each function works within the caller's session, so that a change, its event and its outbound message are one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Mapping, Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload

from bot.casework.policy import CasePolicy
from bot.casework.promises import WorkingDays
from bot.casework.routing import Need, NobodyToAsk, Special, choose_lead, is_awake
from bot.casework.schedule import DEPUTY, LEAD, MANAGER, alert_key
from bot.clock import Clock, new_id
from bot.conversations.delivery import Deliveries
from bot.conversations.log import ConversationLog
from bot.conversations.outbound import OfferedChoice, Outbound
from bot.conversations.shown import Written
from bot.knowledge.answers import Answers
from bot.knowledge.areas import Area
from bot.store.cycle import Alert, Email, Explanation, Leave, Promise, Question
from bot.store.database import Database
from bot.store.states import check_move
from bot.store.tables import Conversation, Query, QueryEvent, Reply, Staff

# The days that a promise is looked up ahead at start-up: past every wait of the policy.
HORIZON = 60
KINDS = ("ordinary", "priority", "urgent")


@dataclass(frozen=True)
class Mail:
    """Where e-mails to staff come from, and the address of the console that they link to."""

    site: str


class Cycle:
    """What all of casework does to queries.

    Parameters
    ----------
    areas: by id; an area's file sets promises, closures and teams. `default_area` stands in for one that is not known.
    mail: nothing where no e-mail is sent.
    """

    def __init__(
        self,
        database: Database,
        log: ConversationLog,
        deliveries: Deliveries,
        areas: Mapping[str, Area],
        default_area: str,
        answers: Answers,
        policy: CasePolicy,
        clock: Clock,
        mail: Mail | None = None,
    ) -> None:
        self.database, self.log, self.deliveries, self.areas, self.answers = database, log, deliveries, areas, answers
        self.policy, self.clock, self._mail = policy, clock, mail
        self._default = default_area
        self._calendars = {id: WorkingDays(area.closures) for id, area in areas.items()}
        self._teams = {
            (id, team["id"]): Special(*(frozenset(team.get(kept) or ()) for kept in ("topics", "therapies", "schools")))
            for id, area in areas.items()
            for team in area.teams
        }

    def area(self, id: str) -> Area:
        """The area of that id, or the configured one."""
        return self.areas.get(id) or self.areas[self._default]

    def calendar(self, area: str) -> WorkingDays:
        """The working days of an area."""
        return self._calendars[self.area(area).id]

    def check(self) -> None:
        """Fail at start-up rather than later: somebody owns every kind of query, and every promise and reminder has a date.

        Raises NobodyToAsk or BeyondCalendar.
        """
        with self.database.read() as session:
            self.check_ladder(session)
        today = self.clock.today()
        for id, area in self.areas.items():
            for kind in KINDS:
                self._calendars[id].due(today, area.promise.days(kind))
            self._calendars[id].morning(today, HORIZON)

    def check_ladder(self, session: Session) -> None:
        """Somebody owns every kind of query in every area, and the ladder of alerts ends in a manager. Raises NobodyToAsk."""
        for id in self.areas:
            for kind in KINDS:
                self.choose(session, Need(id, None, kind))
            self.manager(session, id)

    # events and states

    def record(self, session: Session, query: Query, kind: str, actor: str, detail: Mapping[str, Any] | None = None) -> None:
        """Add to what has happened to a query."""
        session.add(QueryEvent(query_id=query.id, at=self.clock.now(), kind=kind, actor=actor, detail=dict(detail or {})))

    def move(self, session: Session, query: Query, state: str, actor: str, detail: Mapping[str, Any] | None = None) -> None:
        """Change a query's state by the table of moves, record it, and have the worker look at it. Raises NotAllowed."""
        check_move(query.state, state)
        now = self.clock.now()
        query.state, query.state_since, query.reminders, query.reminded_at = state, now, 0, None
        query.ended_at = None if query.is_open else now
        query.next_look_at = now if query.is_open else None
        if state in ("partly", "reopened"):
            query.answered_at = query.acknowledged_at = query.ended_reason = None
        self.record(session, query, state, actor, detail)
        if not query.is_open:
            self._end(session, query)

    def _end(self, session: Session, query: Query) -> None:
        """What ends with a query: its hold on the conversation, replies not sent yet, requests to explain."""
        self.release_hold(session, query)
        session.execute(update(Reply).where(Reply.query_id == query.id, Reply.state.in_(("to_read", "waiting"))).values(state="overtaken"))
        session.execute(update(Explanation).where(Explanation.query_id == query.id, Explanation.state == "asked").values(state="withdrawn", ended_at=self.clock.now()))

    def look_again(self, session: Session, query: Query) -> None:
        """Have the worker look at an open query now. Does not count as a change of the query for those who have its page open."""
        now = self.clock.now()
        session.execute(update(Query).where(Query.id == query.id, Query.ended_at.is_(None)).values(next_look_at=now).execution_options(synchronize_session=False))

    # promises

    def promise(self, session: Session, query: Query, due_on: date, reason: str, actor: str) -> None:
        """Promise another day. The caller tells the parent, with that day and the reason."""
        query.promise_no, query.due_on = query.promise_no + 1, due_on
        session.add(Promise(query_id=query.id, no=query.promise_no, due_on=due_on, reason=reason, made_at=self.clock.now(), told_seq=None))
        self.record(session, query, "promised", actor, {"due_on": due_on.isoformat(), "reason": reason})
        query.next_look_at = self.clock.now()

    def due(self, query: Query) -> date:
        """The day that a promise made today for a query like this falls on."""
        area = self.area(query.area)
        return self._calendars[area.id].due(self.clock.today(), area.promise.days(query.kind))

    @staticmethod
    def add_questions(session: Session, query: Query, seq: int, texts: Sequence[str], mark: str = "open") -> None:
        """Keep what a message asks, one row a question."""
        session.add_all(Question(id=new_id(), query_id=query.id, seq=seq, no=number, text=text, mark=mark) for number, text in enumerate(texts, 1))

    # what the parent is told

    def tell(self, session: Session, query: Query, key: str, choices: Sequence[OfferedChoice] = (), **words: str) -> Written:
        """Say a sentence of the system in the query's conversation; it is delivered on the parent's channel."""
        text = self.answers.say(key, **{**self.words(query), **words})
        return self.say(session, query, Outbound(text, author="system", query_id=query.id, choices=tuple(choices)))

    def say(self, session: Session, query: Query, said: Outbound) -> Written:
        """Put a message into the query's conversation and on its way."""
        message = self.log.append(session, query.conversation_id, [said])[0]
        self.deliveries.dispatch(session, query.conversation_id)
        return message

    def tell_promise(self, session: Session, query: Query, key: str, **words: str) -> None:
        """Tell the parent the day that was just promised, and keep that they were told."""
        told = self.tell(session, query, key, **words)
        session.execute(update(Promise).where(Promise.query_id == query.id, Promise.no == query.promise_no).values(told_seq=told.seq))

    @staticmethod
    def words(query: Query) -> dict[str, str]:
        """What sentences of the system may name of a query."""
        return {"reference": query.reference, "lead": query.lead.name, "lead_title": query.lead.title, "due_on": f"{query.due_on:%A %-d %B %Y}"}

    # the person who has the conversation

    def hold(self, session: Session, query: Query) -> None:
        """A person has the conversation from now on: the bot is quiet."""
        held = session.get_one(Conversation, query.conversation_id)
        if held.held_query_id != query.id:
            held.held_query_id, held.hold_told = query.id, False

    def release_hold(self, session: Session, query: Query) -> bool:
        """The bot may speak again, unless the conversation is held for another query; whether this query held it."""
        freed = session.execute(
            update(Conversation)
            .where(Conversation.id == query.conversation_id, Conversation.held_query_id == query.id)
            .values(held_query_id=None, hold_told=False)
            .execution_options(synchronize_session="fetch")
        )
        return freed.rowcount == 1

    # people

    def staff(self, session: Session) -> list[Staff]:
        """The staff directory."""
        return list(session.scalars(select(Staff)))

    def away(self, session: Session) -> frozenset[str]:
        """Ids of those on leave today."""
        today = self.clock.today()
        return frozenset(session.scalars(select(Leave.staff_id).where(Leave.from_on <= today, Leave.to_on >= today)))

    def choose(self, session: Session, need: Need, besides: Sequence[str] = ()) -> Staff:
        """The named person for a need. Raises NobodyToAsk."""
        return choose_lead(need, self.staff(session), self._loads(session), self.clock.today(), self.away(session), self._teams, besides)

    @staticmethod
    def _loads(session: Session) -> dict[str, int]:
        counted = select(Query.lead_id, func.count()).where(Query.ended_at.is_(None)).group_by(Query.lead_id)
        return {lead: count for lead, count in session.execute(counted)}

    def need(self, query: Query) -> Need:
        """What routing looks at of a query."""
        return Need(query.area, query.topic, query.kind, query.therapy, query.language, query.school)

    def deputy(self, session: Session, query: Query) -> Staff:
        """Who stands in for the lead: the deputy they name, else whom routing would ask next, else the manager."""
        lead, away, today = query.lead, self.away(session), self.clock.today()
        named = session.get(Staff, lead.deputy_id) if lead.deputy_id else None
        if named is not None and is_awake(named, today, away):
            return named
        try:
            return self.choose(session, self.need(query), besides=[lead.id])
        except NobodyToAsk:
            return self.manager(session, query.area)

    def manager(self, session: Session, area: str) -> Staff:
        """The end of the ladder: a manager of the area, else any manager; one on leave rather than nobody. Raises NobodyToAsk."""
        away, today = self.away(session), self.clock.today()
        managers = sorted((s for s in self.staff(session) if s.role == "manager" and s.active), key=lambda s: s.name)
        awake = [s for s in managers if is_awake(s, today, away)]
        here = [s for s in awake if not s.areas or area in s.areas]
        for rung in (here, awake, managers):
            if rung:
                return rung[0]
        raise NobodyToAsk("the staff directory has no active manager, so the ladder of alerts would end in nobody: add one with `signpost staff add`")

    def on_rung(self, session: Session, query: Query, step: str) -> Staff:
        """The person on a rung of a query's ladder."""
        return {LEAD: lambda: query.lead, DEPUTY: lambda: self.deputy(session, query), MANAGER: lambda: self.manager(session, query.area)}[step]()

    def pass_to(self, session: Session, query: Query, to: Staff, reason: str, actor: str) -> None:
        """Give a query to another named person, with its history; the parent is told the new name, the new lead is alerted."""
        before = query.lead.name
        query.lead_id, query.lead, query.acknowledged_at = to.id, to, None
        query.next_look_at = self.clock.now()
        self.record(session, query, "passed_on", actor, {"from": before, "lead": to.name, "reason": reason})
        self.tell(session, query, "query_passed_on", before=before)
        # A query can come back to somebody, so the event makes the key.
        self.alert(session, query, "passed_on", LEAD, about=new_id())

    # alerts

    def alert(self, session: Session, query: Query, kind: str, step: str = LEAD, about: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Tell the person on a rung, once for each promise and `about`."""
        key = alert_key(query.id, query.promise_no, kind, step) + (f":{about}" if about else "")
        self.raise_alert(session, key, kind, step, self.on_rung(session, query, step), query, detail)

    def raise_alert(
        self, session: Session, key: str, kind: str, step: str, to: Staff, query: Query | None = None, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Tell somebody, once for `key`: in the console, and by e-mail where it is on."""
        if session.scalar(select(Alert.id).where(Alert.key == key)) is not None:
            return
        now = self.clock.now()
        session.add(
            Alert(id=new_id(), key=key, query_id=query.id if query else None, kind=kind, step=step, staff_id=to.id, detail=dict(detail or {}), at=now)
        )
        if self._mail is not None:
            about = f"{query.reference}: " if query else ""
            link = f"{self._mail.site}/console" + (f"/queries/{query.id}" if query else "")
            words = self.answers.say(f"alert_{kind}")
            self._email(session, key, to.email, about + words, self.answers.say("alert_mail", name=to.name, words=words, link=link), query)
        session.flush()

    def _email(self, session: Session, key: str, address: str, subject: str, body: str, query: Query | None) -> None:
        id = query.id if query else None
        session.add(Email(id=new_id(), key=key, address=address, subject=subject, body=body, state="waiting", attempts=0, next_try_at=self.clock.now(), query_id=id))

    def write_to_body(self, session: Session, query: Query, request: Explanation, key: str) -> None:
        """E-mail a body that is asked to explain, or remind it (`key` names the wording), where we have its address."""
        if self._mail is None or request.address is None:
            return
        body = self.answers.say(key, text=request.text, reference=query.reference, due_on=f"{request.due_on:%A %-d %B %Y}")
        subject = f"{query.reference}: {self.answers.say('explanation_subject')}"
        self._email(session, f"explanation:{request.id}:{request.reminders}", request.address, subject, body, query)

    def acknowledge(self, session: Session, query: Query, member: Staff) -> None:
        """A human has seen to a query: it counts as read, and their alerts about it are acknowledged."""
        now = self.clock.now()
        session.execute(
            update(Alert)
            .where(Alert.query_id == query.id, Alert.staff_id == member.id, Alert.acknowledged_at.is_(None))
            .values(acknowledged_at=now, acknowledged_by=member.id)
        )
        if query.acknowledged_at is None:
            query.acknowledged_at = now

    def locked(self, session: Session, query_id: str) -> Query:
        """A query with its lead, kept from others until the transaction ends."""
        asked = select(Query).options(joinedload(Query.lead, innerjoin=True)).where(Query.id == query_id)
        return session.scalars(asked.with_for_update(of=Query).execution_options(populate_existing=True)).one()
