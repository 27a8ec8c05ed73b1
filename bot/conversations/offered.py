"""Buttons that were offered, and whether they still hold.

What the bot offered holds until the parent says anything; a question of staff or of the system, until one of its answers was given.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.store.cycle import Delivery
from bot.store.tables import Choice, Conversation, Message


@dataclass(frozen=True)
class Button:
    """A button: where it was offered, what it says, and whether it no longer holds."""

    conversation_id: str
    title: str
    settled: bool


def find(session: Session, choice_id: str, whose, client_id: str) -> Button | None:
    """The button with an id in conversations that meet the condition `whose`; nothing if it was not offered there.

    The message `client_id` is the one that pressing it now makes: it does not count as said since.
    """
    offered = select(Choice, Message).join(Message, Message.id == Choice.message_id).join(Conversation, Conversation.id == Choice.conversation_id)
    found = session.execute(offered.where(Choice.id == choice_id, whose)).one_or_none()
    if found is None:
        return None
    choice, message = found
    since = select(Message.text).where(
        Message.conversation_id == choice.conversation_id, Message.seq > message.seq, Message.author == "parent", Message.client_id.is_distinct_from(client_id)
    )
    # What was said is encrypted: it is compared here, not by the database.
    said = session.scalars(since.limit(1) if message.author == "assistant" else since)
    titles = {shown["title"] for shown in message.choices}
    settled = any(message.author == "assistant" or text in titles for text in said)
    return Button(choice.conversation_id, choice.title, settled)


def standing(session: Session, conversation_id: str, seq: int) -> list[int]:
    """The channel's ids of the bot's messages whose buttons the parent's message number `seq` settled."""
    before = select(Message.seq).where(Message.conversation_id == conversation_id, Message.seq < seq, Message.author == "parent")
    last = session.scalar(before.order_by(Message.seq.desc()).limit(1)) or 0
    shown = (
        select(Delivery.provider_id, Message.choices)
        .join(Message, Message.id == Delivery.message_id)
        .where(
            Message.conversation_id == conversation_id,
            Message.seq > last,
            Message.seq < seq,
            Message.author == "assistant",
            Delivery.part == Delivery.parts - 1,
            Delivery.state == "accepted",
        )
    )
    return [int(id) for id, choices in session.execute(shown) if choices and (id or "").isdigit()]
