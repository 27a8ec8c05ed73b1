"""A query's pages: read it, write and preview a reply, do what staff do with it, see live what changes."""

from __future__ import annotations

import json
from typing import Any, AsyncIterator, Sequence

from anyio import to_thread
from sqlalchemy.orm.exc import StaleDataError
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.casework.replies import LONGEST, ReplyForm, ReplyRefused
from bot.casework.supervision import BODIES, Refused
from bot.channels.problems import Problem
from bot.clock import new_id
from bot.console.acts import ASKS, PERMISSIONS, QUIET, Acts
from bot.console.frame import BAD_TOKEN, COOKIE, LIST, Form, FormHandler, Frame, Get, Post, number, written
from bot.console.inbox import InboxChoice
from bot.console.presence import Colleague, Presences
from bot.console.query_page import QueryReader, QueryView, Snapshot
from bot.pages.rendering import render
from bot.store.states import NotAllowed
from bot.store.tables import Staff, StaffSession

NO_QUERY = Problem(404, "no_query", "There is no such query in your areas.")
CHANGED = "The query has changed since you opened this page. Nothing was changed now."
LOOK_EVERY = 0.8
ROUNDS_PER_RENEWAL = 12


class QueryPages:
    """Pages about one query."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._signpost = frame, frame.signpost
        self._presences = Presences(self._signpost.database, self._signpost.clock)
        self._reader = QueryReader(
            self._signpost.database,
            self._signpost.answers,
            self._signpost.clock,
            self._signpost.areas,
            self._signpost.office.supervision,
            self._presences,
        )
        self._acts = Acts(self._signpost)

    def pages(self) -> list[Get | Post]:
        """Every page and form."""
        return [
            Get("/console/queries/{id}", "read", self.query),
            Get("/console/queries/{id}/events", "read", self.events, by_itself=True),
            Post("/console/queries/{id}/start", "reply", self.start),
            Post("/console/queries/{id}/reply", "reply", self.reply),
            Post("/console/queries/{id}/draft", "reply", self.draft),
            *(Post(f"/console/queries/{{id}}/{name}", PERMISSIONS.get(name, "reply"), self.act(name), ASKS.get(name, "")) for name in self._acts.names),
        ]

    async def query(self, request: Request, session: StaffSession) -> Response:
        """A query with its conversation, its reply box and what was kept of an unfinished reply."""
        view = await self._view(request, session)
        await self._frame.record(request, session, "read_query", view.query.reference)
        await to_thread.run_sync(self._presences.here, view.query.id, session.staff_id)
        draft = await to_thread.run_sync(self._signpost.replies.draft, view.query.id, session.staff.id)
        return self._page(request, session, view, draft, done=request.query_params.get("done", ""))

    async def _view(self, request: Request, session: StaffSession) -> QueryView:
        view = await to_thread.run_sync(self._reader.read, session.staff, request.path_params["id"])
        if view is None:
            raise NO_QUERY
        return view

    def _page(
        self, request: Request, session: StaffSession, view: QueryView, text: str, status: int = 200, seen: int | None = None, **shown: Any
    ) -> Response:
        """The page of a query. Messages after number `seen` are marked as new to the reader."""
        back = InboxChoice.of_address(self._frame.cookies.read(request, LIST), session.staff)
        answers = self._signpost.answers
        topics = sorted(((answer.topic, answer.title) for answer in answers), key=lambda pair: pair[1])
        known: dict[str, Any] = dict(problem="", done="", acted="", typed={}, lost={}, marks={}, reply_kind="answer", preview=False)
        return self._frame.page(
            "console/query.html",
            session,
            status,
            view=view,
            back=back.address(page=back.page),
            query=view.query,
            area=self._signpost.areas.get(view.query.area),
            text=text,
            seen=view.read_to if seen is None else seen,
            longest=LONGEST,
            idempotency_key=shown.pop("idempotency_key", "") or new_id(),
            may_reply=session.staff.role != "auditor",
            topics=topics,
            schools=self._acts.schools.names(view.query.area),
            bodies={body: answers.say(f"body_{body}") for body in BODIES},
            mark_words={mark: answers.say(f"mark_{mark}") for mark in ("answered", "partly", "referred")},
            your_questions=answers.say("your_questions"),
            **{**known, **shown},
        )

    async def start(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Say that work on a query has begun."""
        view = await self._view(request, session)
        try:
            await to_thread.run_sync(self._signpost.office.supervision.start, view.query.id, number(form.get("version")), session.staff)
        except (NotAllowed, StaleDataError):
            return await self._again(request, session, CHANGED)
        self._signpost.listeners.tell(view.query.conversation_id)
        return RedirectResponse(f"/console/queries/{view.query.id}?done=started", 303)

    async def _again(self, request: Request, session: StaffSession, problem: str, status: int = 409, **shown: Any) -> Response:
        view = await self._view(request, session)
        draft = await to_thread.run_sync(self._signpost.replies.draft, view.query.id, session.staff.id)
        typed = shown.get("typed", {})
        lost = {} if _still_asks(view, shown.get("acted", ""), typed) else written(typed)
        return self._page(request, session, view, draft, status, problem=problem, lost=lost, **shown)

    # the reply

    async def reply(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Send a reply; or keep it, insert a reviewed answer into it, preview it (`do`). One that is refused is shown again with the reason."""
        view = await self._view(request, session)
        id, text = view.query.id, form.get("text", "")
        if form.get("insert") or form.get("do") in ("insert", "preview"):
            return await self._work_on(request, session, view, form)
        if form.get("do") == "keep":
            await to_thread.run_sync(self._signpost.replies.keep_draft, id, session.staff.id, text)
            return RedirectResponse(f"/console/queries/{id}?done=kept#reply", 303)
        try:
            taken = await to_thread.run_sync(self._send, id, form, session.staff)
        except ReplyRefused as refused:
            seen = number(form.get("read_to"))
            shown = {"marks": _marks(form), "reply_kind": form.get("kind", "answer")}
            return self._page(request, session, await self._view(request, session), text, 409, seen, problem=str(refused), acted="reply", **shown)
        await self._frame.record(request, session, "replied", view.query.reference, state=taken)
        self._signpost.listeners.tell(view.query.conversation_id)
        return RedirectResponse(f"/console/queries/{id}?done={taken}", 303)

    async def _work_on(self, request: Request, session: StaffSession, view: QueryView, form: Form) -> Response:
        """The same page with the reply as it is being made: nothing is sent, and the page that was read stays the page that was read."""
        text, topic = form.get("text", ""), form.get("insert") or form.get("topic", "")
        inserting = bool(form.get("insert")) or form.get("do") == "insert"
        if inserting and topic in self._signpost.answers:
            answer = self._reader.at_hand(view.query, topic)
            text = f"{text.rstrip()}\n\n{answer.text}" if text.strip() else answer.text
        await to_thread.run_sync(self._signpost.replies.keep_draft, view.query.id, session.staff.id, text)
        problem = "Choose an answer to insert." if inserting and topic not in self._signpost.answers else ""
        if form.get("do") == "preview" and not text.strip():
            problem = "Write a reply before you preview it."
        if not view.can_reply:
            problem = CHANGED
        return self._page(
            request,
            session,
            view,
            text,
            422 if problem else 200,
            number(form.get("read_to")),
            problem=problem,
            acted="reply",
            marks=_marks(form),
            reply_kind=form.get("kind", "answer"),
            preview=form.get("do") == "preview" and not problem,
            idempotency_key=form.get("idempotency_key", ""),
            read_to=form.get("read_to", ""),
            version=form.get("version", ""),
            done="inserted" if inserting and not problem else "",
        )

    async def draft(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Keep what is being written, from the page itself; nothing is shown."""
        view = await self._view(request, session)
        text = form.get("text", "")[: LONGEST * 2]
        await to_thread.run_sync(self._signpost.replies.keep_draft, view.query.id, session.staff.id, text)
        await to_thread.run_sync(self._presences.here, view.query.id, session.staff_id, True)
        return Response(status_code=204)

    def _send(self, query_id: str, form: Form, member: Staff) -> str:
        key, read_to = form.get("idempotency_key", ""), number(form.get("read_to"))
        if not 16 <= len(key) <= 64 or read_to < 0:
            raise BAD_TOKEN
        reply = ReplyForm(query_id, form.get("text", ""), key, read_to, number(form.get("version")), form.get("kind", "answer"), _marks(form))
        return self._signpost.replies.send(reply, member)

    # the other acts

    def act(self, name: str) -> FormHandler:
        """The handler of an act of Acts; one that is refused is told on the query's page, with what was typed."""

        async def handler(request: Request, session: StaffSession, form: dict[str, str]) -> Response:
            view = await self._view(request, session)
            try:
                await to_thread.run_sync(self._acts.do, name, view, form, session.staff)
            except (Refused, NotAllowed, StaleDataError) as refused:
                told = str(refused) if isinstance(refused, Refused) else CHANGED
                return await self._again(request, session, told, acted=name, typed=form)
            await self._frame.record(request, session, name.replace("-", "_"), view.query.reference)
            if name not in QUIET:
                self._signpost.listeners.tell(view.query.conversation_id)
            return RedirectResponse(f"/console/queries/{view.query.id}?done={name}{f'#notebook-{QUIET[name]}-told' if name in QUIET else ''}", 303)

        return handler

    # live

    async def events(self, request: Request, session: StaffSession) -> Response:
        """What changes at a query, as server-sent events: `message`, `here`, `typing`, `changed`."""
        view = await self._view(request, session)
        id, conversation, token = view.query.id, view.query.conversation_id, self._frame.cookies.read(request, COOKIE)
        given = request.headers.get("last-event-id") or request.query_params.get("after")
        seq, version = max(0, number(given, 0)), number(request.query_params.get("version"))

        async def stream() -> AsyncIterator[ServerSentEvent]:
            after, told, rounds = seq, _Told(version), 0
            try:
                while not await request.is_disconnected():
                    if rounds % ROUNDS_PER_RENEWAL == 0:
                        if await to_thread.run_sync(self._signpost.sign_in.watching, token) is None:
                            yield ServerSentEvent("{}", event="signed-out")
                            return
                        await to_thread.run_sync(self._presences.here, id, session.staff_id)
                    rounds += 1
                    now = await to_thread.run_sync(self._reader.snapshot, session.staff, id, after)
                    if now is None:
                        return
                    for event in told.news(now):
                        yield event
                    after = max([after, *(said.message.seq for said in now.said)])
                    await self._signpost.listeners.wait(conversation, LOOK_EVERY)
            finally:
                await to_thread.run_sync(self._presences.gone, id, session.staff_id, abandon_on_cancel=True)

        return EventSourceResponse(stream(), ping=15, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


class _Told:
    """What one open page has been told, so that only news go out."""

    def __init__(self, version: int) -> None:
        self._version, self._here, self._typing = version, None, False

    def news(self, now: Snapshot) -> Sequence[ServerSentEvent]:
        """Events for what is new in a snapshot."""
        events = []
        for said in now.said:
            html = render("console/one_message.html", said=said, query=now.query, seen=0)
            data = {"seq": said.message.seq, "author": said.message.author, "html": html}
            events.append(ServerSentEvent(json.dumps(data), event="message", id=str(said.message.seq)))
        here = [_colleague(colleague) for colleague in now.here if colleague.is_open]
        if here != self._here:
            self._here = here
            events.append(ServerSentEvent(json.dumps({"here": here}), event="here"))
        if now.parent_types != self._typing:
            self._typing = now.parent_types
            events.append(ServerSentEvent(json.dumps({"parent": now.parent_types}), event="typing"))
        if now.query.version != self._version:
            self._version = now.query.version
            events.append(ServerSentEvent(json.dumps({"version": now.query.version, "state": now.query.state}), event="changed"))
        return events


def _still_asks(view: QueryView, acted: str, typed: Form) -> bool:
    """Whether the page still has the form of an act, which then holds what was typed."""
    about = typed.get("about", "")
    if acted == "explanation-answered":
        return view.query.is_open and any(request.id == about and request.state == "asked" for request in view.explanations)
    if acted == "reached":
        return any(trouble.id == about for trouble in view.troubles)
    if acted == "send-back":
        return view.under_way is not None and view.under_way.id == about and view.under_way.state == "to_read"
    return view.query.is_open or acted not in ("hand-over", "promise", "close", "explain", "school")


def _colleague(colleague: Colleague) -> str:
    return f"{colleague.name} is writing a reply to this query." if colleague.writing else f"{colleague.name} has this query open too."


def _marks(form: Form) -> dict[str, str]:
    return {name.removeprefix("mark-"): value for name, value in form.items() if name.startswith("mark-")}
