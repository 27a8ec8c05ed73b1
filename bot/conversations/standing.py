"""How a conversation stands now: what its messages alone do not say, because it changes after they were written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import joinedload

from bot.clock import Clock
from bot.conversations.shown import query_json
from bot.store.console import Typing
from bot.store.database import Database
from bot.store.tables import Conversation, Draft, Message, Query, Staff

WRITING_FOR = timedelta(seconds=90)


class Standings:
    """Reads how conversations stand."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def parent_types(self, conversation_id: str) -> None:
        """The parent is typing: staff who have the query open are told. Nothing of what is typed is known here."""
        with self._database.write() as session:
            session.merge(Typing(conversation_id=conversation_id, at=self._clock.now()))

    def of(self, conversation_id: str) -> dict[str, Any]:
        """`newest` (number of the last message), `working` (an answer is being made), `writing` (the name of the member of staff whose
        draft changed within WRITING_FOR, or nothing) and `queries` as messages show them, in the order in which they were asked."""
        with self._database.read() as session:
            queries = session.scalars(
                select(Query).options(joinedload(Query.lead)).where(Query.conversation_id == conversation_id).order_by(Query.asked_seq)
            )
            return {
                "newest": session.scalar(select(Conversation.last_seq).where(Conversation.id == conversation_id)) or 0,
                "working": session.scalar(select(exists().where(Message.conversation_id == conversation_id, Message.turn_state == "asked"))),
                "writing": session.scalar(
                    select(Staff.name)
                    .join(Draft, Draft.staff_id == Staff.id)
                    .join(Query, Query.id == Draft.query_id)
                    .where(Query.conversation_id == conversation_id, Draft.at > self._clock.now() - WRITING_FOR)
                    .order_by(Draft.at.desc())
                    .limit(1)
                ),
                "queries": [query_json(query) for query in queries],
            }
