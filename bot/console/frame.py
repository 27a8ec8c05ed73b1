"""What every page of the console shares: who is signed in, what they may do, the form's token, problems told in words."""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Mapping
from urllib.parse import quote, urlsplit

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot.casework.worker import is_dead
from bot.channels.problems import Problem
from bot.channels.web import address
from bot.console.access import PERMISSIONS, may
from bot.console.audit import AuditLog
from bot.console.languages import LANGUAGES
from bot.logs import security_event
from bot.pages.cookies import Cookies
from bot.pages.forms import FormRefused, read_form, refuse_cross_site
from bot.pages.rendering import page
from bot.store.tables import StaffSession

if TYPE_CHECKING:
    from bot.parts import Signpost

logger = logging.getLogger(__name__)
COOKIE = "signpost_staff"
LIST = "signpost_list"
PATH = "/console"
NOT_YOURS = Problem(403, "role", "Your account can read queries, but cannot change them.")
NOT_YOUR_PAGE = Problem(403, "role", "Your account cannot open this page.")
BAD_TOKEN = Problem(403, "csrf", "This form is out of date, so nothing was done. Open the page again and repeat what you did.")
FAULT = Problem(500, "fault", "Something went wrong on our side. Open the page again and see if it was done, before you repeat it.")
NAVIGATION = (
    ("/console", "Queries", "read"),
    ("/console/review", "Review", "read"),
    ("/console/answers", "Answers", "read"),
    ("/console/reports", "Reports", "read"),
    ("/console/admin", "Administration", "health"),
    ("/console/account", "Your account", "read"),
)
# what forms carry besides what was typed
_MACHINERY = frozenset({"csrf", "version", "read_to", "idempotency_key", "do", "kind", "about", "to", "insert", "form_token", "next", "password", "code", "was", "from_lead"})

Form = Mapping[str, str]
Handler = Callable[[Request], Awaitable[Response]]
PageHandler = Callable[[Request, StaffSession], Awaitable[Response]]
FormHandler = Callable[[Request, StaffSession, dict[str, str]], Awaitable[Response]]


@dataclass(frozen=True)
class Get:
    """A page, and the permission that opening it takes. `by_itself`: an open page asks for it, whether or not somebody is there."""

    path: str
    may: str
    handler: PageHandler
    by_itself: bool = False


@dataclass(frozen=True)
class Post:
    """A form's address, and the permission that sending it takes. `asks` is what is asked before something is done for good."""

    path: str
    may: str
    handler: FormHandler
    asks: str = ""


class Frame:
    """Makes routes of pages: each works for somebody who is signed in and has the permission, and forms carry that session's token."""

    def __init__(self, signpost: "Signpost") -> None:
        self.signpost = signpost
        self.audit = AuditLog(signpost.database, signpost.clock)
        self.cookies = Cookies.of(signpost.settings, PATH, "strict")

    def route(self, page: Get | Post) -> Route:
        """The route of a page or form."""
        assert page.may in PERMISSIONS, page.may
        if isinstance(page, Get):
            return Route(page.path, self.signed_in(page.handler, page.may, page.by_itself), methods=["GET"])
        return Route(page.path, self.form(self._asked(page) if page.asks else page.handler, page.may), methods=["POST"])

    def _asked(self, post: Post) -> FormHandler:
        """The handler, once whoever is signed in has said yes; what they typed goes along."""

        async def asked(request: Request, session: StaffSession, form: dict[str, str]) -> Response:
            if form.get("confirmed") == "yes":
                return await post.handler(request, session, form)
            kept = {name: value for name, value in form.items() if name not in ("csrf", "confirmed")}
            return self.page("console/confirm.html", session, asks=post.asks, action=request.url.path, kept=kept, written=written(form), back=_back(request))

        return asked

    def told(self, handler: Handler) -> Handler:
        """The handler, with a problem told on a page."""

        async def told(request: Request) -> Response:
            try:
                return await handler(request)
            except (Problem, FormRefused) as problem:
                return page("console/problem.html", problem.status, message=problem.message)

        return told

    def signed_in(self, handler: PageHandler, permission: str, by_itself: bool = False) -> Handler:
        """The handler for whoever is signed in; others are sent to sign in and come back."""

        async def checked(request: Request) -> Response:
            session = await self.session(request, by_itself)
            if session is None and request.headers.get("hx-request") and not by_itself:
                return page("console/signed_out.html", 401, written={})
            if session is None:
                onward = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return RedirectResponse(f"/console/sign-in?next={quote(onward)}", 303)
            if not may(session.staff, permission):
                security_event("page_refused", staff=session.staff_id, permission=permission)
                return self._problem(session, NOT_YOUR_PAGE)
            try:
                return await handler(request, session)
            except Problem as problem:
                return self._problem(session, problem)

        return self.told(checked)

    def form(self, handler: FormHandler, permission: str) -> Handler:
        """The handler for a form of whoever is signed in. Whatever goes wrong, what they wrote is given back to them."""

        async def checked(request: Request, session: StaffSession, form: dict[str, str]) -> Response:
            self.check_token(form, session)
            if not may(session.staff, permission):
                security_event("act_refused", staff=session.staff_id, permission=permission)
                raise NOT_YOURS
            return await handler(request, session, form)

        async def given_back(request: Request) -> Response:
            form = await self.read_own_form(request)
            session = await self.session(request)
            if session is None:
                return page("console/signed_out.html", 401, written=written(form))
            try:
                return await checked(request, session, form)
            except Problem as problem:
                return self._problem(session, problem, written(form), _back(request))
            except Exception:
                logger.exception("a form failed: %s", request.url.path)
                return self._problem(session, FAULT, written(form), _back(request))

        return self.told(given_back)

    def _problem(self, session: StaffSession, problem: Problem, written: Mapping[str, str] | None = None, again: str = "") -> Response:
        return self.page("console/problem.html", session, problem.status, message=problem.message, written=written or {}, again=again)

    async def read_own_form(self, request: Request) -> dict[str, str]:
        """The fields of a form of our own pages. Raises FormRefused."""
        refuse_cross_site(request, self.signpost.settings.site)
        return await read_form(request)

    @staticmethod
    def check_token(form: Form, session: StaffSession) -> None:
        """Raise unless the form was made for this session."""
        if not same(form.get("csrf", ""), session.csrf):
            security_event("forged_form", staff=session.staff_id)
            raise BAD_TOKEN

    async def session(self, request: Request, by_itself: bool = False) -> StaffSession | None:
        """The whole session of a request."""
        sign_in = self.signpost.sign_in
        return await to_thread.run_sync(sign_in.watching if by_itself else sign_in.member, self.cookies.read(request, COOKIE))

    async def record(self, request: Request, session: StaffSession, act: str, about: str = "", **detail: Any) -> None:
        """Write into the audit log what somebody did or read."""
        await to_thread.run_sync(self.audit.record, session.staff, act, about, detail, address(request))

    def page(self, template: str, session: StaffSession, status: int = 200, **values: Any) -> Response:
        """A page of the console for whoever is signed in."""
        dead = is_dead(self.signpost.database, self.signpost.clock)
        answers, member = self.signpost.answers, session.staff
        return page(
            template,
            status,
            member=member,
            csrf=session.csrf,
            worker_dead=dead,
            alert_words=lambda kind: answers.say(f"alert_{kind}"),
            may=lambda permission: may(member, permission),
            navigation=[(path, words) for path, words, permission in NAVIGATION if may(member, permission)],
            area_name=self._area_name,
            topic_title=self.topic_title,
            language_name=lambda code: LANGUAGES.get(code, code),
            **values,
        )

    def _area_name(self, id: str) -> str:
        area = self.signpost.areas.get(id)
        return area.name if area else id.title()

    def topic_title(self, topic: str | None) -> str:
        """The plain title of a topic; an identifier in words where it has none."""
        if not topic:
            return "No topic"
        return self.signpost.answers.title(topic) if topic in self.signpost.answers else topic.replace("_", " ").capitalize()


def _back(request: Request) -> str:
    """The page of ours that a form was on."""
    referer = urlsplit(request.headers.get("referer", ""))
    return referer.path if referer.path.startswith(PATH) and "//" not in referer.path else PATH


def same(given: str, known: str) -> bool:
    """Whether two secrets are the same, in constant time; an empty one never is."""
    return bool(known) and hmac.compare_digest(given.encode(), known.encode())


def written(form: Form) -> dict[str, str]:
    """What somebody typed into a form, by the field's name in words."""
    return {
        name.replace("_", " ").capitalize(): value
        for name, value in form.items()
        if value.strip() and name not in _MACHINERY and not name.startswith(("mark-", "password", "code"))
    }


def number(given: str | None, least: int = -1) -> int:
    """A whole number of a form or address, or `least` where there is none."""
    given = given or ""
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else least
