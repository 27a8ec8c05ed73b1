"""Telegram's HTML as its server reads it: what is not well-formed is refused, and lengths are counted after the mark-up is gone.

Source: core.telegram.org/bots/api#html-style
"""

from __future__ import annotations

import re
from html import unescape

_TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "span", "tg-spoiler", "a", "code", "pre", "blockquote"}
_TAG = re.compile(r"<(/?)([a-zA-Z-]+)((?:\s+[a-z-]+=\"[^\"<>]*\"|\s+expandable)*)\s*>")
_ENTITY = re.compile(r"&(?!lt;|gt;|amp;|quot;|#\d+;|#x[0-9a-fA-F]+;)")


class NotHtml(Exception):
    """The text cannot be read as Telegram's HTML."""


def plain(html: str) -> str:
    """The text without its mark-up. Raises NotHtml."""
    made, opened, at = [], [], 0
    for found in _TAG.finditer(html):
        made.append(_words(html[at : found.start()], at))
        at = found.end()
        closing, name = found.group(1), found.group(2).lower()
        if name not in _TAGS:
            raise NotHtml(f'Unsupported start tag "{name}" at byte offset {found.start()}')
        if not closing:
            opened.append(name)
        elif not opened or opened.pop() != name:
            raise NotHtml(f'Unmatched end tag at byte offset {found.start()}, expected "</{name}>"')
    made.append(_words(html[at:], at))
    if opened:
        raise NotHtml(f'Can\'t find end tag corresponding to start tag "{opened[-1]}"')
    return "".join(made)


def _words(text: str, at: int) -> str:
    if "<" in text or ">" in text:
        raise NotHtml(f"Unsupported start tag at byte offset {at}")
    if _ENTITY.search(text):
        raise NotHtml(f"Unknown entity at byte offset {at}")
    return unescape(text)


def units(text: str) -> int:
    """Length in UTF-16 code units: the strictest way in which Telegram's limits can be read."""
    return len(text.encode("utf-16-le")) // 2
