"""Time and identity from one place, so that tests can set both."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Callable
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Clock:
    """`now()` in UTC; `today()` is the day in England."""

    source: Callable[[], datetime] = _now

    def now(self) -> datetime:
        """This moment, with its zone."""
        return self.source()

    def today(self) -> date:
        """The day it is in England."""
        return self.now().astimezone(LONDON).date()


def new_id() -> str:
    """A random row id of 32 hexadecimal characters."""
    return uuid.uuid4().hex


def new_secret() -> str:
    """A token of 256 bits that nobody can guess."""
    return secrets.token_urlsafe(32)
