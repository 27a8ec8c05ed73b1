"""Plain text as paragraphs and lists: what people and answers write, ready for a page that escapes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
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
