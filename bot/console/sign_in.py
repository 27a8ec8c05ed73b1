"""Staff sign-in: passwords, lock-out and sessions kept on the server."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Sequence

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from bot.clock import Clock, new_id, new_secret
from bot.conversations.log import token_hash
from bot.store.database import Database
from bot.store.tables import SignInAttempt, Staff, StaffSession

SESSION = timedelta(hours=12)
LOCK_OUT = timedelta(minutes=15)
MOST_FAILURES = 5
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
_PASSWORD_LETTERS = "abcdefghjkmnpqrstuvwxyzACDEFHJKMNPRTWXY34679"
_PASSWORD_LENGTH = 16
ROLES = ("lead", "coordinator", "manager", "auditor")

WRONG = "The email address or the password is not right. Check both and try again."
LOCKED = "Too many sign-ins have failed for this email address. Wait 15 minutes, then try again."


class SignInRefused(Exception):
    """Nobody was signed in; the message says why in words for staff."""


class StaffProblem(ValueError):
    """A member of staff cannot be added; the message says what to mend."""


@dataclass(frozen=True)
class NewStaff:
    """Somebody to add to the staff directory. Empty lists mean all."""

    email: str
    name: str
    title: str
    role: str
    team: str = ""
    areas: Sequence[str] = ()
    topics: Sequence[str] = ()
    on_call: bool = False
    therapies: Sequence[str] = ()
    languages: Sequence[str] = ()
    schools: Sequence[str] = ()
    duty: bool = False


class SignIn:
    """Signs staff in and out. A session's cookie is a secret of which only the hash is kept."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._hasher = PasswordHasher()

    @cached_property
    def _nobodys_hash(self) -> str:
        return self._hasher.hash(new_secret())

    def sign_in(self, email: str, password: str) -> str:
        """Check a password; the token for the cookie. Raises SignInRefused.

        An attempt is counted before the password is looked at, so guesses made at once are counted too. An unknown e-mail takes as
        long as a known one.
        """
        email = email.strip().lower()[:255]
        self._count_attempt(email)
        with self._database.read() as session:
            member = session.scalar(select(Staff).where(Staff.email == email))
        nobodys = self._nobodys_hash
        right = self._verify(member.password_hash if member else nobodys, password)
        if member is None or not right or not member.active:
            raise SignInRefused(WRONG)
        return self._open_session(member.id, email, password)

    def _count_attempt(self, email: str) -> None:
        now = self._clock.now()
        with self._database.write() as session:
            session.execute(delete(SignInAttempt).where(SignInAttempt.at <= now - LOCK_OUT))
            failures = session.scalar(select(func.count()).select_from(SignInAttempt).where(SignInAttempt.email == email))
            if failures < MOST_FAILURES:
                session.add(SignInAttempt(email=email, at=now))
                return
        raise SignInRefused(LOCKED)

    def _verify(self, known: str, password: str) -> bool:
        try:
            return self._hasher.verify(known, password[:LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return False

    def _open_session(self, staff_id: str, email: str, password: str) -> str:
        token, now = new_secret(), self._clock.now()
        with self._database.write() as session:
            session.execute(delete(StaffSession).where(StaffSession.expires_at <= now))
            session.execute(delete(SignInAttempt).where(SignInAttempt.email == email))
            session.add(StaffSession(token_hash=token_hash(token), staff_id=staff_id, csrf=new_secret(), created_at=now, expires_at=now + SESSION))
            member = session.get_one(Staff, staff_id)
            if self._hasher.check_needs_rehash(member.password_hash):
                member.password_hash = self._hasher.hash(password)
        return token

    def member(self, token: str) -> StaffSession | None:
        """The live session that a cookie opens, with its `staff` and `csrf`; nothing once it ended or the account was disabled."""
        if not token:
            return None
        with self._database.read() as session:
            found = session.scalar(select(StaffSession).options(joinedload(StaffSession.staff)).where(StaffSession.token_hash == token_hash(token)))
        if found is None or found.expires_at <= self._clock.now() or not found.staff.active:
            return None
        return found

    def sign_out(self, token: str) -> None:
        """End a session."""
        with self._database.write() as session:
            session.execute(delete(StaffSession).where(StaffSession.token_hash == token_hash(token)))

    def add_staff(self, *, password: str, **newcomer: Any) -> Staff:
        """Add somebody to the directory; `newcomer` has the fields of NewStaff. Raises StaffProblem."""
        member = self.prepare(NewStaff(**newcomer), password)
        try:
            with self._database.write() as session:
                session.add(member)
        except IntegrityError:
            raise StaffProblem(f"There is an account for {member.email} already.") from None
        return member

    def prepare(self, newcomer: NewStaff, password: str) -> Staff:
        """The row for a new member of staff, not yet in the directory. Raises StaffProblem."""
        email = newcomer.email.strip().lower()
        if email.count("@") != 1 or not all(email.split("@")) or len(email) > 255:
            raise StaffProblem(f"{newcomer.email!r} is not an email address.")
        if not newcomer.name.strip() or not newcomer.title.strip():
            raise StaffProblem("Parents are told the name and the title, so both are needed.")
        if newcomer.role not in ROLES:
            raise StaffProblem(f"The role must be one of: {', '.join(ROLES)}.")
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise StaffProblem(f"The password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
        return Staff(
            id=new_id(),
            email=email,
            name=newcomer.name.strip(),
            title=newcomer.title.strip(),
            role=newcomer.role,
            team=newcomer.team,
            areas=list(newcomer.areas),
            topics=list(newcomer.topics),
            on_call=newcomer.on_call,
            therapies=list(newcomer.therapies),
            languages=list(newcomer.languages),
            schools=list(newcomer.schools),
            duty=newcomer.duty,
            active=True,
            password_hash=self._hasher.hash(password),
            created_at=self._clock.now(),
        )


def new_password() -> str:
    """A password that nobody can guess, for somebody's first sign-in."""
    return "".join(secrets.choice(_PASSWORD_LETTERS) for _ in range(_PASSWORD_LENGTH))


def staff_directory_is_empty(session: Session) -> bool:
    """Whether there is no member of staff at all."""
    return session.scalar(select(Staff.id).limit(1)) is None
