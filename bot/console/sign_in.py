"""Staff sign-in: passwords, lock-out and sessions kept on the server."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Sequence

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from bot.clock import Clock, new_id, new_secret
from bot.console.access import ROLES
from bot.console.passwords import LONGEST, problem_with
from bot.console.second_step import SecondSteps
from bot.conversations.log import token_hash
from bot.store.database import Database
from bot.store.tables import SignInAttempt, Staff, StaffSession

# WCAG 2.2.1: nobody is timed out within a working day, and nothing typed is lost when they are.
SESSION = timedelta(hours=20)
HALF_SESSION = timedelta(minutes=10)
IDLE_STEP = timedelta(seconds=30)
LOCK_OUT = timedelta(minutes=15)
MOST_FAILURES = 5
_PASSWORD_LETTERS = "abcdefghjkmnpqrstuvwxyzACDEFHJKMNPRTWXY34679"
_PASSWORD_LENGTH = 16
SECOND_STEP = ("offered", "required")

WRONG = "The email address or the password is not right. Check both and try again."
LOCKED = "Too many sign-ins have failed for this email address. Wait 15 minutes, then try again."
WRONG_CODE = "The code is not right, or has been used. Wait for the next code in your app, or use a recovery code."
CODES_LOCKED = "Too many codes were wrong. Wait 15 minutes, then try again."
WRONG_PASSWORD = "The present password is not right."
NOT_KNOWN = "Your organisation signed you in, but there is no account for {email} here. Ask a manager to add it."


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
    """Signs staff in and out. A session's cookie is a secret of which only the hash is kept.

    Parameters
    ----------
    second_step: `required` lets nobody in without one; `offered` asks those who have set one up.
    idle: a session ends when nothing was opened or sent in it for so long; no time means only after SESSION.
    """

    def __init__(self, database: Database, clock: Clock, second_step: str = "offered", idle: timedelta = timedelta()) -> None:
        self._database, self._clock, self._idle = database, clock, idle
        self._hasher = PasswordHasher()
        self.second_steps, self.is_required = SecondSteps(database, clock), second_step == "required"

    @cached_property
    def _nobodys_hash(self) -> str:
        return self._hasher.hash(new_secret())

    def sign_in(self, email: str, password: str) -> str:
        """Check a password; the token for the cookie, of a whole session or one that owes its second step. Raises SignInRefused.

        An attempt is counted before the password is looked at, so guesses made at once are counted too. An unknown e-mail takes as
        long as a known one.
        """
        email = email.strip().lower()[:255]
        self._count_attempt(email, LOCKED)
        with self._database.read() as session:
            member = session.scalar(select(Staff).where(Staff.email == email))
        nobodys = self._nobodys_hash
        right = self._verify(member.password_hash if member else nobodys, password)
        if member is None or not right or not member.active:
            raise SignInRefused(WRONG)
        stage = "second_step" if member.totp_secret else "set_up" if self.is_required else "full"
        token = self._open_session(member.id, stage, email)
        self._rehash(member.id, password)
        return token

    def pass_second_step(self, half: StaffSession, code: str) -> str:
        """The code that a session owed; the token of a whole session, which replaces it. Raises SignInRefused."""
        key = f"code {half.staff_id}"
        self._count_attempt(key, CODES_LOCKED)
        if not self.second_steps.check(half.staff_id, code):
            raise SignInRefused(WRONG_CODE)
        return self._open_session(half.staff_id, "full", key, instead_of=half.token_hash)

    def confirm_set_up(self, session: StaffSession, code: str) -> tuple[str, list[str]]:
        """Switch a second step on and open a whole session in place of this one; its token, and recovery codes to be shown once.

        Other sessions of this member end. Raises SignInRefused.
        """
        codes = self.second_steps.confirm(session, code)
        if codes is None:
            raise SignInRefused(WRONG_CODE)
        self.end_others(session)
        return self._open_session(session.staff_id, "full", "", instead_of=session.token_hash), codes

    def vouched_for(self, email: str, subject: str) -> str:
        """A token for somebody whom the organisation's own sign-in vouches for. Raises SignInRefused for who has no account here."""
        email = email.strip().lower()
        with self._database.write() as session:
            member = session.scalar(select(Staff).where(Staff.oidc_subject == subject)) or session.scalar(
                select(Staff).where(Staff.email == email, Staff.oidc_subject.is_(None))
            )
            if member is None or not member.active:
                raise SignInRefused(NOT_KNOWN.format(email=email))
            member.oidc_subject = subject
        return self._open_session(member.id, "full", "")

    def _count_attempt(self, key: str, locked: str) -> None:
        now = self._clock.now()
        with self._database.write() as session:
            self._database.alone(session, f"sign-in {key}")
            session.execute(delete(SignInAttempt).where(SignInAttempt.at <= now - LOCK_OUT))
            failures = session.scalar(select(func.count()).select_from(SignInAttempt).where(SignInAttempt.email == key))
            if failures < MOST_FAILURES:
                session.add(SignInAttempt(email=key, at=now))
                return
        raise SignInRefused(locked)

    def _verify(self, known: str, password: str) -> bool:
        try:
            return self._hasher.verify(known, password[:LONGEST])
        except (VerificationError, InvalidHashError):
            return False

    def _open_session(self, staff_id: str, stage: str, attempts: str, instead_of: str = "") -> str:
        token, now = new_secret(), self._clock.now()
        lasts = min(SESSION, self._idle or SESSION) if stage == "full" else HALF_SESSION
        with self._database.write() as session:
            session.execute(delete(StaffSession).where((StaffSession.expires_at <= now) | (StaffSession.token_hash == instead_of)))
            session.execute(delete(SignInAttempt).where(SignInAttempt.email == attempts))
            session.add(
                StaffSession(token_hash=token_hash(token), staff_id=staff_id, csrf=new_secret(), created_at=now, expires_at=now + lasts, stage=stage)
            )
        return token

    def _rehash(self, staff_id: str, password: str) -> None:
        with self._database.write() as session:
            member = session.get_one(Staff, staff_id)
            if self._hasher.check_needs_rehash(member.password_hash):
                member.password_hash = self._hasher.hash(password)

    def member(self, token: str) -> StaffSession | None:
        """The whole session that a cookie opens, with its `staff` and `csrf`; nothing once it ended or the account was disabled."""
        found = self.watching(token)
        if found is not None and self._idle:
            self._go_on(found)
        return found

    def watching(self, token: str) -> StaffSession | None:
        """`member` for what a page asks by itself: that nobody is there must not keep a session open."""
        found = self._session(token)
        return found if found is not None and found.stage == "full" else None

    def _go_on(self, found: StaffSession) -> None:
        """Somebody is at work: the session ends later, written down at most once in IDLE_STEP."""
        ends = min(found.created_at + SESSION, self._clock.now() + self._idle)
        if abs(ends - found.expires_at) >= IDLE_STEP:
            with self._database.write() as session:
                session.execute(update(StaffSession).where(StaffSession.token_hash == found.token_hash).values(expires_at=ends))

    def half(self, token: str) -> StaffSession | None:
        """The session of somebody who has given their password and owes a second step, or must set one up."""
        found = self._session(token)
        return found if found is not None and found.stage != "full" else None

    def _session(self, token: str) -> StaffSession | None:
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

    def end_others(self, own: StaffSession) -> int:
        """End every other session of a member; how many."""
        with self._database.write() as session:
            others = delete(StaffSession).where(StaffSession.staff_id == own.staff_id, StaffSession.token_hash != own.token_hash)
            return session.execute(others).rowcount

    def sessions(self, staff_id: str) -> Sequence[StaffSession]:
        """The whole sessions of a member, newest first."""
        with self._database.read() as session:
            live = select(StaffSession).where(StaffSession.staff_id == staff_id, StaffSession.stage == "full", StaffSession.expires_at > self._clock.now())
            return list(session.scalars(live.order_by(StaffSession.created_at.desc())))

    def is_password_of(self, member: Staff, password: str) -> bool:
        """Whether this is a member's password; counted for the lock-out like a sign-in. Raises SignInRefused."""
        self._count_attempt(member.email, LOCKED)
        if not self._verify(member.password_hash, password):
            return False
        with self._database.write() as session:
            session.execute(delete(SignInAttempt).where(SignInAttempt.email == member.email))
        return True

    def change_password(self, own: StaffSession, present: str, new: str) -> None:
        """Another password for oneself; other sessions end. Raises SignInRefused or StaffProblem."""
        if not self.is_password_of(own.staff, present):
            raise SignInRefused(WRONG_PASSWORD)
        self.set_password(own.staff_id, new)
        self.end_others(own)

    def set_password(self, staff_id: str, new: str) -> None:
        """Set a password. Raises StaffProblem."""
        with self._database.read() as session:
            member = session.get_one(Staff, staff_id)
        _check_password(new, member.name, member.email)
        hashed = self._hasher.hash(new)
        with self._database.write() as session:
            session.get_one(Staff, staff_id).password_hash = hashed

    def reset(self, staff_id: str) -> str:
        """A new password for somebody who lost theirs, to be shown once; their sessions end."""
        password = new_password()
        self.set_password(staff_id, password)
        with self._database.write() as session:
            session.execute(delete(StaffSession).where(StaffSession.staff_id == staff_id))
        return password

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
        _check_password(password, newcomer.name, email)
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


def _check_password(password: str, *about: str) -> None:
    if (problem := problem_with(password, about)) is not None:
        raise StaffProblem(problem)


def new_password() -> str:
    """A password that nobody can guess, for somebody's first sign-in."""
    return "".join(secrets.choice(_PASSWORD_LETTERS) for _ in range(_PASSWORD_LENGTH))


def staff_directory_is_empty(session: Session) -> bool:
    """Whether there is no member of staff at all."""
    return session.scalar(select(Staff.id).limit(1)) is None
