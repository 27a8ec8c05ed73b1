"""Plain text as paragraphs and lists: what people and answers write, ready for a page that escapes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup, escape

_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
# the emergency lines, the helplines with short numbers, and UK numbers (bot/widget/src/prose.js has the same)
_PHONE = re.compile(r"\b(?:999|111|116 123|0800 1111|0\d{2,4} ?\d{3} ?\d{3,4})\b")
_BULLET = re.compile(r"\s*[-•]\s+(?=\S)")


@dataclass(frozen=True)
class Block:
    """A paragraph with its lines, or, if `is_list`, a list with its entries."""

    is_list: bool
    lines: tuple[str, ...]


def blocks(text: str) -> list[Block]:
    """The paragraphs and "- " lists of a text, in order."""
    made = []
    for part in _PARAGRAPHS.split(text.replace("\r\n", "\n")):
        lines = [line for line in part.split("\n") if line.strip()]
        for is_list, group in groupby(lines, key=lambda line: _BULLET.match(line) is not None):
            made.append(Block(is_list, tuple(_BULLET.sub("", line, count=1).strip() if is_list else line.strip() for line in group)))
    return made


def phones(line: str) -> Markup:
    """A line, escaped, in which telephone numbers can be tapped."""
    made, start = Markup(), 0
    for found in _PHONE.finditer(line):
        number = found.group().replace(" ", "")
        made += escape(line[start : found.start()]) + Markup('<a href="tel:{}">{}</a>').format(number, found.group())
        start = found.end()
    return made + escape(line[start:])
