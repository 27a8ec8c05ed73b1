"""A database whose process can be killed before or after any commit, for the proof of the query cycle."""

from __future__ import annotations

from contextlib import contextmanager

from sqlalchemy import event

from bot.store.database import Database


class Killed(BaseException):
    """The process is dead: nothing of it goes on, nothing may catch this."""


class MortalDatabase(Database):
    """`kill_at(n, committed)` kills the process at its n-th commit from now, before it or just after; `revive` starts another."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        if self.is_sqlite:
            # It is the process that dies here, not the machine: no need to wait for the disk.
            event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        self.dead = False
        self._left: int | None = None
        self._committed = False

    def kill_at(self, commits: int, committed: bool) -> None:
        """Set the fuse."""
        self._left, self._committed = commits, committed

    def revive(self) -> None:
        """A new process, which will live."""
        self.dead, self._left = False, None

    def alive(self) -> None:
        """Raise Killed if the process is dead."""
        if self.dead:
            raise Killed

    @contextmanager
    def read(self):
        """As Database, while alive."""
        self.alive()
        with super().read() as session:
            yield session

    @contextmanager
    def write(self):
        """As Database, but the process may die before the commit (nothing is kept) or after it (all is kept)."""
        self.alive()
        dies = False
        with super().write() as session:
            yield session
            self.alive()
            if self._left is not None:
                self._left -= 1
                dies = self._left <= 0
            if dies and not self._committed:
                self.dead = True
                raise Killed
        if dies:
            self.dead = True
            raise Killed
