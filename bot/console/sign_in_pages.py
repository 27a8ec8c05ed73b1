"""Signing in: e-mail and password, the second step, the organisation's own sign-in; and signing out."""

from __future__ import annotations

from urllib.parse import quote

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot.channels.limits import RateLimits
from bot.channels.problems import Problem
from bot.channels.web import address
from bot.clock import new_secret
from bot.console.frame import COOKIE, LIST, PATH, Frame, Post, same
from bot.console.organisation import COOKIE as ORGANISATION_COOKIE
from bot.console.organisation import BACK, NotVouched, organisation_sign_in
from bot.console.second_step import picture
from bot.console.sign_in import HALF_SESSION, SESSION, SignInRefused
from bot.pages.rendering import page
from bot.store.tables import StaffSession

FORM_COOKIE = "signpost_sign_in"
CODE, SET_UP = "/console/sign-in/code", "/console/sign-in/set-up"
LONGEST_ONWARD = 600
_INSIDE = ("/console?", "/console/queries/", "/console/review", "/console/answers", "/console/reports", "/console/admin", "/console/account")


class SignInPages:
    """Pages for those who are not, or not wholly, signed in."""

    def __init__(self, frame: Frame, limits: RateLimits) -> None:
        self._frame, self._limits, self._signpost = frame, limits, frame.signpost
        self._sign_in = frame.signpost.sign_in
        self._organisation = organisation_sign_in(self._signpost.settings, self._signpost.database, self._signpost.clock)

    def routes(self) -> list[Route]:
        """Routes under /console/sign-in, and the way out."""
        told = self._frame.told
        made = [
            Route("/console/sign-in", told(self.ask), methods=["GET"]),
            Route("/console/sign-in", told(self.sign_in), methods=["POST"]),
            Route(CODE, told(self.ask_code), methods=["GET"]),
            Route(CODE, told(self.check_code), methods=["POST"]),
            Route(SET_UP, told(self.ask_set_up), methods=["GET"]),
            Route(SET_UP, told(self.set_up), methods=["POST"]),
            self._frame.route(Post("/console/sign-out", "read", self.sign_out)),
        ]
        if self._organisation is not None:
            made += [
                Route("/console/sign-in/organisation", told(self.to_organisation), methods=["GET"]),
                Route(BACK, told(self.from_organisation), methods=["GET"]),
            ]
        return made

    async def ask(self, request: Request) -> Response:
        """Ask for e-mail and password."""
        if await self._frame.session(request) is not None:
            return RedirectResponse(PATH, 303)
        return self._form(request, inside(request.query_params.get("next", "")))

    def _form(self, request: Request, onward: str, status: int = 200, email: str = "", problem: str = "") -> Response:
        token = self._frame.cookies.read(request, FORM_COOKIE) or new_secret()
        organisation = self._organisation.label if self._organisation else ""
        answer = page("console/sign_in.html", status, form_token=token, next=onward, email=email, problem=problem, organisation=organisation)
        self._frame.cookies.write(answer, FORM_COOKIE, token, 3600)
        return answer

    async def sign_in(self, request: Request) -> Response:
        """Check the password: a whole session, or one that owes its second step. A fresh cookie every time."""
        form = await self._frame.read_own_form(request)
        email, onward = form.get("email", ""), inside(form.get("next", ""))
        if not same(form.get("form_token", ""), self._frame.cookies.read(request, FORM_COOKIE)):
            return self._form(request, onward, 403, email, "The form was out of date, or your browser does not keep cookies. Try again.")
        try:
            await to_thread.run_sync(self._limits.spend, "sign_in", address(request), 30, 600)
            token = await to_thread.run_sync(self._sign_in.sign_in, email, form.get("password", ""))
        except (SignInRefused, Problem) as refused:
            await to_thread.run_sync(self._frame.audit.record, None, "sign_in_refused", "", _who(email), address(request))
            return self._form(request, onward, getattr(refused, "status", 401), email, str(refused))
        half = await to_thread.run_sync(self._sign_in.half, token)
        if half is not None:
            answer = RedirectResponse(f"{CODE if half.stage == 'second_step' else SET_UP}?next={quote(onward)}", 303)
            self._frame.cookies.write(answer, COOKIE, token, int(HALF_SESSION.total_seconds()))
            return answer
        return await self._in(request, RedirectResponse(onward, 303), token, "password")

    async def _in(self, request: Request, answer: Response, token: str, how: str) -> Response:
        session = await to_thread.run_sync(self._sign_in.member, token)
        if session is not None:
            await self._frame.record(request, session, "signed_in", how=how)
        await to_thread.run_sync(self._sign_in.sign_out, self._frame.cookies.read(request, COOKIE))
        self._frame.cookies.write(answer, COOKIE, token, int(SESSION.total_seconds()))
        self._frame.cookies.drop(answer, FORM_COOKIE)
        return answer

    # the second step

    async def _half(self, request: Request, stage: str) -> StaffSession | None:
        half = await to_thread.run_sync(self._sign_in.half, self._frame.cookies.read(request, COOKIE))
        return half if half is not None and half.stage == stage else None

    async def ask_code(self, request: Request) -> Response:
        """Ask for the code that a sign-in owes."""
        half = await self._half(request, "second_step")
        if half is None:
            return RedirectResponse("/console/sign-in", 303)
        return self._code_form(half, inside(request.query_params.get("next", "")))

    @staticmethod
    def _code_form(half: StaffSession, onward: str, status: int = 200, problem: str = "") -> Response:
        return page("console/code.html", status, half=half, next=onward, problem=problem)

    async def check_code(self, request: Request) -> Response:
        """The code: a whole session, with a fresh cookie."""
        form = await self._frame.read_own_form(request)
        half, onward = await self._half(request, "second_step"), inside(form.get("next", ""))
        if half is None:
            return self._form(request, onward, 401, "", "That took longer than 10 minutes. Sign in again.")
        self._frame.check_token(form, half)
        try:
            token = await to_thread.run_sync(self._sign_in.pass_second_step, half, form.get("code", ""))
        except SignInRefused as refused:
            await to_thread.run_sync(self._frame.audit.record, half.staff, "code_refused", "", {}, address(request))
            return self._code_form(half, onward, 401, str(refused))
        return await self._in(request, RedirectResponse(onward, 303), token, "password and code")

    async def ask_set_up(self, request: Request) -> Response:
        """Ask somebody who must have a second step to set it up."""
        half = await self._half(request, "set_up")
        if half is None:
            return RedirectResponse("/console/sign-in", 303)
        return await self._set_up_form(half)

    async def _set_up_form(self, half: StaffSession, status: int = 200, problem: str = "") -> Response:
        secret = await to_thread.run_sync(self._sign_in.second_steps.begin, half)
        return page("console/set_up.html", status, half=half, action=SET_UP, csrf=half.csrf, secret=secret, picture=picture(secret, half.staff.email), problem=problem)

    async def set_up(self, request: Request) -> Response:
        """The first code of a new second step: recovery codes, once, and a whole session."""
        form = await self._frame.read_own_form(request)
        half = await self._half(request, "set_up")
        if half is None:
            return self._form(request, PATH, 401, "", "That took longer than 10 minutes. Sign in again.")
        self._frame.check_token(form, half)
        try:
            token, codes = await to_thread.run_sync(self._sign_in.confirm_set_up, half, form.get("code", ""))
        except SignInRefused as refused:
            return await self._set_up_form(half, 401, str(refused))
        await to_thread.run_sync(self._frame.audit.record, half.staff, "second_step_on", "", {}, address(request))
        return await self._in(request, page("console/codes.html", codes=codes), token, "password and code")

    # the organisation's own sign-in

    async def to_organisation(self, request: Request) -> Response:
        """Send the browser to the organisation."""
        onward = inside(request.query_params.get("next", ""))
        try:
            await to_thread.run_sync(self._limits.spend, "sign_in", address(request), 30, 600)
            return await self._organisation.away(request, onward)
        except (NotVouched, Problem) as refused:
            return self._form(request, onward, getattr(refused, "status", 502), "", str(refused))

    async def from_organisation(self, request: Request) -> Response:
        """The browser is back: a whole session for whom the organisation vouches for.

        The answer is a page that leads on, not a redirect: the strict cookie goes along only from a page of ours.
        """
        try:
            vouched = await self._organisation.back(request)
            token = await to_thread.run_sync(self._sign_in.vouched_for, vouched.email, vouched.subject)
        except (NotVouched, SignInRefused) as refused:
            return self._form(request, PATH, 401, "", str(refused))
        answer = page("console/signed_in.html", onward=inside(vouched.onward))
        self._organisation.cookies.drop(answer, ORGANISATION_COOKIE)
        return await self._in(request, answer, token, "organisation")

    async def sign_out(self, request: Request, session: StaffSession, form: dict[str, str]) -> Response:
        """End the session on the server too."""
        await self._frame.record(request, session, "signed_out")
        await to_thread.run_sync(self._sign_in.sign_out, self._frame.cookies.read(request, COOKIE))
        answer = RedirectResponse("/console/sign-in", 303)
        self._frame.cookies.drop(answer, COOKIE)
        self._frame.cookies.drop(answer, LIST)
        return answer


def _who(typed: str) -> dict[str, str]:
    """Who tried to sign in, for the audit log; what is no address may be a password in the wrong field."""
    return {"email": typed[:80] if "@" in typed else "(no email address)"}


def inside(path: str) -> str:
    """Where to go after signing in: a page of the console, nothing else."""
    plain = "//" not in path and "\\" not in path and ".." not in path and path.isascii() and path.isprintable() and len(path) <= LONGEST_ONWARD
    return path if plain and path.startswith(_INSIDE) else PATH
