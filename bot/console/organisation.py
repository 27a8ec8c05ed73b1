"""Signing in with the organisation's own account (OpenID Connect, through Authlib)."""

from __future__ import annotations

import hmac
import logging
import warnings
from dataclasses import dataclass
from datetime import timedelta

import httpx
from anyio import to_thread
from authlib.common.errors import AuthlibBaseError
from sqlalchemy import delete
from starlette.requests import Request
from starlette.responses import Response

from bot.clock import Clock
from bot.conversations.log import token_hash
from bot.pages.cookies import Cookies
from bot.settings import Settings
from bot.store.console import OidcRequest
from bot.store.database import Database

logger = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=10)
COOKIE = "signpost_organisation"
BACK = "/console/sign-in/organisation/back"


class NotVouched(Exception):
    """The organisation's sign-in did not say who this is; the message says what to do, in words for staff."""


UNREACHABLE = "Your organisation's sign-in does not answer. Try again, or sign in with your password."
REFUSED = "Your organisation did not sign you in. Try again, or sign in with your password."
NOT_BEGUN_HERE = "That sign-in was not begun in this browser, or took too long. Start again."


@dataclass(frozen=True)
class Vouched:
    """Who the organisation says this is, and the page that they wanted."""

    email: str
    subject: str
    onward: str


class OrganisationSignIn:
    """The way to the organisation's sign-in and back: authorization code with PKCE and nonce, bound to the browser by a cookie."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._database, self._clock, self._site = database, clock, settings.site
        # Lax: the organisation's page leads the browser back here
        self.cookies = Cookies(BACK, "lax", settings.secure_cookies == "on" or self._site.startswith("https:"))
        self._issuer, self.label = settings.oidc_issuer.rstrip("/"), settings.oidc_label
        self._client = _oauth().register(
            "organisation",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret,
            server_metadata_url=f"{self._issuer}/.well-known/openid-configuration",
            client_kwargs={"scope": "openid email", "code_challenge_method": "S256"},
        )

    async def away(self, request: Request, onward: str) -> Response:
        """Send the browser to the organisation. Raises NotVouched if it does not answer."""
        request.scope["session"] = checks = {}
        try:
            answer = await self._client.authorize_redirect(request, self._site + BACK)
        except (httpx.HTTPError, AuthlibBaseError, ValueError, KeyError, RuntimeError) as problem:
            logger.error("the organisation's sign-in failed: %r", problem)
            raise NotVouched(UNREACHABLE) from problem
        [key] = checks
        state = key.removeprefix("_state_organisation_")
        await to_thread.run_sync(self._keep, state, checks, onward)
        answer.status_code = 303
        self.cookies.write(answer, COOKIE, state, int(PATIENCE.total_seconds()))
        return answer

    def _keep(self, state: str, checks: dict, onward: str) -> None:
        now = self._clock.now()
        with self._database.write() as session:
            session.execute(delete(OidcRequest).where(OidcRequest.expires_at <= now))
            session.add(OidcRequest(state_hash=token_hash(state), checks=checks, onward=onward, expires_at=now + PATIENCE))

    def _take(self, state: str) -> OidcRequest | None:
        """What was kept for a state: once."""
        with self._database.write() as session:
            kept = session.get(OidcRequest, token_hash(state))
            if kept is not None:
                session.delete(kept)
        return kept if kept is not None and kept.expires_at > self._clock.now() else None

    async def back(self, request: Request) -> Vouched:
        """Who came back. Raises NotVouched."""
        state, bound = request.query_params.get("state", ""), self.cookies.read(request, COOKIE)
        kept = await to_thread.run_sync(self._take, state) if state and hmac.compare_digest(state.encode(), bound.encode()) else None
        if kept is None:
            raise NotVouched(NOT_BEGUN_HERE)
        request.scope["session"] = dict(kept.checks)
        try:
            token = await self._client.authorize_access_token(request)
        except Exception as problem:  # Authlib lets errors of the token's library and of the connection through
            logger.error("the organisation's answer was refused: %s", type(problem).__name__)
            raise NotVouched(UNREACHABLE if isinstance(problem, httpx.HTTPError) else REFUSED) from problem
        claims = token.get("userinfo") or {}
        email, subject = claims.get("email"), claims.get("sub")
        if claims.get("iss", "").rstrip("/") != self._issuer or not email or not subject or claims.get("email_verified") is False:
            logger.error("the organisation's answer names no verified e-mail address, or comes from another issuer")
            raise NotVouched(REFUSED)
        return Vouched(str(email), f"{self._issuer} {subject}"[:255], kept.onward)


def _oauth():
    """Authlib's registry, imported where it is used: it warns of a library that it does without."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from authlib.integrations.starlette_client import OAuth
    return OAuth()


def organisation_sign_in(settings: Settings, database: Database, clock: Clock) -> OrganisationSignIn | None:
    """The organisation's sign-in, if one is set."""
    return OrganisationSignIn(settings, database, clock) if settings.oidc_issuer else None
