"""What a parent wrote is deleted, or copied for them, when they ask for it. What is counted stays, without persons."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

from anyio import to_thread
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload

from bot.casework.cycle import Cycle
from bot.clock import Clock
from bot.conversations.engine import EngineProblem
from bot.logs import security_event
from bot.privacy.erasure import empty
from bot.store.cycle import Promise
from bot.store.database import Database
from bot.store.privacy import Erasure, Forgetting
from bot.store.tables import Conversation, Message, Query, QueryEvent

logger = logging.getLogger(__name__)


def open_queries(session: Session, conversation_id: str) -> list[Query]:
    """The queries that somebody still owes an answer to."""
    asked = select(Query).options(joinedload(Query.lead)).where(Query.conversation_id == conversation_id, Query.ended_at.is_(None))
    return list(session.scalars(asked.order_by(Query.asked_seq)))


def erase(session: Session, cycle: Cycle, conversation_id: str, wished_by: str = "parent") -> Erasure:
    """Take the words, addresses and keys of a conversation away, within a session.

    Open queries end as withdrawn, their leads are told, and the ledger still balances. The conversation can never be opened again.
    """
    for query in open_queries(session, conversation_id):
        locked = cycle.locked(session, query.id)
        cycle.move(session, locked, "withdrawn", "parent" if wished_by == "parent" else "staff")
        cycle.alert(session, locked, "withdrawn")
    session.flush()
    record = empty(session, conversation_id, cycle.clock.now(), wished_by)
    security_event("erased", conversation=conversation_id, wished_by=wished_by, messages=record.messages, queries=record.queries)
    return record


@dataclass(frozen=True)
class OpenQuery:
    """A question that deleting would take back: its reference and who has it."""

    reference: str
    lead: str
    due_on: date


class Forgets(Protocol):
    """An engine that can forget a conversation."""

    async def forget(self, conversation_id: str) -> None:
        """Forget it. Raises EngineProblem."""


class OwnWords:
    """What parents can do with what they wrote: have a copy, have it deleted.

    Parameters
    ----------
    longest_turn: after this, a turn that was under way when its conversation was deleted has ended.
    """

    def __init__(self, database: Database, cycle: Cycle, engine: Forgets, clock: Clock, longest_turn: timedelta) -> None:
        self._database, self._cycle, self._engine, self._clock, self._longest_turn = database, cycle, engine, clock, longest_turn

    def at_stake(self, conversation_id: str) -> list[OpenQuery]:
        """The open questions that deleting would take back."""
        with self._database.read() as session:
            return [OpenQuery(query.reference, query.lead.name, query.due_on) for query in open_queries(session, conversation_id)]

    def find(self, named: str) -> str | None:
        """The conversation with that id, or with the query of that reference."""
        with self._database.read() as session:
            of_query = select(Query.conversation_id).where(Query.reference == named.strip().upper())
            return session.scalar(select(Conversation.id).where(Conversation.id == named.strip())) or session.scalar(of_query)

    def erase(self, conversation_id: str, wished_by: str = "parent") -> Erasure:
        """Delete what was written; committed, and gone from the database's files, when this returns. The engine follows (`forget`)."""
        with self._database.write() as session:
            record = erase(session, self._cycle, conversation_id, wished_by)
        self._database.empty_log()
        return record

    async def forget(self) -> int:
        """Have the engine forget what was deleted; how many it has forgotten for good. Called again and again by the app.

        A turn that was under way may bring a conversation back to the engine's memory, so it is asked once more when none can be.
        """
        waiting = await to_thread.run_sync(self._waiting)
        for conversation_id, _ in waiting:
            try:
                await self._engine.forget(conversation_id)
            except EngineProblem as problem:
                logger.warning("the engine could not forget a deleted conversation (%s); it is asked again", problem)
                return 0
        settled = [id for id, since in waiting if self._clock.now() - since > self._longest_turn]
        if settled and await to_thread.run_sync(self._database.empty_log):
            await to_thread.run_sync(self._forgotten, settled)
            return len(settled)
        return 0

    def _waiting(self) -> list[tuple[str, Any]]:
        with self._database.read() as session:
            return [(row.conversation_id, row.since) for row in session.scalars(select(Forgetting).limit(200))]

    def _forgotten(self, ids: list[str]) -> None:
        with self._database.write() as session:
            session.execute(delete(Forgetting).where(Forgetting.conversation_id.in_(ids)))

    def copy(self, conversation_id: str) -> dict[str, Any]:
        """Everything that is kept of a conversation and means something outside of it (UK GDPR articles 15 and 20), as JSON."""
        security_event("copied", conversation=conversation_id)
        with self._database.read() as session:
            conversation = session.get_one(Conversation, conversation_id)
            messages = session.scalars(select(Message).where(Message.conversation_id == conversation_id).order_by(Message.seq))
            queries = session.scalars(select(Query).options(joinedload(Query.lead)).where(Query.conversation_id == conversation_id).order_by(Query.asked_seq))
            return {
                "made_at": self._clock.now().isoformat(),
                "chat": {
                    "began_at": conversation.created_at.isoformat(),
                    "channel": conversation.channel,
                    "address": conversation.external_id,
                    "area": conversation.area,
                    "role": conversation.role,
                    "school": conversation.school,
                },
                "messages": [_message(message) for message in messages],
                "questions": [_query(session, query) for query in queries],
            }


def _message(message: Message) -> dict[str, Any]:
    understood = message.understanding or {}
    made_of_it = {"understood_as": (understood.get("intent") or {}).get("name")} if understood.get("intent") else {}
    return {
        "at": message.at.isoformat(),
        "from": {"parent": "you", "assistant": "computer program"}.get(message.author, message.name),
        "text": message.text,
        "topic": message.topic,
        **made_of_it,
    }


def _query(session: Session, query: Query) -> dict[str, Any]:
    events = session.scalars(select(QueryEvent).where(QueryEvent.query_id == query.id).order_by(QueryEvent.id))
    promises = session.scalars(select(Promise).where(Promise.query_id == query.id).order_by(Promise.no))
    return {
        "reference": query.reference,
        "asked_at": query.asked_at.isoformat(),
        "topic": query.topic,
        "state": query.state,
        "named_person": query.lead.name,
        "promised": [promise.due_on.isoformat() for promise in promises],
        "happened": [{"at": event.at.isoformat(), "what": event.kind} for event in events],
    }


def as_text(copied: dict[str, Any]) -> str:
    """A copy for reading: the chat line by line, then each question and what became of it."""
    chat = copied["chat"]
    lines = [f"Your chat with Signpost, area {chat['area']}, begun {_day(chat['began_at'])}. Copy made {_day(copied['made_at'])}.", ""]
    for message in copied["messages"]:
        lines += [f"{_day(message['at'])}, {message['from']}:", message["text"], ""]
    for query in copied["questions"]:
        promised = f"Promised by {', then by '.join(query['promised'])}."
        lines += [f"Question {query['reference']}, with {query['named_person']}. {promised} It is {query['state'].replace('_', ' ')}."]
    return "\n".join(lines).rstrip() + "\n"


def _day(moment: str) -> str:
    return moment[:16].replace("T", " ")
