"""Pages of review: conversations, what was not understood, examples that wait for a second person."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Sequence

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.casework.supervision import Refused
from bot.channels.problems import Problem
from bot.console.clusters import clusters
from bot.console.examples import Examples
from bot.console.frame import Form, FormHandler, Frame, Get, Post, number, written
from bot.console.notebook import Notebook
from bot.console.query_page import Said
from bot.console.review import VIEWS, ConversationView, ReviewChoice, Reviews
from bot.settings import ROOT
from bot.store.tables import Staff, StaffSession

NO_CONVERSATION = Problem(404, "no_conversation", "There is no such conversation in your areas.")
NO_MESSAGE = Problem(404, "no_message", "There is no such message of a family in this conversation.")
STATES = {"proposed": "Waiting for a second person", "approved": "Approved", "refused": "Refused"}
SHOWN_OF_CLUSTER = 8


@dataclass(frozen=True)
class Lumped:
    """Messages that are alike: the words they share, what the bot guessed most, and some of them (conversation, number, masked text)."""

    words: Sequence[str]
    size: int
    guess: str
    shown: Sequence[tuple[str, int, str]]


class ReviewPages:
    """Pages under /console/review."""

    def __init__(self, frame: Frame) -> None:
        self._frame, signpost = frame, frame.signpost
        self._reviews = Reviews(signpost.database, signpost.clock, signpost.answers)
        self._notebook = Notebook(signpost.database, signpost.clock, signpost.masker)
        self.examples = Examples(signpost.database, signpost.clock, signpost.masker, signpost.topics, ROOT / "data" / "nlu")

    def pages(self) -> list[Get | Post]:
        """Every page and form."""
        acts = {
            "flag": lambda view, form, member: self._reviews.flag(view.conversation.id, True),
            "unflag": lambda view, form, member: self._reviews.flag(view.conversation.id, False),
            "reviewed": lambda view, form, member: self._reviews.mark_reviewed(view.conversation.id, member, True),
            "not-reviewed": lambda view, form, member: self._reviews.mark_reviewed(view.conversation.id, member, False),
            "save": lambda view, form, member: self._reviews.save(view.conversation.id, member, True),
            "unsave": lambda view, form, member: self._reviews.save(view.conversation.id, member, False),
            "tag": lambda view, form, member: self._notebook.tag(view.conversation.id, form.get("tags", ""), member),
            "untag": lambda view, form, member: self._notebook.untag(view.conversation.id, form.get("about", "")),
        }
        return [
            Get("/console/review", "read", self.list),
            Get("/console/review/not-understood", "read", self.not_understood),
            Get("/console/review/examples", "read", self.list_examples),
            Post("/console/examples/{id}/approve", "approve", self.decide(True)),
            Post("/console/examples/{id}/refuse", "approve", self.decide(False)),
            Get("/console/review/{id}", "read", self.conversation),
            Get("/console/review/{id}/wrong/{seq}", "review", self.ask_right_topic),
            Post("/console/review/{id}/wrong/{seq}", "review", self.propose),
            *(Post(f"/console/review/{{id}}/{name}", "review", self.act(name, act)) for name, act in acts.items()),
        ]

    async def list(self, request: Request, session: StaffSession) -> Response:
        """Conversations to review."""
        choice = ReviewChoice.read(request.query_params)
        listed = await to_thread.run_sync(self._reviews.page, session.staff, choice)
        areas = [(area.id, area.name) for area in self._frame.signpost.areas.values()]
        return self._frame.page("console/review.html", session, listed=listed, choice=choice, views=VIEWS, topics=self._topics(), areas=areas)

    def _topics(self) -> list[tuple[str, str]]:
        return sorted(((answer.topic, answer.title) for answer in self._frame.signpost.answers), key=lambda pair: pair[1])

    async def conversation(self, request: Request, session: StaffSession) -> Response:
        """One conversation, with what reviewers can do."""
        view = await self._view(request, session)
        await self._frame.record(request, session, "read_conversation", view.conversation.id)
        return self._page(session, view, done=request.query_params.get("done", ""))

    async def _view(self, request: Request, session: StaffSession) -> ConversationView:
        view = await to_thread.run_sync(self._reviews.read, session.staff, request.path_params["id"])
        if view is None:
            raise NO_CONVERSATION
        return view

    def _page(self, session: StaffSession, view: ConversationView, status: int = 200, **shown: Any) -> Response:
        known = dict(problem="", done="", typed={})
        return self._frame.page("console/conversation.html", session, status, view=view, may_review=session.staff.role != "auditor", **{**known, **shown})

    def act(self, name: str, act: Any) -> FormHandler:
        """The handler of something that a reviewer does."""

        async def handler(request: Request, session: StaffSession, form: dict[str, str]) -> Response:
            view = await self._view(request, session)
            try:
                await to_thread.run_sync(act, view, form, session.staff)
            except Refused as refused:
                return self._page(session, view, 422, problem=str(refused), typed=form)
            await self._frame.record(request, session, f"conversation_{name.replace('-', '_')}", view.conversation.id)
            return RedirectResponse(f"/console/review/{view.conversation.id}?done={name}#{'review-tags' if name in ('tag', 'untag') else 'review'}-told", 303)

        return handler

    # the bot was wrong

    async def _message(self, request: Request, session: StaffSession) -> tuple[ConversationView, Said]:
        view = await self._view(request, session)
        seq = number(request.path_params["seq"])
        said = next((s for s in view.said if s.message.seq == seq and s.message.author == "parent"), None)
        if said is None:
            raise NO_MESSAGE
        return view, said

    async def ask_right_topic(self, request: Request, session: StaffSession) -> Response:
        """The message as an example, to be checked, and the topics to choose from."""
        view, said = await self._message(request, session)
        return self._wrong(session, view, said, self.examples.masked(said.message.text))

    def _wrong(self, session: StaffSession, view: ConversationView, said: Said, text: str, status: int = 200, problem: str = "", topic: str = "") -> Response:
        return self._frame.page(
            "console/wrong.html", session, status, view=view, said=said, text=text, problem=problem, topic=topic, topics=self._topics()
        )

    async def propose(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Propose the example; one that is refused is shown again with the reason."""
        view, said = await self._message(request, session)
        understood = said.guesses[0].topic if said.guesses else None
        given = (view.conversation, said.message, form.get("text", ""), form.get("topic", ""), understood, session.staff)
        try:
            await to_thread.run_sync(self.examples.propose, *given)
        except Refused as refused:
            return self._wrong(session, view, said, form.get("text", ""), 422, str(refused), form.get("topic", ""))
        await self._frame.record(request, session, "example_proposed", view.conversation.id, topic=form.get("topic", ""))
        return RedirectResponse(f"/console/review/{view.conversation.id}?done=proposed", 303)

    async def list_examples(self, request: Request, session: StaffSession) -> Response:
        """Proposals that wait, and what was decided."""
        state = request.query_params.get("state", "")
        return await self._examples(session, state if state in STATES else "proposed", done=request.query_params.get("done", ""))

    async def _examples(self, session: StaffSession, state: str, status: int = 200, **shown: Any) -> Response:
        proposals = await to_thread.run_sync(self.examples.listed, session.staff, state)
        return self._frame.page("console/examples.html", session, status, proposals=proposals, state=state, states=STATES, **{"problem": "", "done": "", "lost": {}, **shown})

    def decide(self, approved: bool) -> FormHandler:
        """The handler of a second person's decision."""

        async def handler(request: Request, session: StaffSession, form: dict[str, str]) -> Response:
            try:
                decided = await to_thread.run_sync(self.examples.decide, request.path_params["id"], session.staff, approved, form.get("comment", ""))
            except Refused as refused:
                return await self._examples(session, "proposed", 409, problem=str(refused), lost=written({"comment": form.get("comment", "")}))
            await self._frame.record(request, session, f"example_{decided.state}", decided.id, topic=decided.topic)
            return RedirectResponse(f"/console/review/examples?done={decided.state}", 303)

        return handler

    # what was not understood

    async def not_understood(self, request: Request, session: StaffSession) -> Response:
        """This week's messages that the bot could not read, put together where they are alike."""
        found, lumped = await to_thread.run_sync(self._lumped, session.staff)
        return self._frame.page("console/not_understood.html", session, number=found, lumped=lumped)

    def _lumped(self, member: Staff) -> tuple[int, list[Lumped]]:
        messages = self._reviews.not_understood(member)
        texts = [self.examples.masked(message.text) for message in messages]
        taken_for = [((message.understanding or {}).get("intent") or {}).get("name", "") for message in messages]
        made = []
        for cluster in clusters(texts, taken_for):
            guesses = Counter(taken_for[i] for i in cluster.members)
            guess = next((name for name, _ in guesses.most_common() if name in self._frame.signpost.answers), "")
            shown = [(messages[i].conversation_id, messages[i].seq, texts[i]) for i in cluster.members[:SHOWN_OF_CLUSTER]]
            made.append(Lumped(cluster.words, len(cluster.members), self._frame.topic_title(guess) if guess else "", shown))
        return len(messages), made
