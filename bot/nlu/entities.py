"""What a message names: a therapy, a section of the plan, a setting, an age, a role, an area, a query's reference."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Mapping

import spacy
import yaml

_AGE_UNITS = ["year", "years", "yr", "yrs", "yo", "y", "month", "months", "mth", "mths"]
# spaCy cuts "SP-7A3K9M4T" where letters meet digits, so references are found in the text itself.
_REFERENCE = re.compile(r"\bsp[\s-]?[3479acdefhjkmnprtwxy]{8}\b", re.IGNORECASE)


@dataclass(frozen=True)
class Entity:
    """One thing named: its kind, what it stands for, and the words."""

    kind: str
    value: str
    words: str

    def as_json(self) -> dict[str, str]:
        """Plain fields."""
        return asdict(self)


class EntityFinder:
    """Finds entities with spaCy's entity ruler.

    Parameters
    ----------
    listed: the content of `data/entities.yml`: kind -> value -> phrases.
    """

    def __init__(self, listed: Mapping[str, Mapping[str, list[str]]]) -> None:
        self._language = spacy.blank("en")
        ruler = self._language.add_pipe("entity_ruler", config={"phrase_matcher_attr": "LOWER"})
        patterns: list[dict[str, Any]] = [
            {"label": kind, "id": value, "pattern": str(phrase)} for kind, values in listed.items() for value, phrases in values.items() for phrase in phrases
        ]
        patterns += [
            {"label": "age", "pattern": [{"LIKE_NUM": True}, {"ORTH": "-", "OP": "?"}, {"LOWER": {"IN": _AGE_UNITS}}, {"ORTH": "-", "OP": "?"}, {"LOWER": "old", "OP": "?"}]},
            {"label": "age", "pattern": [{"LOWER": {"REGEX": r"^\d{1,2}(yo|yrs?|mths?)$"}}]},
        ]
        ruler.add_patterns(patterns)

    @classmethod
    def load(cls, path: Path | str) -> "EntityFinder":
        """Read the entities file."""
        return cls(yaml.safe_load(Path(path).read_text(encoding="utf-8")))

    def find(self, text: str) -> list[Entity]:
        """The entities of a message: references first, then the others in their order."""
        references = [Entity("reference", found, found) for found in _REFERENCE.findall(text)]
        return references + [Entity(e.label_, e.ent_id_ or e.text, e.text) for e in self._language(text).ents]
