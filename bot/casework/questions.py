"""What a message asks, as a list that a reply can tick off."""

from __future__ import annotations

import re

MOST = 8
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*", re.UNICODE)


def questions_in(text: str) -> list[str]:
    """The questions of a message: its sentences with a question mark if there are several, else the message as one question."""
    asked = [sentence.strip() for sentence in _SENTENCE.findall(text) if sentence.rstrip().endswith("?") and len(sentence.split()) > 1]
    return asked if 2 <= len(asked) <= MOST else [text.strip()]
