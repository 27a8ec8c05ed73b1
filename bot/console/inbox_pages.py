"""The inbox's pages: the list, what is new in it, alerts, saved views."""

from __future__ import annotations

from datetime import datetime

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.casework.supervision import Refused
from bot.channels.problems import Problem
from bot.console.frame import LIST, PATH, Form, Frame, Get, Post, number
from bot.console.inbox import VIEWS, Inbox, InboxChoice
from bot.pages.rendering import page
from bot.store.tables import StaffSession

# a longer one is not kept: some browsers take 4,096 bytes
LONGEST_ADDRESS = 2000
BAD_MOMENT = Problem(422, "since", "since must be a moment with its zone, like 2026-11-21T10:00:00+00:00.")


class InboxPages:
    """Pages about many queries at once."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._signpost = frame, frame.signpost
        self._inbox = Inbox(self._signpost.database, self._signpost.clock, self._signpost.answers)

    def pages(self) -> list[Get | Post]:
        """Every page and form."""
        return [
            Get("/console", "read", self.inbox),
            Get("/console/news", "read", self.news, by_itself=True),
            Get("/console/alerts", "read", self.alerts),
            Post("/console/alerts/{id}/acknowledge", "read", self.acknowledge),
            Post("/console/views", "read", self.save_view),
            Post("/console/views/{id}/remove", "read", self.remove_view, "Remove this saved view? The queries in it stay where they are."),
        ]

    async def inbox(self, request: Request, session: StaffSession) -> Response:
        """The list of queries, or the one whose reference was searched for."""
        choice = InboxChoice.read(request.query_params, session.staff)
        if choice.search:
            found = await to_thread.run_sync(self._inbox.by_reference, session.staff, choice.search)
            if found is not None:
                return RedirectResponse(f"/console/queries/{found.id}", 303)
        answer = await self._list(session, choice, done=request.query_params.get("done", ""))
        shown = choice.address(page=choice.page)
        self._frame.cookies.write(answer, LIST, shown if len(shown) <= LONGEST_ADDRESS else "")
        return answer

    async def _list(self, session: StaffSession, choice: InboxChoice, status: int = 200, problem: str = "", name: str = "", done: str = "") -> Response:
        listed = await to_thread.run_sync(self._inbox.read, session.staff, choice)
        offered = await to_thread.run_sync(self._inbox.offered, session.staff, list(self._signpost.areas))
        topics = sorted(((answer.topic, answer.title) for answer in self._signpost.answers), key=lambda pair: pair[1])
        return self._frame.page(
            "console/inbox.html",
            session,
            status,
            inbox=listed,
            choice=choice,
            offered=offered,
            views=VIEWS,
            topics=topics,
            problem=problem,
            name=name,
            done=done,
            since=listed.read_at.isoformat(),
            news=0,
        )

    async def news(self, request: Request, session: StaffSession) -> Response:
        """How many queries have come into a list since it was shown, for a line that does not move what is being read; empty if that is shown."""
        try:
            since = datetime.fromisoformat(request.query_params.get("since", ""))
        except ValueError:
            return BAD_MOMENT.response()
        if since.tzinfo is None:
            return BAD_MOMENT.response()
        choice = InboxChoice.read(request.query_params, session.staff)
        found = await to_thread.run_sync(self._inbox.news, session.staff, choice, since)
        if found == number(request.query_params.get("shown"), 0):
            return Response(status_code=204)
        return page("console/news.html", news=found, since=since.isoformat(), choice=choice)

    async def alerts(self, request: Request, session: StaffSession) -> Response:
        """Everything that the reader has not acknowledged."""
        return self._frame.page("console/alerts.html", session, alerts=await to_thread.run_sync(self._inbox.alerts, session.staff), done=request.query_params.get("done", ""))

    async def acknowledge(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Somebody has seen an alert."""
        try:
            await to_thread.run_sync(self._signpost.office.supervision.acknowledge, request.path_params["id"], session.staff)
        except Refused as refused:
            raise Problem(404, "alert", str(refused)) from None
        shown = InboxChoice.of_address(form.get("back", ""), session.staff)
        to = "/console/alerts?" if form.get("back") == "alerts" else f"{shown.address(page=shown.page)}&"
        return RedirectResponse(f"{to}done=acknowledged", 303)

    async def save_view(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Keep the list that is shown under a name."""
        name, shown = form.get("name", ""), form.get("shown", "")
        try:
            kept = await to_thread.run_sync(self._inbox.save_view, session.staff, name, shown)
        except Refused as refused:
            choice = InboxChoice.of_address(shown, session.staff)
            return await self._list(session, choice, 422, str(refused), name)
        return RedirectResponse(kept, 303)

    async def remove_view(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Forget a saved view."""
        await to_thread.run_sync(self._inbox.remove_view, session.staff, request.path_params["id"])
        return RedirectResponse(PATH, 303)
