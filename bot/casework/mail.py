"""E-mail to staff and to bodies that are asked to explain: rows first, then SMTP (RFC 5321), tried again until it is taken.

An alert may come twice if a worker dies between the server's yes and its own commit; its Message-ID (RFC 5322) is the same then, so that mail
systems can tell.
"""

from __future__ import annotations

import logging
import random
import smtplib
import ssl
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Callable, Protocol, Sequence

from sqlalchemy import select

from bot.clock import Clock
from bot.conversations.delivery import LEASE, pause
from bot.store.cycle import Email
from bot.store.database import Database

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 40
SECURITY = ("starttls", "tls", "none")


@dataclass(frozen=True)
class Letter:
    """An e-mail to send now."""

    id: str
    key: str
    address: str
    subject: str
    body: str


class MailRefused(Exception):
    """The server will never take this letter (a 5xx answer): somebody has to look at the address."""


class Post(Protocol):
    """Anything that sends letters."""

    def send(self, letter: Letter) -> None:
        """Send one. Raises MailRefused, or OSError and smtplib.SMTPException where it may go later."""


@dataclass(frozen=True)
class Smtp:
    """An SMTP server. `security` is `starttls`, `tls` from the start, or `none` (loopback only)."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    security: str = "starttls"
    timeout: float = 20.0

    def send(self, letter: Letter) -> None:
        """Send one letter on a connection of its own."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, letter.address, " ".join(letter.subject.split())
        message["Message-ID"] = f"<{letter.key.replace(':', '.')}@{self.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.body)
        kind = smtplib.SMTP_SSL if self.security == "tls" else smtplib.SMTP
        secure = {"context": ssl.create_default_context()} if self.security == "tls" else {}
        with kind(self.host, self.port, timeout=self.timeout, **secure) as server:
            if self.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self.user:
                server.login(self.user, self.password)
            try:
                server.send_message(message)
            except smtplib.SMTPRecipientsRefused as refused:
                code = next(iter(refused.recipients.values()))[0]
                if code >= 500:
                    raise MailRefused(f"{code}") from refused
                raise


class Mailbox:
    """The queue of letters; safe with any number of workers."""

    def __init__(self, database: Database, clock: Clock, post: Post | None, jitter: Callable[[], float] = random.random) -> None:
        self._database, self._clock, self._post, self._jitter = database, clock, post, jitter

    def send_due(self, limit: int = 20) -> int:
        """Send what is due; how many were tried."""
        if self._post is None:
            return 0
        letters = self._claim(limit)
        for letter in letters:
            try:
                self._post.send(letter)
                self._settle(letter, "sent", "")
            except MailRefused as refused:
                logger.error("the server will not take a letter about %s: %s", letter.key, refused)
                self._settle(letter, "failed", str(refused))
            except (OSError, smtplib.SMTPException) as problem:
                logger.warning("a letter about %s did not go: %s", letter.key, type(problem).__name__)
                self._settle(letter, "waiting", type(problem).__name__)
        return len(letters)

    def _claim(self, limit: int) -> Sequence[Letter]:
        now = self._clock.now()
        due = (
            select(Email)
            .where(Email.state.in_(("waiting", "sending")), Email.next_try_at <= now)
            .order_by(Email.next_try_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._database.write() as session:
            claimed = session.scalars(due).all()
            for email in claimed:
                # Still `sending` when its time comes again: the worker died. next_try_at is the lease.
                email.state, email.attempts, email.next_try_at = "sending", email.attempts + 1, now + LEASE
            return [Letter(e.id, e.key, e.address, e.subject, e.body) for e in claimed]

    def _settle(self, letter: Letter, state: str, problem: str) -> None:
        with self._database.write() as session:
            email = session.get_one(Email, letter.id, with_for_update=True)
            gave_up = state == "waiting" and email.attempts >= MOST_ATTEMPTS
            email.state, email.problem = "failed" if gave_up else state, problem or None
            email.next_try_at = self._clock.now() + timedelta(seconds=pause(email.attempts, 0, self._jitter()))
