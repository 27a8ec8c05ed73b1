"""The staff console: sign in, the inbox, a query, the reply."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Awaitable, Callable

from anyio import to_thread
from sqlalchemy.orm.exc import StaleDataError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot.casework.replies import LONGEST, ReplyForm, ReplyRefused
from bot.casework.supervision import BODIES, Refused
from bot.casework.worker import is_dead
from bot.channels.limits import RateLimits
from bot.channels.problems import Problem
from bot.channels.web import address
from bot.clock import new_id, new_secret
from bot.console.access import may_reply
from bot.console.acts import Acts
from bot.console.inbox import Inbox, InboxChoice
from bot.console.query_page import QueryPages, QueryView
from bot.console.sign_in import SESSION, SignInRefused
from bot.pages.forms import FormRefused, read_form, refuse_cross_site
from bot.pages.rendering import page
from bot.store.states import NotAllowed
from bot.store.tables import Staff, StaffSession

if TYPE_CHECKING:
    from bot.app import Signpost

COOKIE = "signpost_staff"
FORM_COOKIE = "signpost_sign_in"
PATH = "/console"

NO_QUERY = Problem(404, "no_query", "There is no such query in your areas.")
NOT_YOURS = Problem(403, "role", "Your account can read queries, but cannot change them.")
BAD_TOKEN = Problem(403, "csrf", "This form is out of date. Open the page again and repeat what you did.")

Handler = Callable[[Request], Awaitable[Response]]
MemberHandler = Callable[[Request, StaffSession], Awaitable[Response]]
FormHandler = Callable[[Request, StaffSession, dict[str, str]], Awaitable[Response]]


def console_routes(signpost: "Signpost", limits: RateLimits) -> list[Route]:
    """Routes under /console."""
    console = Console(signpost, limits)
    return [
        Route("/console/sign-in", console.told(console.sign_in_page), methods=["GET"]),
        Route("/console/sign-in", console.told(console.sign_in), methods=["POST"]),
        Route("/console/sign-out", console.form(console.sign_out), methods=["POST"]),
        Route("/console", console.signed_in(console.inbox), methods=["GET"]),
        Route("/console/queries/{id}", console.signed_in(console.query), methods=["GET"]),
        Route("/console/queries/{id}/start", console.form(console.start), methods=["POST"]),
        Route("/console/queries/{id}/reply", console.form(console.reply), methods=["POST"]),
        *(Route(f"/console/queries/{{id}}/{name}", console.form(console.act(name)), methods=["POST"]) for name in console.acts.names),
        Route("/console/alerts/{id}/acknowledge", console.form(console.acknowledge), methods=["POST"]),
    ]


class Console:
    """Handlers of the console. Each works for somebody who is signed in, and forms carry that session's token."""

    def __init__(self, signpost: "Signpost", limits: RateLimits) -> None:
        self._signpost, self._limits = signpost, limits
        self._inbox = Inbox(signpost.database, signpost.clock)
        self._queries = QueryPages(signpost.database, signpost.answers, signpost.clock)
        self.acts = Acts(signpost)

    def told(self, handler: Handler) -> Handler:
        """The handler, with a problem told on a page."""

        async def told(request: Request) -> Response:
            try:
                return await handler(request)
            except (Problem, FormRefused) as problem:
                return page("console/problem.html", problem.status, message=problem.message)

        return told

    def signed_in(self, handler: MemberHandler) -> Handler:
        """The handler for whoever is signed in; others are sent to sign in and come back."""

        async def checked(request: Request) -> Response:
            session = await self._session(request)
            if session is None:
                return RedirectResponse(f"/console/sign-in?next={request.url.path}", 303)
            return await handler(request, session)

        return self.told(checked)

    def form(self, handler: FormHandler) -> Handler:
        """The handler for a form of whoever is signed in. When the session has ended, what they wrote is given back to them."""

        async def checked(request: Request) -> Response:
            refuse_cross_site(request, self._signpost.settings.site)
            form = await read_form(request)
            session = await self._session(request)
            if session is None:
                return page("console/signed_out.html", 401, text=form.get("text", ""))
            if not _same(form.get("csrf", ""), session.csrf):
                raise BAD_TOKEN
            return await handler(request, session, form)

        return self.told(checked)

    async def _session(self, request: Request) -> StaffSession | None:
        return await to_thread.run_sync(self._signpost.sign_in.member, request.cookies.get(COOKIE, ""))

    async def sign_in_page(self, request: Request) -> Response:
        """Ask for e-mail and password."""
        if await self._session(request) is not None:
            return RedirectResponse(PATH, 303)
        return self._sign_in_form(request, _inside(request.query_params.get("next", "")))

    def _sign_in_form(self, request: Request, onward: str, status: int = 200, email: str = "", problem: str = "") -> Response:
        token = request.cookies.get(FORM_COOKIE) or new_secret()
        answer = page("console/sign_in.html", status, form_token=token, next=onward, email=email, problem=problem)
        self._set(answer, FORM_COOKIE, token, 3600)
        return answer

    async def sign_in(self, request: Request) -> Response:
        """Open a session; a fresh cookie every time."""
        refuse_cross_site(request, self._signpost.settings.site)
        form = await read_form(request)
        email, onward = form.get("email", ""), _inside(form.get("next", ""))
        if not _same(form.get("form_token", ""), request.cookies.get(FORM_COOKIE, "")):
            return self._sign_in_form(request, onward, 403, email, "The form was out of date, or your browser does not keep cookies. Try again.")
        try:
            await to_thread.run_sync(self._limits.spend, "sign_in", address(request), 30, 600)
            token = await to_thread.run_sync(self._signpost.sign_in.sign_in, email, form.get("password", ""))
        except (SignInRefused, Problem) as refused:
            return self._sign_in_form(request, onward, getattr(refused, "status", 401), email, str(refused))
        answer = RedirectResponse(onward, 303)
        self._set(answer, COOKIE, token, int(SESSION.total_seconds()))
        answer.delete_cookie(FORM_COOKIE, path=PATH)
        return answer

    def _set(self, answer: Response, name: str, value: str, seconds: int) -> None:
        secure = self._signpost.settings.secure_cookies == "on"
        answer.set_cookie(name, value, max_age=seconds, path=PATH, httponly=True, samesite="strict", secure=secure)

    async def sign_out(self, request: Request, session: StaffSession, form: dict[str, str]) -> Response:
        """End the session on the server too."""
        await to_thread.run_sync(self._signpost.sign_in.sign_out, request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/console/sign-in", 303)
        answer.delete_cookie(COOKIE, path=PATH)
        return answer

    async def inbox(self, request: Request, session: StaffSession) -> Response:
        """The list of queries, or the one whose reference was searched for."""
        typed = request.query_params.get("reference", "").strip()[:40]
        if typed:
            found = await to_thread.run_sync(self._inbox.by_reference, session.staff, typed)
            if found is not None:
                return RedirectResponse(f"/console/queries/{found.id}", 303)
        choice = InboxChoice.read(request.query_params, session.staff)
        listed = await to_thread.run_sync(self._inbox.read, session.staff, choice)
        return self._page("console/inbox.html", session, 404 if typed else 200, inbox=listed, choice=choice, typed=typed)

    async def query(self, request: Request, session: StaffSession) -> Response:
        """A query with its conversation, its reply box and what was kept of an unfinished reply."""
        view = await self._view(request, session)
        draft = await to_thread.run_sync(self._signpost.replies.draft, view.query.id, session.staff.id)
        done = request.query_params.get("done", "")
        return self._query_page(session, view, draft, done=done)

    async def _view(self, request: Request, session: StaffSession) -> QueryView:
        view = await to_thread.run_sync(self._queries.read, session.staff, request.path_params["id"])
        if view is None:
            raise NO_QUERY
        return view

    def _query_page(
        self, session: StaffSession, view: QueryView, text: str, status: int = 200, problem: str = "", done: str = "", seen: int | None = None
    ) -> Response:
        """The page of a query. Messages after number `seen` are marked as new to the reader."""
        return self._page(
            "console/query.html",
            session,
            status,
            view=view,
            query=view.query,
            area=self._signpost.areas.get(view.query.area),
            text=text,
            problem=problem,
            done=done,
            seen=view.read_to if seen is None else seen,
            longest=LONGEST,
            idempotency_key=new_id(),
            may_reply=may_reply(session.staff),
            bodies={body: self._signpost.answers.say(f"body_{body}") for body in BODIES},
        )

    async def start(self, request: Request, session: StaffSession, form: dict[str, str]) -> Response:
        """Say that work on a query has begun."""
        view = await self._own(request, session)
        try:
            await to_thread.run_sync(self._signpost.office.supervision.start, view.query.id, _version(form), session.staff)
        except (NotAllowed, StaleDataError):
            view = await self._view(request, session)
            draft = await to_thread.run_sync(self._signpost.replies.draft, view.query.id, session.staff.id)
            return self._query_page(session, view, draft, 409, "The query has changed since you opened this page. Nothing was changed now.")
        return RedirectResponse(f"/console/queries/{view.query.id}?done=started", 303)

    async def reply(self, request: Request, session: StaffSession, form: dict[str, str]) -> Response:
        """Send a reply, or keep it as a draft (`do=keep`). One that is refused is shown again with the reason."""
        view = await self._own(request, session)
        id, text = view.query.id, form.get("text", "")
        if form.get("do") == "keep":
            await to_thread.run_sync(self._signpost.replies.keep_draft, id, session.staff.id, text)
            return RedirectResponse(f"/console/queries/{id}?done=kept#reply", 303)
        try:
            taken = await to_thread.run_sync(self._send, id, form, session.staff)
        except ReplyRefused as refused:
            return self._query_page(session, await self._view(request, session), text, 409, str(refused), seen=int(form["read_to"]))
        self._signpost.listeners.tell(view.query.conversation_id)
        return RedirectResponse(f"/console/queries/{id}?done={taken}", 303)

    def act(self, name: str) -> FormHandler:
        """The handler of an act of `acts`; one that is refused is told on the query's page."""

        async def handler(request: Request, session: StaffSession, form: dict[str, str]) -> Response:
            view = await self._own(request, session)
            try:
                await to_thread.run_sync(self.acts.do, name, view, form, session.staff)
            except (Refused, NotAllowed, StaleDataError) as refused:
                told = str(refused) if isinstance(refused, Refused) else "The query has changed since you opened this page. Nothing was changed now."
                draft = await to_thread.run_sync(self._signpost.replies.draft, view.query.id, session.staff.id)
                return self._query_page(session, await self._view(request, session), draft, 409, told)
            self._signpost.listeners.tell(view.query.conversation_id)
            return RedirectResponse(f"/console/queries/{view.query.id}?done={name}", 303)

        return handler

    async def acknowledge(self, request: Request, session: StaffSession, form: dict[str, str]) -> Response:
        """Somebody has seen an alert."""
        try:
            await to_thread.run_sync(self._signpost.office.supervision.acknowledge, request.path_params["id"], session.staff)
        except Refused as refused:
            raise Problem(403, "alert", str(refused)) from None
        return RedirectResponse(PATH, 303)

    def _send(self, query_id: str, form: dict[str, str], member: Staff) -> str:
        replies, text = self._signpost.replies, form.get("text", "")
        key, read_to = form.get("idempotency_key", ""), form.get("read_to", "")
        if not 16 <= len(key) <= 64 or not (read_to.isascii() and read_to.isdigit() and len(read_to) < 10):
            raise BAD_TOKEN
        marks = {name.removeprefix("mark-"): value for name, value in form.items() if name.startswith("mark-")}
        return replies.send(ReplyForm(query_id, text, key, int(read_to), _version(form), form.get("kind", "answer"), marks), member)

    async def _own(self, request: Request, session: StaffSession) -> QueryView:
        if not may_reply(session.staff):
            raise NOT_YOURS
        return await self._view(request, session)

    def _page(self, template: str, session: StaffSession, status: int = 200, **values: Any) -> Response:
        dead = is_dead(self._signpost.database, self._signpost.clock)
        alert_words = lambda kind: self._signpost.answers.say(f"alert_{kind}")  # noqa: E731
        return page(template, status, member=session.staff, csrf=session.csrf, worker_dead=dead, alert_words=alert_words, **values)


def _version(form: dict[str, str]) -> int:
    version = form.get("version", "")
    return int(version) if version.isascii() and version.isdigit() and len(version) < 10 else -1


def _same(given: str, known: str) -> bool:
    return bool(known) and hmac.compare_digest(given.encode(), known.encode())


def _inside(path: str) -> str:
    """Where to go after signing in: a page of the console, nothing else."""
    return path if path.startswith("/console/queries/") and "//" not in path and "\\" not in path and path.isascii() and path.isprintable() else PATH
