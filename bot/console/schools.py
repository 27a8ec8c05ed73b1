"""The schools of each area, by the names that staff and parents use."""

from __future__ import annotations

from typing import Sequence

from sqlalchemy import delete, select

from bot.casework.supervision import Refused
from bot.clock import new_id
from bot.store.console import School
from bot.store.database import Database

LONGEST = 120
MOST_AT_ONCE = 1000


class Schools:
    """Reads and writes the list. Raises Refused, with the reason in words."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[School]:
        """Every school, by area and name."""
        with self._database.read() as session:
            return list(session.scalars(select(School).order_by(School.area, School.name)))

    def names(self, area: str) -> Sequence[str]:
        """The names in an area."""
        with self._database.read() as session:
            return list(session.scalars(select(School.name).where(School.area == area).order_by(School.name)))

    def known(self, area: str, typed: str) -> str | None:
        """The school of an area with a name, however it is typed; nothing for no name."""
        typed = " ".join(typed.split())
        if not typed:
            return None
        found = next((name for name in self.names(area) if name.lower() == typed.lower()), None)
        if found is None:
            raise Refused(f"“{typed[:80]}” is not in the list of schools of this area. A manager can add it.")
        return found

    def add(self, area: str, lines: str) -> int:
        """Add schools, one a line; how many were new."""
        names = list(dict.fromkeys(" ".join(line.split()) for line in lines.splitlines() if line.strip()))
        if not names:
            raise Refused("Write the names of schools, one a line.")
        if len(names) > MOST_AT_ONCE:
            raise Refused(f"Add up to {MOST_AT_ONCE:,} schools at once.")
        if long := next((name for name in names if len(name) > LONGEST), None):
            raise Refused(f"“{long[:60]}…” is too long: a name has up to {LONGEST} letters.")
        with self._database.write() as session:
            known = {name.lower() for name in session.scalars(select(School.name).where(School.area == area))}
            new = [name for name in names if name.lower() not in known]
            session.add_all(School(id=new_id(), area=area, name=name) for name in new)
        return len(new)

    def remove(self, id: str) -> None:
        """Take a school off the list; queries keep its name."""
        with self._database.write() as session:
            session.execute(delete(School).where(School.id == id))
