"""Pages about the answers: what is said on each topic, from which source, who keeps it; changes with two people; export."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Any, Iterator

from anyio import to_thread
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from bot.casework.supervision import Refused
from bot.channels.problems import Problem
from bot.console.answer_export import diff
from bot.console.answers import FIELDS, AnswerChanges, wording_of
from bot.console.frame import Form, FormHandler, Frame, Get, Post, written
from bot.settings import ROOT
from bot.store.console import AnswerChange
from bot.store.tables import StaffSession

NO_ANSWER = Problem(404, "no_answer", "There is no answer on that topic.")
VIEWS = {"all": "All", "waiting": "A change waits", "old": "Review out of date"}


class AnswerPages:
    """Pages under /console/answers."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._changes: AnswerChanges = frame.signpost.answer_changes

    def pages(self) -> list[Get | Post]:
        """Every page and form."""
        return [
            Get("/console/answers", "read", self.list),
            Get("/console/answers/changes.diff", "read", self.export),
            Get("/console/answers/{topic}", "read", self.answer),
            Post("/console/answers/{topic}/propose", "review", self.propose),
            Post("/console/answers/changes/{id}/approve", "approve", self.decide(True)),
            Post("/console/answers/changes/{id}/refuse", "approve", self.decide(False)),
            Post("/console/answers/changes/{id}/withdraw", "review", self.withdraw, "Take your change back? Its wording stays in the history of the answer."),
        ]

    async def list(self, request: Request, session: StaffSession) -> Response:
        """Every topic with owner and day of review."""
        view, section = request.query_params.get("view", ""), request.query_params.get("section", "")
        listed = await to_thread.run_sync(self._changes.listed)
        sections = sorted({each.section for each in listed if each.section})
        counts = {"all": len(listed), "waiting": sum(e.waits for e in listed), "old": sum(e.out_of_date for e in listed)}
        shown = [e for e in listed if (view != "waiting" or e.waits) and (view != "old" or e.out_of_date) and (not section or e.section == section)]
        chosen = {"view": view if view in VIEWS else "all", "chosen_section": section}
        titles = {each.answer.topic: self._titles(each.answer.topic) for each in shown}
        exported = await to_thread.run_sync(self._changes.to_export)
        return self._frame.page("console/answers.html", session, listed=shown, views=VIEWS, counts=counts, sections=sections, to_export=len(exported), titles=titles, **chosen)

    def _titles(self, topic: str) -> list[str]:
        """The titles of an answer's sources, each once."""
        return list(dict.fromkeys(source.title for source in self._frame.signpost.answers.sources_of(topic)))

    async def answer(self, request: Request, session: StaffSession) -> Response:
        """One answer as each area is told it, its sources, its history, and the form to change it."""
        return await self._answer(request.path_params["topic"], session, done=request.query_params.get("done", ""))

    async def _answer(self, topic: str, session: StaffSession, status: int = 200, **shown: Any) -> Response:
        answers, areas = self._frame.signpost.answers, self._frame.signpost.areas
        if topic not in answers:
            raise NO_ANSWER
        changes = await to_thread.run_sync(self._changes.of, topic)
        waiting = next((change for change in changes if change.state == "proposed"), None)
        proposed = shown.pop("proposed", {})
        return self._frame.page(
            "console/answer.html",
            session,
            status,
            answer=answers[topic],
            topic=topic,
            told=[(area.name, role, answers.wording(topic, area, role)) for area in areas.values() for role in ("parent", "school")],
            changes=changes,
            waiting=waiting,
            titles=self._titles(topic),
            lost=shown.pop("lost", {}) or (proposed if waiting else {}),
            compared=[(name, compare(waiting.was[name], waiting.becomes[name])) for name in FIELDS if waiting.was[name] != waiting.becomes[name]] if waiting else [],
            hints=self._changes.hints(topic, waiting.becomes) if waiting else [],
            compare=compare,
            **{"problem": "", "done": "", "reason": "", "form": wording_of(answers[topic]), **shown},
        )

    async def propose(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Propose a change; one that is refused is shown again with the reason and everything that was typed."""
        topic = request.path_params["topic"]
        if topic not in self._frame.signpost.answers:
            raise NO_ANSWER
        given = wording_of(self._frame.signpost.answers[topic]) if form.get("do") == "reviewed" else {name: form[name] for name in FIELDS if name in form}
        try:
            await to_thread.run_sync(self._changes.propose, topic, given, form.get("reason", ""), session.staff)
        except Refused as refused:
            kept = {**wording_of(self._frame.signpost.answers[topic]), **given}
            return await self._answer(topic, session, 422, problem=str(refused), form=kept, reason=form.get("reason", ""), proposed=written({**given, "reason": form.get("reason", "")}))
        await self._frame.record(request, session, "answer_change_proposed", topic)
        return RedirectResponse(f"/console/answers/{topic}?done=proposed", 303)

    def decide(self, approved: bool) -> FormHandler:
        """The handler of a second person's decision."""

        async def handler(request: Request, session: StaffSession, form: dict[str, str]) -> Response:
            return await self._end(request, session, form, lambda id: self._changes.decide(id, session.staff, approved, form.get("comment", "")))

        return handler

    async def withdraw(self, request: Request, session: StaffSession, form: Form) -> Response:
        """Take one's own change back."""
        return await self._end(request, session, form, lambda id: self._changes.withdraw(id, session.staff))

    async def _end(self, request: Request, session: StaffSession, form: Form, end: Any) -> Response:
        try:
            change: AnswerChange = await to_thread.run_sync(end, request.path_params["id"])
        except Refused as refused:
            if form.get("topic", "") in self._frame.signpost.answers:
                return await self._answer(form["topic"], session, 409, problem=str(refused), lost=written({"comment": form.get("comment", "")}))
            raise Problem(409, "change", str(refused)) from None
        await self._frame.record(request, session, f"answer_change_{change.state}", change.topic)
        return RedirectResponse(f"/console/answers/{change.topic}?done={change.state}", 303)

    async def export(self, request: Request, session: StaffSession) -> Response:
        """What is live otherwise than filed, as a diff for data/answers/."""
        text = await to_thread.run_sync(lambda: diff(ROOT / "data" / "answers", self._changes.to_export()))
        return PlainTextResponse(text, headers={"Content-Disposition": 'attachment; filename="answers.diff"'})


def compare(before: str, after: str) -> Markup:
    """A text with what was taken out and put in marked, word by word."""
    return Markup("").join(_compared(before, after))


def _compared(before: str, after: str) -> Iterator[Markup]:
    old, new = _words(before), _words(after)
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        taken, put = "".join(old[a:b]), "".join(new[c:d])
        if what == "equal":
            yield Markup("{}").format(put)
            continue
        if taken.strip():
            yield Markup("<del>{}</del>").format(taken)
        if put.strip():
            yield Markup("<ins>{}</ins>").format(put)
        elif put:
            yield Markup("{}").format(put)


def _words(text: str) -> list[str]:
    return re.findall(r"\s+|\S+", text)
