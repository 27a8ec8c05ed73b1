"""The words of the chat's interface: one file a language in `bot/widget/words/`, for the component and for the page without JavaScript."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Mapping

from bot.pages.rendering import day

FOLDER = Path(__file__).parent / "words"
USUAL = "en"


class WordsProblem(Exception):
    """A file of words cannot be used; the message names it and what is missing."""


@dataclass(frozen=True)
class Words:
    """The words of one language. `checked_by` is empty until a native speaker has read them."""

    given: Mapping[str, Any]

    @property
    def code(self) -> str:
        """ISO 639-1."""
        return self.given["code"]

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return self.given["direction"]

    def say(self, name: str, **values: Any) -> str:
        """One of the words that both kinds of page use, or one of those of the page without JavaScript (`page`), filled in."""
        text = self.given["page"].get(name) or self.given[name]
        return text.format_map(values) if values else text

    def day(self, due: str) -> str:
        """A day, in words in English and in figures in the other languages."""
        return day(due) if self.code == USUAL else f"{date.fromisoformat(due):%d/%m/%Y}"

    def state(self, name: str) -> str:
        """Where a query is, for the parent who asked."""
        return self.given["states"].get(name, "")

    def for_script(self) -> dict[str, Any]:
        """What the component needs of them."""
        return {name: value for name, value in self.given.items() if name != "page"}


@lru_cache(maxsize=1)
def all_words() -> Mapping[str, Words]:
    """Every language by its code, English first. Raises WordsProblem for a file that lacks a word English has."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
    english = found[USUAL]
    for code, given in found.items():
        missing = {*english} - {*given} | {f"page.{name}" for name in {*english["page"]} - {*given.get("page", {})}}
        missing |= {f"states.{name}" for name in {*english["states"]} - {*given.get("states", {})}}
        if missing:
            raise WordsProblem(f"{code}.json lacks {', '.join(sorted(missing))}")
    return {code: Words(found[code]) for code in sorted(found, key=lambda code: (code != USUAL, code))}


def words(code: str | None) -> Words:
    """The words of a language, or English."""
    return all_words().get((code or USUAL)[:2].lower(), all_words()[USUAL])
