"""The tag that puts the chat on a website, from what its owner chose; every value is checked before it becomes markup."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping

from markupsafe import escape

from bot.knowledge.areas import Area
from bot.widget.words import USUAL, all_words

LONGEST_HEADING = 60
ROLES = ("parent", "school")
POSITIONS = ("right", "left")
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


class EmbeddingRefused(Exception):
    """A choice cannot be used; `field` names it, the message says what would do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


@dataclass(frozen=True)
class Embedding:
    """What the owner of a website chose; empty means the usual."""

    site: str
    area: str = ""
    role: str = ""
    language: str = ""
    position: str = ""
    colour: str = ""
    heading: str = ""

    @classmethod
    def asked(cls, given: Mapping[str, str], areas: Mapping[str, Area], site: str) -> "Embedding":
        """From the fields of the form. Raises EmbeddingRefused."""
        chosen = {name: given.get(name, "").strip() for name in ("area", "role", "language", "position", "colour", "heading")}
        for name, known in {"area": areas, "role": ROLES, "language": all_words(), "position": POSITIONS}.items():
            if chosen[name] and chosen[name] not in known:
                raise EmbeddingRefused(name, f"Choose one of these: {', '.join(known)}.")
        if chosen["colour"] and not _COLOUR.fullmatch(chosen["colour"]):
            raise EmbeddingRefused("colour", "Write the colour as # and six digits, like #1d4c5c.")
        if len(chosen["heading"]) > LONGEST_HEADING:
            raise EmbeddingRefused("heading", f"The heading must have {LONGEST_HEADING} characters or fewer.")
        return cls(site, **chosen)

    @property
    def attributes(self) -> dict[str, str]:
        """The tag's attributes that differ from the usual."""
        chosen = {"area": self.area, "asking-as": self.role, "language": self.language, "colour": self.colour, "heading": self.heading}
        return {name: value for name, value in {**chosen, "position": "left" if self.position == "left" else ""}.items() if value}

    @property
    def tag(self) -> str:
        """The markup to paste: script, element, and inside it a link for browsers that run no script."""
        words = all_words()[self.language or USUAL]
        query = "&".join(f"{name}={value}" for name, value in {"area": self.area, "role": self.role, "lang": self.language}.items() if value)
        link = f"{self.site}/chat{'?' if query else ''}{query}"
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in {"server": self.site, **self.attributes}.items())
        text = escape(self.heading or words.say("heading"))
        return (
            f'<script src="{escape(self.site)}/widget/signpost-chat.js" defer></script>\n'
            f"<signpost-chat{attributes}>\n"
            f'  <a href="{escape(link)}">{text}</a>\n'
            f"</signpost-chat>"
        )

    @property
    def frame(self) -> str:
        """The markup for websites that allow no script of others."""
        area = f"&area={self.area}" if self.area else ""
        title = escape(self.heading or all_words()[self.language or USUAL].say("heading"))
        return f'<iframe src="{escape(f"{self.site}/chat?embed=1{area}")}" title="{title}" width="420" height="680"></iframe>'
