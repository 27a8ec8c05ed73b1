"""A channel that pushes, as a double: it answers what a test scripts and keeps what it was given."""

from __future__ import annotations

from typing import Callable, Sequence

from bot.conversations.senders import Accepted, Outcome, Part


class SenderDouble:
    """`answer` says what becomes of a part; `shown` holds what the parent was shown, in order."""

    channel = "telegram"

    def __init__(self, longest: int = 4096) -> None:
        self.longest = longest
        self.tried: list[Part] = []
        self.shown: list[Part] = []
        self.answer: Callable[[Part], Outcome] = lambda part: Accepted(f"id-{len(self.shown)}")

    def split(self, text: str) -> Sequence[str]:
        """Pieces of at most `longest` characters."""
        return [text[at : at + self.longest] for at in range(0, len(text), self.longest)] or [""]

    async def send(self, part: Part) -> Outcome:
        """What the script says; accepted parts are shown."""
        self.tried.append(part)
        outcome = self.answer(part)
        if isinstance(outcome, Accepted):
            self.shown.append(part)
        return outcome
