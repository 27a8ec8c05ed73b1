"""The promise: a due date in working days for England.

Like the FOI clock (and Alaveteli's), the day after receipt is day one. No source gives a number of days (H-T2-R3 says "timely"), so
the area's file sets it.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Iterable

from govuk_bank_holidays.bank_holidays import BankHolidays

from bot.clock import LONDON

MORNING = time(8, 0)


class BeyondCalendar(Exception):
    """The bank-holiday data does not reach the day asked for: install a newer `govuk-bank-holidays`."""


@lru_cache(maxsize=1)
def _bank_holidays() -> tuple[frozenset[date], date]:
    days = {h["date"] for h in BankHolidays(use_cached_holidays=True).get_holidays(division=BankHolidays.ENGLAND_AND_WALES)}
    return frozenset(days), date(max(days).year, 12, 31)


class WorkingDays:
    """Days on which questions are answered: Monday to Friday but for England's bank holidays and the area's own closures."""

    def __init__(self, closures: Iterable[date] = ()) -> None:
        self._holidays, self.last_known = _bank_holidays()
        self._closures = frozenset(closures)

    def is_working_day(self, day: date) -> bool:
        """Whether somebody answers on `day`. Raises BeyondCalendar after the last day known."""
        if day > self.last_known:
            raise BeyondCalendar(f"bank holidays are known to {self.last_known:%-d %B %Y}; {day:%-d %B %Y} is later")
        return day.weekday() < 5 and day not in self._holidays and day not in self._closures

    def due(self, received: date, days: int) -> date:
        """The day by which a question received on `received` is answered: `days` working days later (0: the same day)."""
        day = received
        while days > 0:
            day += timedelta(days=1)
            if self.is_working_day(day):
                days -= 1
        return day

    def morning(self, day: date, days: int = 0) -> datetime:
        """Eight o'clock in England, `days` working days after `day`, or on the next working day after it that `day` itself is not."""
        reached = self.due(day, days)
        while not self.is_working_day(reached):
            reached += timedelta(days=1)
        return datetime.combine(reached, MORNING, LONDON)
