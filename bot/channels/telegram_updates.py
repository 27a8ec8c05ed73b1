"""Updates of Telegram, on disk before Telegram is told that we have them, and kept until they have been handled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Mapping, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot.clock import Clock
from bot.store.database import Database
from bot.store.telegram import TelegramCode, TelegramUpdate

KINDS = ("message", "edited_message", "callback_query", "my_chat_member")
LEASE = timedelta(minutes=1)
# Telegram repeats an update for up to 24 hours (core.telegram.org/bots/api#getting-updates).
KEPT_FOR = timedelta(hours=48)
MOST_ATTEMPTS = 8


@dataclass(frozen=True)
class Stored:
    """An update to handle."""

    update_id: int
    chat_id: int
    body: Mapping[str, Any]


def chat_in(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The chat of an update of a kind that we read; nothing for others."""
    for kind in KINDS:
        if isinstance(about := body.get(kind), Mapping):
            if kind == "callback_query":
                about = about.get("message")
            chat = about.get("chat") if isinstance(about, Mapping) else None
            return chat if isinstance(chat, Mapping) and is_number(chat.get("id")) else None
    return None


def is_number(given: Any) -> bool:
    """Whether this can be the number of an update or a chat: a whole one of at most 64 bits."""
    return type(given) is int and -(2**63) <= given < 2**63


class Updates:
    """The stored updates. `owner` is this app's name."""

    def __init__(self, database: Database, clock: Clock, owner: str) -> None:
        self._database, self._clock, self._owner = database, clock, owner[-64:]

    def keep(self, bodies: Sequence[Mapping[str, Any]]) -> list[int]:
        """Write updates of private chats down, each once for ever; the chats that have something new. Committed when this returns."""
        try:
            return self._keep(bodies)
        except IntegrityError:
            # Another app was given one of them in the same moment.
            return sorted({chat for body in bodies for chat in self._keep([body], give_way=True)})

    def _keep(self, bodies: Sequence[Mapping[str, Any]], give_way: bool = False) -> list[int]:
        now = self._clock.now()
        wanted = {body["update_id"]: body for body in bodies}
        try:
            with self._database.write() as session:
                known = set(session.scalars(select(TelegramUpdate.update_id).where(TelegramUpdate.update_id.in_(wanted))))
                new = [(id, chat_in(body)["id"], body) for id, body in wanted.items() if id not in known]
                session.add_all(
                    TelegramUpdate(
                        update_id=id, chat_id=chat, body=dict(body), claimed_by=self._owner, claimed_until=now + LEASE, received_at=now
                    )
                    for id, chat, body in new
                )
            return sorted({chat for _, chat, _ in new})
        except IntegrityError:
            if give_way:
                return []
            raise

    def next_of(self, chat_id: int, after: int) -> Stored | None:
        """The chat's first update later than `after` that this app is to handle."""
        asked = (
            select(TelegramUpdate)
            .where(
                TelegramUpdate.chat_id == chat_id,
                TelegramUpdate.state == "waiting",
                TelegramUpdate.claimed_by == self._owner,
                TelegramUpdate.update_id > after,
            )
            .order_by(TelegramUpdate.update_id)
            .limit(1)
        )
        with self._database.read() as session:
            row = session.scalar(asked)
            return Stored(row.update_id, row.chat_id, row.body) if row and row.body is not None else None

    def is_waiting(self, session: Session, update_id: int) -> bool:
        """Whether an update is still to be handled, within the session that will handle it."""
        row = session.get(TelegramUpdate, update_id, with_for_update=True)
        return row is not None and row.state == "waiting"

    def handled(self, session: Session, update_id: int) -> None:
        """It is done: its words go, its number stays for KEPT_FOR."""
        session.execute(update(TelegramUpdate).where(TelegramUpdate.update_id == update_id).values(state="handled", body=None).execution_options(synchronize_session=False))

    @staticmethod
    def erase(session: Session, chat_id: int) -> None:
        """Take away the words of a chat's updates that were set aside."""
        session.execute(update(TelegramUpdate).where(TelegramUpdate.chat_id == chat_id, TelegramUpdate.state == "set_aside").values(body=None).execution_options(synchronize_session=False))

    def failed(self, update_id: int) -> bool:
        """Handling it failed: it is tried again later, or set aside after MOST_ATTEMPTS; whether it was set aside."""
        with self._database.write() as session:
            row = session.get_one(TelegramUpdate, update_id)
            row.attempts += 1
            row.claimed_until = self._clock.now() + timedelta(seconds=2**row.attempts)
            row.state = "set_aside" if row.attempts >= MOST_ATTEMPTS else "waiting"
            return row.state == "set_aside"

    def left_behind(self, including_fresh: bool = False) -> list[int]:
        """Claim updates that failed some time ago or whose app died; their chats. `including_fresh`: no other app can be alive."""
        now = self._clock.now()
        left = select(TelegramUpdate).where(TelegramUpdate.state == "waiting")
        if not including_fresh:
            left = left.where(TelegramUpdate.claimed_until < now)
        with self._database.write() as session:
            rows = session.scalars(left.order_by(TelegramUpdate.update_id).limit(500).with_for_update(skip_locked=True)).all()
            for row in rows:
                row.claimed_by, row.claimed_until = self._owner, now + LEASE
            return sorted({row.chat_id for row in rows})

    def prune(self) -> None:
        """Forget the numbers of old updates, and codes that can no longer be used."""
        now = self._clock.now()
        with self._database.write() as session:
            session.execute(delete(TelegramUpdate).where(TelegramUpdate.received_at < now - KEPT_FOR, TelegramUpdate.state == "handled"))
            session.execute(delete(TelegramCode).where(TelegramCode.expires_at < now - KEPT_FOR))
