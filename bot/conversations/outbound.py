"""What is said to a parent, before it is written to the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

OUTCOMES = frozenset({"answer", "clarify", "handoff", "urgent", "check", "talk", "out"})


@dataclass(frozen=True)
class OfferedChoice:
    """A button: its title, the engine command it stands for, and the topic it leads to or the value it gives."""

    title: str
    command: str
    topic: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class Outbound:
    """One message to a parent. Custom actions send it through the engine as a dictionary (`as_dict`, `from_dict`).

    guide: where a guide stands after this message (`form`, `slots`), for an engine that has forgotten the conversation.
    """

    text: str
    outcome: str | None = None
    topic: str | None = None
    sources: tuple[Mapping[str, str], ...] = ()
    choices: tuple[OfferedChoice, ...] = ()
    query_id: str | None = None
    asks: str | None = None
    result: str | None = None
    guide: Mapping[str, Any] | None = None
    author: str = "assistant"
    name: str = "Signpost"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON for the way through the engine."""
        return {
            "text": self.text,
            "outcome": self.outcome,
            "topic": self.topic,
            "sources": [dict(s) for s in self.sources],
            "choices": [c.__dict__ for c in self.choices],
            "query_id": self.query_id,
            "asks": self.asks,
            "result": self.result,
            "guide": self.guide,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Outbound":
        """Read back what an action sent. Raises ValueError if it is not a message."""
        text, outcome = raw.get("text"), raw.get("outcome")
        if not isinstance(text, str) or not text.strip():
            raise ValueError("a message without text")
        if outcome is not None and outcome not in OUTCOMES:
            raise ValueError("an outcome that is not known")
        try:
            return cls(
                text=text.strip(),
                outcome=outcome,
                topic=raw.get("topic"),
                sources=tuple(raw.get("sources") or ()),
                choices=tuple(OfferedChoice(**choice) for choice in raw.get("choices") or ()),
                query_id=raw.get("query_id"),
                asks=raw.get("asks"),
                result=raw.get("result"),
                guide=raw.get("guide"),
            )
        except TypeError as problem:
            raise ValueError(str(problem)) from problem
