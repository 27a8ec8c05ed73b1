"""Which passwords staff may choose: long ones that cannot be guessed from lists, names or words of this service (OWASP ASVS 5.0 6.2)."""

from __future__ import annotations

import re
from typing import Iterable

from zxcvbn import zxcvbn

SHORTEST, LONGEST = 12, 256
# Words that somebody who guesses would try here first (OWASP ASVS 5.0 6.1.2); a member's own name and address come on top.
CONTEXT = (
    *("signpost", "therapy", "therapist", "therapies", "speech", "language", "occupational", "physio", "physiotherapy", "children", "integrated"),
    *("nhs", "council", "school", "parent", "carer", "family", "send", "senco", "ehcp", "somerset", "hampshire", "southampton", "portsmouth"),
    *("admin", "manager", "coordinator", "auditor", "welcome", "password"),
)
# zxcvbn's score, 0 to 4: 3 stands for at least 10^8 guesses.
LEAST_SCORE = 3
_READ = 72

LENGTH = f"The password must have {SHORTEST} to {LONGEST} characters."
GUESSED = "This password is easy to guess: it is a common one, or made of dates, names or words of this service. Take four words that do not belong together."


def problem_with(password: str, about: Iterable[str] = ()) -> str | None:
    """What is wrong with a new password, in words for staff; nothing if it is good.

    Parameters
    ----------
    about: what is known of its owner, such as name and e-mail address.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        return LENGTH
    words = {*CONTEXT, *(word for known in about for word in re.split(r"[\W_]+", known.lower()) if len(word) > 2)}
    without = re.sub("|".join(sorted(map(re.escape, words), key=len, reverse=True)), "", password, flags=re.IGNORECASE)
    # What is left must be hard by itself: known words make a password longer, not harder to guess.
    return GUESSED if min(_score(password, words), _score(without, words)) < LEAST_SCORE else None


def _score(password: str, words: Iterable[str]) -> int:
    return zxcvbn(password[:_READ], user_inputs=sorted(words))["score"] if password else 0
