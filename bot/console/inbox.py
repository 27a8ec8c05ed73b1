"""The inbox: who waits for an answer, the oldest promise first, in views that can be filtered, searched and saved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Callable, Mapping, Sequence
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from bot.casework.references import find_reference
from bot.casework.supervision import Refused
from bot.clock import Clock, new_id
from bot.console.access import in_scope, may_see_area
from bot.knowledge.answers import Answers
from bot.store.console import SavedView, Summary, Tag
from bot.store.cycle import Alert, Delivery
from bot.store.database import Database
from bot.store.states import STATES
from bot.store.tables import Conversation, Message, Query, Reply, Staff

PAGE = 50
LONGEST_SEARCH = 80
MOST_SAVED = 20
# A longer list is not counted to its end: that would make it slower with every query that was ever closed.
MOST_COUNTED = 5000
OPEN = Query.ended_at.is_(None)
# a reply that answers is on its way or with the parent
OWED = and_(OPEN, Query.state != "replied")
CLOCK_RUNS = and_(OPEN, Query.answered_at.is_(None), Query.state != "awaiting_parent")
WAITING = and_(OPEN, or_(Query.state == "awaiting_parent", Query.state == "replied"))
IN_TROUBLE = Query.id.in_(select(Delivery.query_id).where(Delivery.state.in_(("refused", "unknown")), Delivery.query_id.is_not(None)))

Condition = Callable[[Staff, date], ColumnElement[bool]]
VIEWS: dict[str, tuple[str, Condition]] = {
    "mine": ("Mine", lambda member, today: and_(OWED, Query.lead_id == member.id)),
    "team": ("My team's", lambda member, today: and_(OWED, Query.lead_id.in_(select(Staff.id).where(Staff.team == member.team)))),
    "all": ("All open", lambda member, today: OWED),
    "unassigned": ("Not picked up", lambda member, today: and_(OWED, Query.acknowledged_at.is_(None))),
    "urgent": ("Urgent", lambda member, today: and_(OWED, Query.kind == "urgent")),
    "overdue": ("Overdue", lambda member, today: and_(CLOCK_RUNS, Query.due_on < today)),
    "today": ("Due today", lambda member, today: and_(CLOCK_RUNS, Query.due_on == today)),
    "waiting": ("Waiting for the parent", lambda member, today: WAITING),
    "undelivered": ("Undelivered", lambda member, today: and_(OPEN, IN_TROUBLE)),
    "closed": ("Closed", lambda member, today: Query.ended_at.is_not(None)),
}
FILTERS = ("topic", "area", "channel", "school", "language", "state", "kind", "tag", "lead")


@dataclass(frozen=True)
class InboxChoice:
    """What to list: a view, filters by name (those that are set), words to search for, and a page from 1."""

    view: str
    filters: Mapping[str, str]
    search: str
    page: int

    @classmethod
    def read(cls, asked: Mapping[str, str], member: Staff) -> "InboxChoice":
        """From the address of the page; anything unknown is the ordinary inbox. A lead's is their own."""
        view, page = asked.get("view", ""), asked.get("page", "")
        return cls(
            view if view in VIEWS else ("mine" if member.role == "lead" else "all"),
            {name: asked[name].strip()[:120] for name in FILTERS if asked.get(name, "").strip()},
            asked.get("search", "").strip()[:LONGEST_SEARCH],
            max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 6 else 1,
        )

    @classmethod
    def of_address(cls, address: str, member: Staff) -> "InboxChoice":
        """From an address, whoever made it: only what a list can show is taken from it."""
        return cls.read(dict(parse_qsl(address.partition("?")[2])), member)

    def address(self, **changed: Any) -> str:
        """The address of this list with something changed; another view or filter begins at its first page."""
        chosen = replace(self, **({"page": 1} | changed))
        asked = {"view": chosen.view, **chosen.filters, "search": chosen.search, "page": str(chosen.page) if chosen.page > 1 else ""}
        return "/console?" + urlencode({name: value for name, value in asked.items() if value})

    def without(self, name: str) -> str:
        """The address without one filter."""
        return self.address(filters={other: value for other, value in self.filters.items() if other != name})


@dataclass(frozen=True)
class Row:
    """A query in the list. `fetched` tells of its newest reply; nothing if there is none."""

    query: Query
    question: str
    summary: str
    tags: Sequence[str]
    overdue: bool
    due_today: bool
    fetched: bool | None
    undelivered: bool


@dataclass(frozen=True)
class InboxPage:
    """One page of the list, how many there are in it and in each view, and what the reader has not acknowledged."""

    rows: Sequence[Row]
    total: int
    urgent: Sequence[Query]
    counts: Mapping[str, int]
    page: int
    alerts: Sequence[Alert]
    more_alerts: int
    saved: Sequence[SavedView]
    read_at: datetime

    @property
    def first(self) -> int:
        """Number of the first row on this page, from 1."""
        return (self.page - 1) * PAGE + 1

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, -(-self.total // PAGE))

    @property
    def goes_on(self) -> bool:
        """Whether there are more than were counted."""
        return self.total >= MOST_COUNTED


@dataclass(frozen=True)
class Offered:
    """What the filters can be set to."""

    areas: Sequence[str]
    channels: Sequence[str]
    schools: Sequence[str]
    languages: Sequence[str]
    tags: Sequence[str]
    leads: Sequence[Staff]
    states: Sequence[str] = tuple(sorted(STATES - {"logged"}))


class Inbox:
    """Reads queries for the staff who owe them. Overdue and due today are computed from the promise."""

    def __init__(self, database: Database, clock: Clock, answers: Answers) -> None:
        self._database, self._clock, self._answers = database, clock, answers

    def read(self, member: Staff, choice: InboxChoice) -> InboxPage:
        """The list that `choice` names, with counts of everything that is open."""
        today = self._clock.today()
        shown = self._shown(member, choice, today)
        with self._database.read() as session:
            some = select(Query.id).join(Conversation).where(shown).limit(MOST_COUNTED).subquery()
            total = session.scalar(select(func.count()).select_from(some)) or 0
            page = min(choice.page, max(1, -(-total // PAGE)))
            listed = self._listed(shown, choice.view).limit(PAGE).offset((page - 1) * PAGE)
            rows = self._rows(session, list(session.scalars(listed)), today)
            urgent = select(Query).options(joinedload(Query.lead)).where(in_scope(member), Query.kind == "urgent", OWED)
            urgent_now = list(session.scalars(urgent.order_by(Query.asked_at).limit(PAGE)))
            alerts = self._alerts(session, member)
            saved = select(SavedView).where(SavedView.staff_id == member.id).order_by(SavedView.name)
            return InboxPage(
                rows, total, urgent_now, self._counts(session, member, today), page, alerts[:5], max(0, len(alerts) - 5), list(session.scalars(saved)), self._clock.now()
            )

    def _shown(self, member: Staff, choice: InboxChoice, today: date) -> ColumnElement[bool]:
        conditions = [in_scope(member)]
        if not choice.search:
            conditions.append(VIEWS[choice.view][1](member, today))
        conditions += [self._filter(name, value) for name, value in choice.filters.items()]
        conditions += [self._matches(word) for word in choice.search.split()]
        return and_(*conditions)

    @staticmethod
    def _filter(name: str, value: str) -> ColumnElement[bool]:
        if name == "tag":
            return exists().where(Tag.conversation_id == Query.conversation_id, Tag.tag == value)
        column = {"channel": Conversation.channel, "lead": Query.lead_id}.get(name)
        return (column if column is not None else getattr(Query, name)) == value

    def _matches(self, word: str) -> ColumnElement[bool]:
        """A word of a search is found in the reference, the school, the topic's title, a tag or the summary: never in what was said."""
        like = "%" + word.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        topics = [answer.topic for answer in self._answers if word.lower() in answer.title.lower() or word.lower() in answer.topic]
        return or_(
            func.lower(Query.reference).like(like, escape="\\"),
            func.lower(Query.school).like(like, escape="\\"),
            Query.topic.in_(topics),
            Query.conversation_id.in_(select(Tag.conversation_id).where(func.lower(Tag.tag).like(like, escape="\\"))),
            Query.id.in_(select(Summary.query_id).where(func.lower(Summary.text).like(like, escape="\\"))),
        )

    @staticmethod
    def _listed(shown: ColumnElement[bool], view: str):
        rank = case((Query.kind == "urgent", 0), (Query.kind == "priority", 1), else_=2)
        orders = {"waiting": (Query.state_since.desc(), Query.id), "closed": (Query.ended_at.desc(), Query.id)}
        order = orders.get(view, (Query.due_on, rank, Query.asked_at, Query.id))
        return select(Query).join(Conversation).options(joinedload(Query.lead)).where(shown).order_by(*order)

    @staticmethod
    def _rows(session: Session, queries: list[Query], today: date) -> list[Row]:
        ids = [q.id for q in queries]
        question = select(Query.id, Message.text).join(
            Message, and_(Message.conversation_id == Query.conversation_id, Message.seq == Query.asked_seq)
        )
        questions = dict(session.execute(question.where(Query.id.in_(ids))).all())
        replies = select(Reply.query_id, Reply.delivered_at).where(Reply.query_id.in_(ids), Reply.state == "sent").order_by(Reply.at)
        fetched = {id: at is not None for id, at in session.execute(replies)}
        undelivered = set(session.scalars(select(Query.id).where(Query.id.in_(ids), IN_TROUBLE)))
        summaries = dict(session.execute(select(Summary.query_id, Summary.text).where(Summary.query_id.in_(ids))).all())
        tags: dict[str, list[str]] = {}
        for conversation_id, tag in session.execute(
            select(Tag.conversation_id, Tag.tag).where(Tag.conversation_id.in_([q.conversation_id for q in queries])).order_by(Tag.tag)
        ):
            tags.setdefault(conversation_id, []).append(tag)
        return [
            Row(
                q,
                questions.get(q.id, ""),
                summaries.get(q.id, ""),
                tags.get(q.conversation_id, ()),
                q.is_owed and q.due_on < today,
                q.is_owed and q.due_on == today,
                fetched.get(q.id),
                q.id in undelivered,
            )
            for q in queries
        ]

    @staticmethod
    def _counts(session: Session, member: Staff, today: date) -> dict[str, int]:
        """Only what is open is counted: the past must not make the list slower."""
        counted = [func.sum(case((condition(member, today), 1), else_=0)) for name, (_, condition) in VIEWS.items() if name != "closed"]
        numbers = session.execute(select(*counted).select_from(Query).where(in_scope(member), OPEN)).one()
        return dict(zip((name for name in VIEWS if name != "closed"), (number or 0 for number in numbers)))

    @staticmethod
    def _alerts(session: Session, member: Staff) -> list[Alert]:
        """What this member has not acknowledged, newest first; about queries only while they are open."""
        mine = select(Alert).outerjoin(Query, Query.id == Alert.query_id).options(joinedload(Alert.query))
        live = (Alert.query_id.is_(None)) | (Query.ended_at.is_(None)) | (Alert.kind == "withdrawn")
        return list(session.scalars(mine.where(Alert.staff_id == member.id, Alert.acknowledged_at.is_(None), live).order_by(Alert.at.desc()).limit(PAGE)))

    def alerts(self, member: Staff) -> list[Alert]:
        """Everything that this member has not acknowledged, newest first."""
        with self._database.read() as session:
            return self._alerts(session, member)

    def news(self, member: Staff, choice: InboxChoice, since: datetime) -> int:
        """How many queries have come into a list since a moment."""
        shown = and_(self._shown(member, choice, self._clock.today()), Query.asked_at > since)
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(Query).join(Conversation).where(shown)) or 0

    def offered(self, member: Staff, areas: Sequence[str]) -> Offered:
        """What the filters can be set to, of what this member may see."""
        mine = in_scope(member)

        def known(session: Session, column) -> list[str]:
            found = select(column).select_from(Query).join(Conversation).where(mine, column.is_not(None)).distinct()
            return sorted(value for value in session.scalars(found) if value)

        with self._database.read() as session:
            tags = select(Tag.tag).join(Query, Query.conversation_id == Tag.conversation_id).where(mine).distinct().order_by(Tag.tag)
            leads = select(Staff).where(Staff.id.in_(select(Query.lead_id).where(mine))).order_by(Staff.name)
            return Offered(
                areas=[area for area in areas if may_see_area(member, area)],
                channels=known(session, Conversation.channel),
                schools=known(session, Query.school),
                languages=known(session, Query.language),
                tags=list(session.scalars(tags)),
                leads=list(session.scalars(leads)),
            )

    def by_reference(self, member: Staff, typed: str) -> Query | None:
        """The query with a reference, as somebody may type it, if this member may see it."""
        reference = find_reference(typed) or find_reference(f"SP-{typed.strip()}")
        if reference is None:
            return None
        with self._database.read() as session:
            return session.scalar(select(Query).where(Query.reference == reference, in_scope(member)))

    # saved views

    def save_view(self, member: Staff, name: str, address: str) -> str:
        """Keep a list under a name; the same name again replaces it. The kept address. Raises Refused."""
        name = " ".join(name.split())
        if not name or len(name) > 60:
            raise Refused("Give the view a name of up to 60 letters.")
        kept = InboxChoice.of_address(address, member).address()
        if len(kept) > 500:
            raise Refused("That view has too many filters to be saved.")
        try:
            with self._database.write() as session:
                mine = list(session.scalars(select(SavedView).where(SavedView.staff_id == member.id)))
                before = next((view for view in mine if view.name == name), None)
                if before is not None:
                    before.address = kept
                elif len(mine) >= MOST_SAVED:
                    raise Refused(f"You have {MOST_SAVED} saved views. Remove one first.")
                else:
                    session.add(SavedView(id=new_id(), staff_id=member.id, name=name, address=kept))
        except IntegrityError:
            raise Refused("There is a view with that name already.") from None
        return kept

    def remove_view(self, member: Staff, id: str) -> None:
        """Forget a saved view of one's own."""
        with self._database.write() as session:
            session.execute(delete(SavedView).where(SavedView.id == id, SavedView.staff_id == member.id))
