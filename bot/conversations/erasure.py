"""What a parent wrote is deleted when they ask for it. What is counted stays, without persons."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, joinedload

from bot.casework.cycle import Cycle
from bot.store.cycle import ConversationToken, Delivery, Email, Explanation, Question, ReturnCode
from bot.store.tables import Choice, Conversation, Draft, Message, Query, Reply

ERASED = "(deleted)"


def open_queries(session: Session, conversation_id: str) -> list[Query]:
    """The queries that somebody still owes an answer to."""
    asked = select(Query).options(joinedload(Query.lead)).where(Query.conversation_id == conversation_id, Query.ended_at.is_(None))
    return list(session.scalars(asked.order_by(Query.asked_seq)))


def erase(session: Session, cycle: Cycle, conversation_id: str) -> None:
    """Take the words, addresses and keys of a conversation away, within a session.

    Open queries end as withdrawn, their leads are told, and the ledger still balances. The conversation can never be opened again.
    """
    conversation = session.get_one(Conversation, conversation_id, with_for_update=True)
    for query in open_queries(session, conversation_id):
        locked = cycle.locked(session, query.id)
        cycle.move(session, locked, "withdrawn", "parent", {"reason": "erased"})
        cycle.alert(session, locked, "withdrawn")
    session.flush()
    queries = select(Query.id).where(Query.conversation_id == conversation_id)
    for table in (Choice, Delivery, ReturnCode, ConversationToken):
        session.execute(delete(table).where(table.conversation_id == conversation_id).execution_options(synchronize_session=False))
    session.execute(delete(Draft).where(Draft.query_id.in_(queries)).execution_options(synchronize_session=False))
    session.execute(delete(Email).where(Email.query_id.in_(queries), Email.key.startswith("explanation:")).execution_options(synchronize_session=False))
    emptied = {
        Message: (Message.conversation_id == conversation_id, dict(text=ERASED, understanding=None, command=None, sources=[], choices=[])),
        Reply: (Reply.query_id.in_(queries), dict(text=ERASED, comment=None)),
        Question: (Question.query_id.in_(queries), dict(text=ERASED)),
        Explanation: (Explanation.query_id.in_(queries), dict(text=ERASED, answer=None)),
    }
    for table, (which, values) in emptied.items():
        session.execute(update(table).where(which).values(**values).execution_options(synchronize_session=False))
    under_way = update(Message).where(Message.conversation_id == conversation_id, Message.turn_state == "asked")
    session.execute(under_way.values(turn_state="done").execution_options(synchronize_session=False))
    conversation.external_id = conversation.token_hash = conversation.school = conversation.held_query_id = None
    conversation.dispatched_seq = conversation.last_seq
    session.flush()
