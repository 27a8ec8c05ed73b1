"""Messages, choices and queries as the chat API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Sequence

from bot.conversations.outbound import OfferedChoice
from bot.store.tables import Message, Query


@dataclass(frozen=True)
class Written:
    """A message as it was just written; the fields of the table's row that readers of a conversation are shown."""

    id: str
    seq: int
    author: str
    name: str
    text: str
    at: datetime
    outcome: str | None
    topic: str | None
    asks: Any
    result: Any
    sources: Sequence[Mapping[str, Any]]
    choices: Sequence[Mapping[str, str]]
    query_id: str | None
    client_id: None = None


def choice_json(id: str, choice: OfferedChoice) -> dict[str, str]:
    """A choice that was offered, under its random id."""
    shown = {"id": id, "title": choice.title}
    if choice.topic:
        shown["topic"] = choice.topic
    if choice.value:
        shown["value"] = choice.value
    return shown


def as_json(message: Message | Written, query: Query | None) -> dict[str, Any]:
    """A message, and the query it is about, as the chat API shows them."""
    shown = {
        "seq": message.seq,
        "author": message.author,
        "name": message.name or ("You" if message.author == "parent" else ""),
        "text": message.text,
        "at": message.at.isoformat(),
        "choices": message.choices,
        "outcome": message.outcome,
        "topic": message.topic,
        "sources": message.sources,
        "query": query_json(query) if query else None,
    }
    if message.client_id:
        shown["client_id"] = message.client_id
    if message.asks:
        shown["asks"] = message.asks
    if message.result:
        shown["result"] = message.result
    return shown


def query_json(query: Query) -> dict[str, Any]:
    """A query as the chat API shows it."""
    return {"reference": query.reference, "state": query.told_state, "lead": query.lead.name, "due_on": query.due_on.isoformat()}
