"""The second step of signing in: a code from an authenticator app (RFC 6238), or a recovery code."""

from __future__ import annotations

import hmac
import re
import secrets

import pyotp
import segno
from markupsafe import Markup
from sqlalchemy import delete, func, select, update

from bot.casework.references import ALPHABET
from bot.clock import Clock
from bot.conversations.log import token_hash
from bot.store.console import RecoveryCode
from bot.store.database import Database
from bot.store.tables import Staff, StaffSession

ISSUER = "Signpost"
STEP_SECONDS = 30
RECOVERY_CODES = 10
_RECOVERY_LETTERS = 16


class SecondSteps:
    """Sets up, checks and takes away the second step of members of staff."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def begin(self, half: StaffSession) -> str:
        """The secret that is being set up in a session: the same until it is confirmed, so that a page can be loaded again."""
        with self._database.write() as session:
            kept = session.get_one(StaffSession, half.token_hash)
            kept.new_secret = kept.new_secret or pyotp.random_base32()
            return kept.new_secret

    def confirm(self, half: StaffSession, code: str) -> list[str] | None:
        """Switch the second step on if the code shows that the app has the secret; fresh recovery codes, or nothing."""
        with self._database.write() as session:
            kept = session.get_one(StaffSession, half.token_hash)
            step = self._step(kept.new_secret or "", code, 0) if kept.new_secret else None
            if step is None:
                return None
            member = session.get_one(Staff, kept.staff_id)
            member.totp_secret, member.totp_step, kept.new_secret = kept.new_secret, step, None
            return self._fresh_codes(session, member.id)

    def check(self, member_id: str, code: str) -> bool:
        """Whether a code opens: one of the app's, each once, or a recovery code, each once."""
        if (recovery := _recovery(code)) is not None:
            return self._spend(member_id, recovery)
        with self._database.write() as session:
            member = session.get_one(Staff, member_id)
            step = self._step(member.totp_secret or "", code, member.totp_step) if member.totp_secret else None
            if step is None:
                return False
            newer = update(Staff).where(Staff.id == member_id, Staff.totp_step < step).values(totp_step=step)
            return session.execute(newer.execution_options(synchronize_session=False)).rowcount == 1

    def _spend(self, member_id: str, code: str) -> bool:
        with self._database.write() as session:
            spent = (
                update(RecoveryCode)
                .where(RecoveryCode.code_hash == token_hash(code), RecoveryCode.staff_id == member_id, RecoveryCode.used_at.is_(None))
                .values(used_at=self._clock.now())
            )
            return session.execute(spent).rowcount == 1

    def _step(self, secret: str, code: str, after: int) -> int | None:
        """The time step that a code belongs to, now or one beside it, later than `after`."""
        digits = re.sub(r"\s", "", code)
        now = int(self._clock.now().timestamp()) // STEP_SECONDS
        for step in (now, now - 1, now + 1):
            if step > after and hmac.compare_digest(pyotp.TOTP(secret).at(step * STEP_SECONDS).encode(), digits.encode()):
                return step
        return None

    def new_codes(self, member_id: str) -> list[str]:
        """Fresh recovery codes; the old ones open no more."""
        with self._database.write() as session:
            return self._fresh_codes(session, member_id)

    @staticmethod
    def _fresh_codes(session, member_id: str) -> list[str]:
        codes = ["".join(secrets.choice(ALPHABET) for _ in range(_RECOVERY_LETTERS)) for _ in range(RECOVERY_CODES)]
        session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == member_id))
        session.add_all(RecoveryCode(code_hash=token_hash(code), staff_id=member_id, used_at=None) for code in codes)
        return ["-".join(code[at : at + 4] for at in range(0, _RECOVERY_LETTERS, 4)) for code in codes]

    def codes_left(self, member_id: str) -> int:
        """How many recovery codes still open."""
        with self._database.read() as session:
            unused = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.staff_id == member_id, RecoveryCode.used_at.is_(None))
            return session.scalar(unused) or 0

    def take_away(self, member_id: str) -> None:
        """Switch the second step off: the member wants it, or a manager helps somebody who lost their phone."""
        with self._database.write() as session:
            member = session.get_one(Staff, member_id)
            member.totp_secret = None
            session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == member_id))


def picture(secret: str, email: str) -> Markup:
    """The secret as a QR code for an authenticator app (SVG without style)."""
    address = pyotp.TOTP(secret, name=email, issuer=ISSUER).provisioning_uri()
    return Markup(segno.make(address, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff", svgclass="app-qr", omitsize=False))  # nosec B704 - paths of a QR code


def _recovery(typed: str) -> str | None:
    letters = re.sub(r"[\s-]", "", typed).upper()
    return letters if len(letters) == _RECOVERY_LETTERS and all(letter in ALPHABET for letter in letters) else None
