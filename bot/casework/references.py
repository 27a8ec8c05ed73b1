"""References that a tired person can read over the phone."""

from __future__ import annotations

import re
import secrets

# No look-alikes: 0 O, 1 I L, 2 Z, 5 S, 8 B, 6 G, U V: none of these is used.
ALPHABET = "3479ACDEFHJKMNPRTWXY"
_LENGTH = 8
_CODE_LENGTH = 12
_PATTERN = re.compile(rf"\bSP[\s-]?([{ALPHABET}]{{{_LENGTH}}})\b", re.IGNORECASE)
_RETURN_CODE = re.compile(rf"\b[{ALPHABET}]{{4}}(?:-[{ALPHABET}]{{4}}){{2}}\b", re.IGNORECASE)


def new_reference() -> str:
    """`SP-` and eight characters."""
    return "SP-" + "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH))


def find_reference(text: str) -> str | None:
    """The first reference in a text, in its written form."""
    found = _PATTERN.search(text)
    return f"SP-{found.group(1).upper()}" if found else None


def new_return_code() -> str:
    """A code that opens a conversation from anywhere: 52 bits, `ACDE-3479-HJKM`."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(_CODE_LENGTH))
    return "-".join(letters[at : at + 4] for at in range(0, _CODE_LENGTH, 4))


def without_return_codes(text: str) -> str:
    """A text with return codes taken out: whoever knows one can be the parent."""
    return _RETURN_CODE.sub("(code hidden)", text)


def read_return_code(typed: str) -> str | None:
    """A return code as somebody may type it, in its written form; nothing if it cannot be one."""
    letters = re.sub(r"[\s-]", "", typed).upper()
    if len(letters) != _CODE_LENGTH or any(letter not in ALPHABET for letter in letters):
        return None
    return "-".join(letters[at : at + 4] for at in range(0, _CODE_LENGTH, 4))
