"""The topics of `data/topics.yml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

from bot.knowledge.reading import read_yaml


@dataclass(frozen=True)
class Topic:
    """One thing that people ask. `kind` says how it is met: answer, check, case, urgent, talk or out."""

    id: str
    area: str
    kind: str
    cite: tuple[str, ...] = ()


def load_topics(path: Path) -> Mapping[str, Topic]:
    """Topics by id, in the file's order."""
    sections = read_yaml(path)
    return {
        topic: Topic(topic, area, entry["kind"], tuple(entry.get("cite", ())))
        for area, topics in sections.items()
        for topic, entry in topics.items()
    }
