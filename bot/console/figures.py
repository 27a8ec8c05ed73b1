"""Numbers that may be shown: counts under five are hidden, so that nobody is known by them, and so is what would give them away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Sequence

FEWEST = 5
HIDDEN = "fewer than 5"
WITHHELD = "hidden"


@dataclass(frozen=True)
class Count:
    """A count as it may be shown: its number, or the words that stand for it."""

    number: int | None
    words: str

    def __str__(self) -> str:
        return self.words


def counts(numbers: Sequence[int]) -> list[Count]:
    """The counts of one column, whose sum is known to the reader.

    1 to 4 are hidden. Where only one would be, the smallest other that is not zero is withheld too: a difference would give it away.
    """
    shown = [Count(None, HIDDEN) if 0 < number < FEWEST else Count(number, f"{number:,}") for number in numbers]
    hidden = [i for i, count in enumerate(shown) if count.number is None]
    others = [i for i, count in enumerate(shown) if count.number]
    if len(hidden) == 1 and others:
        smallest = min(others, key=lambda i: numbers[i])
        shown[smallest] = Count(None, WITHHELD)
    return shown


def total(numbers: Sequence[int]) -> Count:
    """A sum, hidden like any count."""
    return counts([sum(numbers)])[0]


def share(part: int, whole: int) -> str:
    """A share in per cent; nothing if there is no whole, or if the part or the rest is too small to be shown."""
    if whole == 0 or 0 < part < FEWEST or 0 < whole - part < FEWEST:
        return ""
    return f"{round(100 * part / whole)}%"


def share_sentence(part: int, whole: int, sentence: str, nothing: str) -> str:
    """A sentence with a share in it (`{share}`); `nothing` if there is no whole, and that it is hidden if a number is too small."""
    if whole == 0:
        return nothing
    shown = share(part, whole)
    return sentence.format(share=shown) if shown else sentence.format(share="A share that is hidden (the numbers are small)")


@dataclass(frozen=True)
class Series:
    """What a chart shows of each row, in order, under one name."""

    name: str
    values: Sequence[Count]


@dataclass(frozen=True)
class Figure:
    """One part of a report: what was found in a sentence, a chart, and the table under it.

    `kind` is `bars` (a row a thing) or `columns` (a row a day or week).
    """

    id: str
    title: str
    finding: str
    unit: str
    rows: Sequence[str]
    series: Sequence[Series]
    kind: str = "bars"
    note: str = ""
    more: Sequence[tuple[str, str]] = field(default=())

    @property
    def headings(self) -> list[str]:
        """The names of the table's columns."""
        return [self.unit, *(series.name for series in self.series)]

    @property
    def table(self) -> list[list[str]]:
        """The table's rows."""
        return [[row, *(str(series.values[i]) for series in self.series)] for i, row in enumerate(self.rows)]

    @property
    def hides(self) -> bool:
        """Whether anything drawn is hidden."""
        return self.kind != "table" and any(value.number is None for series in self.series for value in series.values)

    @property
    def largest(self) -> int:
        """The longest bar or the tallest column, to draw the others by."""
        return max((sum(s.values[i].number or 0 for s in self.series) for i in range(len(self.rows))), default=0)
