"""A member's own account: password, second step, where they are signed in."""

from __future__ import annotations

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.channels.web import address
from bot.console.frame import COOKIE, Frame, Get, Post
from bot.console.second_step import picture
from bot.console.sign_in import SESSION, WRONG_PASSWORD, SignInRefused, StaffProblem
from bot.store.tables import StaffSession

SET_UP = "/console/account/second-step"


class AccountPages:
    """Pages under /console/account."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._sign_in = frame, frame.signpost.sign_in

    def pages(self) -> list[Get | Post]:
        """Every page and form."""
        return [
            Get("/console/account", "read", self.account),
            Post("/console/account/password", "read", self.change_password),
            Get(SET_UP, "read", self.ask_set_up),
            Post(SET_UP, "read", self.set_up),
            Post("/console/account/second-step/off", "read", self.switch_off),
            Post("/console/account/codes", "read", self.new_codes),
            Post("/console/account/others", "read", self.end_others),
        ]

    async def account(self, request: Request, session: StaffSession) -> Response:
        """What is set, and forms to change it."""
        return await self._account(session, done=request.query_params.get("done", ""))

    async def _account(self, session: StaffSession, status: int = 200, problem: str = "", about: str = "", done: str = "") -> Response:
        live = await to_thread.run_sync(self._sign_in.sessions, session.staff_id)
        left = await to_thread.run_sync(self._sign_in.second_steps.codes_left, session.staff_id)
        is_required = self._sign_in.is_required
        return self._frame.page(
            "console/account.html", session, status, problem=problem, about=about, done=done, sessions=live, own=session, codes_left=left, is_required=is_required
        )

    async def change_password(self, request: Request, session: StaffSession, form: dict[str, str]) -> Response:
        """Another password; other sessions end."""
        if form.get("password_new", "") != form.get("password_again", ""):
            return await self._account(session, 422, "The two new passwords are not the same. Type the new one twice.", "password")
        try:
            await to_thread.run_sync(self._sign_in.change_password, session, form.get("password_present", ""), form.get("password_new", ""))
        except (SignInRefused, StaffProblem) as refused:
            return await self._account(session, 422, str(refused), "password")
        await self._frame.record(request, session, "password_changed")
        return RedirectResponse("/console/account?done=password", 303)

    async def ask_set_up(self, request: Request, session: StaffSession) -> Response:
        """The secret as a picture and in letters, to be confirmed by a code."""
        return await self._set_up_form(session)

    async def _set_up_form(self, session: StaffSession, status: int = 200, problem: str = "", about: str = "code") -> Response:
        secret = await to_thread.run_sync(self._sign_in.second_steps.begin, session)
        return self._frame.page("console/set_up.html", session, status, half=session, action=SET_UP, secret=secret, picture=picture(secret, session.staff.email), problem=problem, about=about, asks_password=True)

    async def set_up(self, request: Request, session: StaffSession, form: dict[str, str]) -> Response:
        """The first code: recovery codes, shown once, and a fresh cookie. It takes the password: a stolen session must not become an account."""
        if (wrong := await self._password_problem(session, form)) is not None:
            return await self._set_up_form(session, 422, wrong, "password_present")
        try:
            token, codes = await to_thread.run_sync(self._sign_in.confirm_set_up, session, form.get("code", ""))
        except SignInRefused as refused:
            return await self._set_up_form(session, 401, str(refused))
        await self._frame.record(request, session, "second_step_on")
        fresh = await to_thread.run_sync(self._sign_in.member, token)
        answer = self._frame.page("console/codes.html", fresh or session, codes=codes)
        self._frame.cookies.write(answer, COOKIE, token, int(SESSION.total_seconds()))
        return answer

    async def switch_off(self, request: Request, session: StaffSession, form: dict[str, str]) -> Response:
        """Take the second step away; it takes the password, and is not for services that require one."""
        if self._sign_in.is_required:
            return await self._account(session, 409, "Your service requires the second step. You can set it up anew for another phone.", "second-step")
        if (problem := await self._password_problem(session, form)) is not None:
            return await self._account(session, 422, problem, "second-step")
        await to_thread.run_sync(self._sign_in.second_steps.take_away, session.staff_id)
        await self._frame.record(request, session, "second_step_off")
        return RedirectResponse("/console/account?done=off", 303)

    async def new_codes(self, request: Request, session: StaffSession, form: dict[str, str]) -> Response:
        """Fresh recovery codes, shown once."""
        if not session.staff.totp_secret:
            return await self._account(session, 409, "Recovery codes belong to a second step. Set one up first.", "second-step")
        if (problem := await self._password_problem(session, form)) is not None:
            return await self._account(session, 422, problem, "second-step")
        codes = await to_thread.run_sync(self._sign_in.second_steps.new_codes, session.staff_id)
        await self._frame.record(request, session, "recovery_codes_made")
        return self._frame.page("console/codes.html", session, codes=codes)

    async def _password_problem(self, session: StaffSession, form: dict[str, str]) -> str | None:
        try:
            right = await to_thread.run_sync(self._sign_in.is_password_of, session.staff, form.get("password_present", ""))
        except SignInRefused as refused:
            return str(refused)
        return None if right else WRONG_PASSWORD

    async def end_others(self, request: Request, session: StaffSession, form: dict[str, str]) -> Response:
        """Sign out everywhere else."""
        ended = await to_thread.run_sync(self._sign_in.end_others, session)
        await to_thread.run_sync(self._frame.audit.record, session.staff, "other_sessions_ended", "", {"ended": ended}, address(request))
        return RedirectResponse("/console/account?done=others", 303)
