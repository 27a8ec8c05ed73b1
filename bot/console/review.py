"""Review of conversations, handed over or not: read through, flagged, tagged, saved for later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Callable, Mapping, Sequence
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, and_, delete, exists, func, select
from sqlalchemy.orm import Session

from bot.clock import Clock
from bot.console.access import conversations_in_scope
from bot.console.query_page import Said, said_of
from bot.knowledge.answers import Answers
from bot.store.console import ExampleProposal, Review, SavedConversation, Tag
from bot.store.database import Database
from bot.store.tables import Conversation, Message, Query, Reply, Staff

PAGE = 50
HAS_QUERY = exists().where(Query.conversation_id == Conversation.id)
NOT_UNDERSTOOD = exists().where(Message.conversation_id == Conversation.id, Message.outcome == "clarify") | exists().where(
    Query.conversation_id == Conversation.id, Query.reason == "unresolved"
)
REVIEWED = exists().where(Review.conversation_id == Conversation.id, Review.reviewed_at.is_not(None))
FLAGGED = exists().where(Review.conversation_id == Conversation.id, Review.flagged)

Condition = Callable[[Staff], ColumnElement[bool]]
VIEWS: dict[str, tuple[str, Condition]] = {
    "new": ("Not reviewed", lambda member: ~REVIEWED),
    "unclear": ("Not understood", lambda member: and_(NOT_UNDERSTOOD, ~REVIEWED)),
    "bot": ("Answered by the bot", lambda member: and_(~HAS_QUERY, ~REVIEWED)),
    "person": ("Passed to a person", lambda member: HAS_QUERY),
    "flagged": ("Flagged", lambda member: FLAGGED),
    "saved": ("Saved for later", lambda member: exists().where(SavedConversation.conversation_id == Conversation.id, SavedConversation.staff_id == member.id)),
    "reviewed": ("Reviewed", lambda member: REVIEWED),
    "all": ("All", lambda member: Conversation.id.is_not(None)),
}
FILTERS = ("topic", "area", "channel", "tag")


@dataclass(frozen=True)
class ReviewChoice:
    """What to list: a view, filters that are set, a page from 1."""

    view: str
    filters: Mapping[str, str]
    page: int

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> "ReviewChoice":
        """From an address; anything unknown is what nobody has reviewed."""
        view, page = asked.get("view", ""), asked.get("page", "")
        return cls(
            view if view in VIEWS else "new",
            {name: asked[name].strip()[:80] for name in FILTERS if asked.get(name, "").strip()},
            max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 6 else 1,
        )

    def address(self, **changed: Any) -> str:
        """The address with something changed."""
        chosen = replace(self, **({"page": 1} | changed))
        return "/console/review?" + urlencode({"view": chosen.view, **chosen.filters, **({"page": chosen.page} if chosen.page > 1 else {})})


@dataclass(frozen=True)
class ReviewRow:
    """A conversation in the list: how it began, how often the bot answered, asked back and passed on, and what became of it."""

    conversation: Conversation
    began: str
    outcomes: Mapping[str, int]
    references: Sequence[str]
    tags: Sequence[str]
    flagged: bool
    reviewed: bool


@dataclass(frozen=True)
class ReviewPage:
    """One page of the list."""

    rows: Sequence[ReviewRow]
    total: int
    page: int

    @property
    def first(self) -> int:
        """Number of the first row on this page, from 1."""
        return (self.page - 1) * PAGE + 1

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, -(-self.total // PAGE))


@dataclass(frozen=True)
class ConversationView:
    """A whole conversation with its review, its queries, tags and the examples that were proposed from it."""

    conversation: Conversation
    said: Sequence[Said]
    queries: Sequence[Query]
    review: Review | None
    reviewer: Staff | None
    saved: bool
    tags: Sequence[str]
    proposals: Mapping[int, ExampleProposal]


class Reviews:
    """Reads conversations for review and writes what reviewers make of them."""

    def __init__(self, database: Database, clock: Clock, answers: Answers) -> None:
        self._database, self._clock, self._answers = database, clock, answers

    def page(self, member: Staff, choice: ReviewChoice) -> ReviewPage:
        """The conversations that `choice` names, newest first."""
        spoken = exists().where(Message.conversation_id == Conversation.id, Message.author == "parent")
        shown = and_(conversations_in_scope(member), spoken, VIEWS[choice.view][1](member), *(self._filter(*pair) for pair in choice.filters.items()))
        with self._database.read() as session:
            total = session.scalar(select(func.count()).select_from(Conversation).where(shown)) or 0
            page = min(choice.page, max(1, -(-total // PAGE)))
            listed = select(Conversation).where(shown).order_by(Conversation.created_at.desc(), Conversation.id).limit(PAGE).offset((page - 1) * PAGE)
            return ReviewPage(self._rows(session, list(session.scalars(listed))), total, page)

    @staticmethod
    def _filter(name: str, value: str) -> ColumnElement[bool]:
        if name == "tag":
            return exists().where(Tag.conversation_id == Conversation.id, Tag.tag == value)
        if name == "topic":
            return exists().where(Message.conversation_id == Conversation.id, Message.topic == value)
        return getattr(Conversation, name) == value

    @staticmethod
    def _rows(session: Session, conversations: Sequence[Conversation]) -> list[ReviewRow]:
        ids = [c.id for c in conversations]
        first = select(Message.conversation_id, func.min(Message.seq).label("seq")).where(Message.conversation_id.in_(ids), Message.author == "parent")
        first = first.group_by(Message.conversation_id).subquery()
        began = select(Message.conversation_id, Message.text).join(first, and_(Message.conversation_id == first.c.conversation_id, Message.seq == first.c.seq))
        texts = dict(session.execute(began).all())
        outcomes: dict[str, dict[str, int]] = {}
        counted = select(Message.conversation_id, Message.outcome, func.count()).where(Message.conversation_id.in_(ids), Message.outcome.is_not(None))
        for id, outcome, count in session.execute(counted.group_by(Message.conversation_id, Message.outcome)):
            outcomes.setdefault(id, {})[outcome] = count
        references = _grouped(session.execute(select(Query.conversation_id, Query.reference).where(Query.conversation_id.in_(ids)).order_by(Query.asked_at)))
        tags = _grouped(session.execute(select(Tag.conversation_id, Tag.tag).where(Tag.conversation_id.in_(ids)).order_by(Tag.tag)))
        reviews = {r.conversation_id: r for r in session.scalars(select(Review).where(Review.conversation_id.in_(ids)))}
        return [
            ReviewRow(
                c,
                texts.get(c.id, ""),
                outcomes.get(c.id, {}),
                references.get(c.id, ()),
                tags.get(c.id, ()),
                c.id in reviews and reviews[c.id].flagged,
                c.id in reviews and reviews[c.id].reviewed_at is not None,
            )
            for c in conversations
        ]

    def read(self, member: Staff, conversation_id: str) -> ConversationView | None:
        """A conversation; nothing if there is none or it is not this member's to see."""
        with self._database.read() as session:
            conversation = session.scalar(select(Conversation).where(Conversation.id == conversation_id, conversations_in_scope(member)))
            if conversation is None:
                return None
            messages = list(session.scalars(select(Message).where(Message.conversation_id == conversation_id).order_by(Message.seq)))
            replies = {r.message_id: r for r in session.scalars(select(Reply).where(Reply.message_id.in_([m.id for m in messages])))}
            queries = list(session.scalars(select(Query).where(Query.conversation_id == conversation_id).order_by(Query.asked_at)))
            review = session.get(Review, conversation_id)
            proposals = session.scalars(select(ExampleProposal).where(ExampleProposal.conversation_id == conversation_id).order_by(ExampleProposal.proposed_at))
            asked = {q.asked_seq for q in queries}
            return ConversationView(
                conversation,
                [said_of(m, m.seq in asked, replies.get(m.id), self._title) for m in messages],
                queries,
                review,
                session.get(Staff, review.reviewed_by) if review and review.reviewed_by else None,
                session.get(SavedConversation, (conversation_id, member.id)) is not None,
                list(session.scalars(select(Tag.tag).where(Tag.conversation_id == conversation_id).order_by(Tag.tag))),
                {p.seq: p for p in proposals},
            )

    def _title(self, topic: str) -> str:
        return self._answers.title(topic) if topic in self._answers else topic.replace("_", " ").capitalize()

    def flag(self, conversation_id: str, flagged: bool) -> None:
        """Somebody must look at this conversation, or need not any more."""
        with self._database.write() as session:
            self._of(session, conversation_id).flagged = flagged

    def mark_reviewed(self, conversation_id: str, member: Staff, reviewed: bool) -> None:
        """This member has read the conversation through, or it is to be read again."""
        with self._database.write() as session:
            review = self._of(session, conversation_id)
            review.reviewed_at, review.reviewed_by = (self._clock.now(), member.id) if reviewed else (None, None)

    @staticmethod
    def _of(session: Session, conversation_id: str) -> Review:
        review = session.get(Review, conversation_id)
        if review is None:
            review = Review(conversation_id=conversation_id, flagged=False)
            session.add(review)
        return review

    def save(self, conversation_id: str, member: Staff, saved: bool) -> None:
        """Keep a conversation for later, or no more."""
        with self._database.write() as session:
            if saved:
                session.merge(SavedConversation(conversation_id=conversation_id, staff_id=member.id, at=self._clock.now()))
            else:
                own = delete(SavedConversation).where(SavedConversation.conversation_id == conversation_id, SavedConversation.staff_id == member.id)
                session.execute(own)

    def not_understood(self, member: Staff, days: int = 7, most: int = 1000) -> list[Message]:
        """Parents' messages of the last days that the bot asked back about or could not answer, newest first."""
        since: datetime = self._clock.now() - timedelta(days=days)
        asked_back = select(Message.conversation_id, Message.answers_seq.label("seq")).where(Message.outcome == "clarify", Message.at >= since)
        passed_on = select(Query.conversation_id, Query.asked_seq.label("seq")).where(Query.reason == "unresolved", Query.asked_at >= since)
        both = asked_back.union(passed_on).subquery()
        found = (
            select(Message)
            .join(both, and_(Message.conversation_id == both.c.conversation_id, Message.seq == both.c.seq))
            .join(Conversation, Conversation.id == Message.conversation_id)
            .where(Message.author == "parent", Message.command.is_(None), conversations_in_scope(member))
            .order_by(Message.at.desc())
            .limit(most)
        )
        with self._database.read() as session:
            return list(session.scalars(found))





def _grouped(pairs) -> dict[str, list[str]]:
    made: dict[str, list[str]] = {}
    for id, value in pairs:
        made.setdefault(id, []).append(value)
    return made
