"""Deleting: a conversation's words at once when its parent wishes, its rows when their time is over. Counts stay, without persons."""

from __future__ import annotations

from datetime import datetime
from typing import Sequence

from sqlalchemy import Update, delete, func, select, update
from sqlalchemy.orm import Session

from bot.clock import new_id
from bot.store.console import ExampleProposal, Note, SavedConversation, Summary, Tag, Typing
from bot.store.cycle import Alert, ConversationToken, Delivery, Email, Explanation, Promise, Question, ReturnCode
from bot.store.privacy import Erasure, Forgetting
from bot.store.tables import Choice, Conversation, Draft, Message, Query, QueryEvent, Reply
from bot.store.telegram import TelegramCode, TelegramQuiet

ERASED = "(deleted)"


def empty(session: Session, conversation_id: str, now: datetime, wished_by: str) -> Erasure:
    """Take the words, addresses and keys of a conversation away, within a session; its open queries must have ended before.

    What is left names nobody and can never be opened again: who wrote when, outcomes, topics and states, which the ledger and the
    counts rest on until their time is over too. The engine is to forget the conversation (`Forgetting`).
    """
    conversation = session.get_one(Conversation, conversation_id, with_for_update=True)
    queries = list(session.scalars(select(Query.id).where(Query.conversation_id == conversation_id)))
    own = {"conversation_id": conversation_id, "queries": queries}
    for table in (Choice, Delivery, ReturnCode, ConversationToken, TelegramCode, TelegramQuiet, Tag, SavedConversation, Typing):
        session.execute(delete(table).where(table.conversation_id == conversation_id).execution_options(synchronize_session=False))
    for table in (Draft, Email, Note, Summary):
        session.execute(delete(table).where(table.query_id.in_(queries)).execution_options(synchronize_session=False))
    _forget_undecided_examples(session, conversation_id)
    for statement in _emptied(**own):
        session.execute(statement.execution_options(synchronize_session=False))
    conversation.external_id = conversation.token_hash = conversation.school = conversation.held_query_id = conversation.guide = None
    conversation.dispatched_seq = conversation.last_seq
    _to_be_forgotten(session, conversation_id, now)
    record = _record(session, conversation, now, wished_by, len(queries))
    session.flush()
    session.expire_all()
    return record


def _emptied(conversation_id: str, queries: Sequence[str]) -> list[Update]:
    of_conversation = Message.conversation_id == conversation_id
    return [
        update(Message).where(of_conversation).values(text=ERASED, understanding=None, command=None, client_id=None, request_id=None, sources=[], choices=[]),
        update(Message).where(of_conversation, Message.turn_state == "asked").values(turn_state="done"),
        update(Reply).where(Reply.query_id.in_(queries)).values(text=ERASED, comment=None, marks={}),
        update(Question).where(Question.query_id.in_(queries)).values(text=ERASED),
        update(Explanation).where(Explanation.query_id.in_(queries)).values(text=ERASED, address=None),
        update(Explanation).where(Explanation.query_id.in_(queries), Explanation.answer.is_not(None)).values(answer=ERASED),
        update(Promise).where(Promise.query_id.in_(queries)).values(reason=ERASED),
        update(QueryEvent).where(QueryEvent.query_id.in_(queries)).values(detail={}),
        update(Alert).where(Alert.query_id.in_(queries)).values(detail={}),
        update(Query).where(Query.id.in_(queries)).values(ended_reason=None, school=None),
    ]


def remove(session: Session, conversation_id: str, now: datetime, wished_by: str) -> Erasure:
    """Delete every row of a conversation, within a session; its queries must have ended and been counted (`bot.privacy.statistics`)."""
    conversation = session.get_one(Conversation, conversation_id, with_for_update=True)
    queries = list(session.scalars(select(Query.id).where(Query.conversation_id == conversation_id)))
    record = _record(session, conversation, now, wished_by, len(queries))
    _to_be_forgotten(session, conversation_id, now)
    session.flush()
    for table in (Choice, Delivery, ReturnCode, ConversationToken, TelegramCode, TelegramQuiet, Tag, SavedConversation, Typing):
        session.execute(delete(table).where(table.conversation_id == conversation_id).execution_options(synchronize_session=False))
    for table in (Draft, Note, Summary, Reply, Question, Explanation, Alert, Email, Promise, QueryEvent):
        session.execute(delete(table).where(table.query_id.in_(queries)).execution_options(synchronize_session=False))
    _forget_undecided_examples(session, conversation_id)
    session.execute(delete(Message).where(Message.conversation_id == conversation_id).execution_options(synchronize_session=False))
    session.execute(delete(Query).where(Query.conversation_id == conversation_id).execution_options(synchronize_session=False))
    session.execute(delete(Conversation).where(Conversation.id == conversation_id).execution_options(synchronize_session=False))
    session.expire_all()
    return record


def _forget_undecided_examples(session: Session, conversation_id: str) -> None:
    """What a second person approved is a masked example of nobody's; what waits for one still belongs to the conversation."""
    undecided = delete(ExampleProposal).where(ExampleProposal.conversation_id == conversation_id, ExampleProposal.state == "proposed")
    session.execute(undecided.execution_options(synchronize_session=False))


def _to_be_forgotten(session: Session, conversation_id: str, now: datetime) -> None:
    session.merge(Forgetting(conversation_id=conversation_id, since=now))


def _record(session: Session, conversation: Conversation, now: datetime, wished_by: str, queries: int) -> Erasure:
    messages = session.scalar(select(func.count()).select_from(Message).where(Message.conversation_id == conversation.id)) or 0
    record = Erasure(
        id=new_id(),
        at=now,
        conversation_id=conversation.id,
        wished_by=wished_by,
        area=conversation.area,
        channel=conversation.channel,
        messages=messages,
        queries=queries,
    )
    session.add(record)
    return record
