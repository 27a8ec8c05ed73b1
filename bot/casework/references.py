"""References that a tired person can read over the phone."""

from __future__ import annotations

import re
import secrets

# No look-alikes: 0 O, 1 I L, 2 Z, 5 S, 8 B, 6 G, U V: none of these is used.
ALPHABET = "3479ACDEFHJKMNPRTWXY"
_LENGTH = 8
_PATTERN = re.compile(rf"\bSP[\s-]?([{ALPHABET}]{{{_LENGTH}}})\b", re.IGNORECASE)


def new_reference() -> str:
    """`SP-` and eight characters."""
    return "SP-" + "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))


def find_reference(text: str) -> str | None:
    """The first reference in a text, in its written form."""
    found = _PATTERN.search(text)
    return f"SP-{found.group(1).upper()}" if found else None
