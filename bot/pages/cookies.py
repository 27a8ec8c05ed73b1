"""Cookies' names and how they are set. RFC 6265bis 4.1.3: browsers take a `__Secure-` cookie by https only, so nobody can plant one in plain."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from bot.settings import Settings

PREFIX = "__Secure-"


@dataclass(frozen=True)
class Cookies:
    """The cookies of one part of the site.

    Parameters
    ----------
    path: the part; the browser sends them nowhere else.
    same_site: `lax`, or `strict` where no other site's link should arrive signed in.
    secure: people reach the service by https.
    """

    path: str
    same_site: str
    secure: bool

    @classmethod
    def of(cls, settings: Settings, path: str, same_site: str) -> Cookies:
        """As the settings have it."""
        return cls(path, same_site, settings.secure_cookies == "on")

    def name(self, name: str) -> str:
        """The name that the browser knows it by."""
        return f"{PREFIX}{name}" if self.secure else name

    def read(self, request: Request, name: str) -> str:
        """What the browser sent, or nothing."""
        return request.cookies.get(self.name(name), "")

    def write(self, answer: Response, name: str, value: str, seconds: int | None = None) -> None:
        """Have the browser keep it, for so long or until it is closed. No script can read it."""
        answer.set_cookie(self.name(name), value, max_age=seconds, path=self.path, httponly=True, samesite=self.same_site, secure=self.secure)

    def drop(self, answer: Response, name: str) -> None:
        """Have the browser forget it."""
        answer.delete_cookie(self.name(name), path=self.path, httponly=True, samesite=self.same_site, secure=self.secure)
