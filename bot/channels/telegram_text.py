"""Words as Telegram takes them: parts below its limit, cut where a reader would pause, and HTML that only we mark up."""

from __future__ import annotations

import re
import unicodedata
from html import escape
from itertools import groupby
from typing import Sequence

# Telegram takes 4096 (core.telegram.org/bots/api#sendmessage); what is left is for the name, the titles of buttons and the choice made.
LONGEST = 3000
LIMIT = 4096
_LONG_TITLE = 30
_ENDS = (re.compile(r"\n[ \t]*\n\s*"), re.compile(r"\n\s*"), re.compile(r"(?:(?<=[.!?…])|(?<=[.!?…][\"'”’)\]]))\s+"), re.compile(r"\s+"))
_BULLET = re.compile(r"^\s*[-•]\s+(?=\S)")
_QUOTE = "> "


def units(text: str) -> int:
    """The length of a text as Telegram may count it: in UTF-16 code units."""
    return len(text) + sum(1 for c in text if ord(c) > 0xFFFF)


def split(text: str, longest: int = LONGEST) -> list[str]:
    """The parts of a text, each of at most `longest` units: cut between paragraphs, else lines, else sentences, else words."""
    parts, rest = [], text.strip()
    while units(rest) > longest:
        end, start = _cut(rest, longest)
        parts.append(rest[:end].rstrip())
        rest = rest[start:].lstrip()
    return [*parts, rest]


def _cut(text: str, longest: int) -> tuple[int, int]:
    """Where a part ends and the next begins. The best kind of cut wins that leaves at least half a part."""
    window = longest
    while units(text[:window]) > longest:
        window -= 1
    for kind in _ENDS:
        cuts = [found for found in kind.finditer(text, window // 2, min(len(text), window + 1)) if found.start() <= window]
        if cuts:
            return cuts[-1].start(), cuts[-1].end()
    while window > 1 and _belongs_to_the_one_before(text[window], text[window - 1]):
        window -= 1
    return window, window


def _belongs_to_the_one_before(character: str, before: str) -> bool:
    """Whether a character makes one sign with the one before: accents, joined emoji."""
    joiner = "\u200d"
    return unicodedata.category(character).startswith("M") or joiner in (character, before)


def as_html(text: str) -> str:
    """Plain text as Telegram's HTML: everything escaped, "- " lists with dots, lines that begin with "> " as a quotation."""
    made = []
    for is_quote, lines in groupby(text.split("\n"), key=lambda line: line.startswith(_QUOTE)):
        if is_quote:
            quoted = "\n".join(escape(line.removeprefix(_QUOTE), quote=False) for line in lines)
            made.append(f"<blockquote>{quoted}</blockquote>")
        else:
            made += [_BULLET.sub("• ", escape(line, quote=False)) for line in lines]
    return "\n".join(made)


def headed(name: str, body: str) -> str:
    """HTML under the bold name of the person who wrote it."""
    return f"<b>{escape(name, quote=False)}</b>\n\n{body}"


def buttons(titles: Sequence[str]) -> tuple[str, list[str]]:
    """What buttons are called, and what stands above them.

    Telegram cuts long buttons off, so long titles are written out as a numbered list and the buttons carry the numbers too.
    """
    if all(len(title) <= _LONG_TITLE for title in titles):
        return "", list(titles)
    numbered = [f"{number}. {title}" for number, title in enumerate(titles, 1)]
    return "\n".join(numbered), [_short(title) for title in numbered]


def _short(title: str) -> str:
    return title if len(title) <= 60 else f"{title[:59].rstrip()}…"
