"""The two guides as plain web forms: one question a page, no JavaScript, the answers in the address, so that a result can be kept or printed."""

from __future__ import annotations

from typing import Any, Mapping
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.casework.queries import QueryDesk
from bot.channels.chat_page import ChatPages, Manner, OpenChat, client_id, told_on_page
from bot.channels.problems import Problem
from bot.channels.web import LONGEST_TEXT, ROLES, WebChat
from bot.clock import new_id
from bot.conversations.outbound import Outbound
from bot.knowledge.answers import filled
from bot.knowledge.areas import Area
from bot.knowledge.guide_book import Guides
from bot.knowledge.guides import NOTE_HEADINGS, Guide, Input, Result, as_note, role_words
from bot.pages.forms import read_form, refuse_cross_site
from bot.pages.rendering import page
from bot.settings import Settings

PATHS = {"responsibility": "responsibility", "five-questions": "five_questions"}
LONGEST_WISH = 1000
_NO_GUIDE = Problem(404, "no_guide", "There is no guide at this address. Start again from the list of guides.")


def routes(chat: WebChat, settings: Settings, guides: Guides, desk: QueryDesk) -> list[Route]:
    """Routes of the guides' pages."""
    pages = GuidePages(chat, settings, guides, desk)
    return [
        Route("/guides", pages.index),
        Route("/guides/{path}", told_on_page(pages.show), methods=["GET"]),
        # Under /chat, where the browser sends the cookie of the chat that the answer comes to.
        Route("/chat/guide/{path}", told_on_page(pages.pass_on), methods=["POST"]),
    ]


class GuidePages(ChatPages):
    """Handlers of the guides' pages: the same tables and words as in the chat."""

    def __init__(self, chat: WebChat, settings: Settings, guides: Guides, desk: QueryDesk) -> None:
        super().__init__(chat, settings)
        self._guides, self._desk = guides, desk

    async def index(self, request: Request) -> Response:
        """Which guides there are."""
        return page("guides/index.html")

    async def show(self, request: Request) -> Response:
        """The start of a guide, its next question, or its result."""
        path, guide = self._guide(request)
        given = dict(request.query_params)
        role = given.get("role")
        if role not in ROLES:
            return page("guides/start.html", path=path, guide=guide, areas=self._areas(), chosen=self._chat.default_area)
        facts, area = self._facts(guide, given), self._area(guide, given)
        asked = guide.inputs.get(given.get("ask", "")) or guide.next_input(facts)
        shown = {"path": path, "guide": guide, "role": role, "area": area, "title": self._chat.answers.title(guide.topic)}
        kept = {"role": role, **({"area": area.id} if "area" not in guide.inputs else {}), **facts}
        if asked is not None and asked.asked:
            return self._question(asked, facts, kept, shown, missed=given.get("asked") == asked.name and "ask" not in given)
        return self._result(guide, facts, kept, shown)

    def _question(self, asked: Input, facts: Mapping[str, str], kept: dict[str, str], shown: dict[str, Any], missed: bool) -> Response:
        before = {name: value for name, value in kept.items() if name != asked.name}
        answered = [name for name in facts if name != asked.name]
        back = {name: value for name, value in before.items() if name != answered[-1]} if answered else {}
        words = {**shown["area"].words, **role_words(shown["role"])}
        return page(
            "guides/question.html",
            422 if missed else 200,
            **shown,
            asked=asked,
            question=filled(asked.ask_for(shown["role"]), words),
            why=filled(asked.why, words),
            where=filled(asked.where, words),
            number=len(answered) + 1,
            kept=before,
            back=f"?{urlencode({**back, 'ask': answered[-1]})}" if answered else "?",
            missed=missed,
        )

    def _result(self, guide: Guide, facts: dict[str, str], kept: dict[str, str], shown: dict[str, Any]) -> Response:
        result = guide.result(facts, shown["area"], shown["role"])
        say, words = self._chat.answers.say, {**shown["area"].words, **role_words(shown["role"])}
        changes = [
            (filled(asked.ask_for(shown["role"]), words), asked.values[facts[name]].title_for(shown["role"]), f"?{urlencode({**kept, 'ask': name})}")
            for name, asked in guide.inputs.items()
            if asked.asked and name in facts
        ]
        return page(
            "guides/result.html",
            **shown,
            result=result,
            changes=changes,
            kept=kept,
            summary=as_note(result, *(say(key) for key in NOTE_HEADINGS)),
            goal=self._guides.five_questions.goal(shown["role"]) if guide is self._guides.five_questions else "",
            longest=LONGEST_WISH,
            form_id=new_id(),
        )

    async def pass_on(self, request: Request) -> Response:
        """Open a query with the result and everything told, in this browser's chat, where the answer comes."""
        refuse_cross_site(request, self._settings.site)
        path, guide = self._guide(request)
        form = await read_form(request)
        role = form.get("role") if form.get("role") in ROLES else "parent"
        facts, area = self._facts(guide, form), self._area(guide, form)
        if guide.next_input(facts) is not None:
            raise Problem(422, "unfinished", "The guide is not finished, so there is nothing to pass on yet. Go back and answer the next question.")
        result, wish = guide.result(facts, area, role), form.get("wish", "").strip()
        if len(wish) > LONGEST_WISH:
            raise Problem(422, "too_long", f"Please write no more than {LONGEST_WISH:,} characters.")
        opened = await self._known(request) or await self._start(request, area.id, role)
        await self._log(opened, client_id({**form, "text": path}), guide, result, area, wish)
        return self._back(request, opened, Manner.of({}))

    async def _log(self, opened: OpenChat, id: str, guide: Guide, result: Result, area: Area, wish: str) -> None:
        answers = self._chat.answers
        told = (*result.told, f"{result.row}: {result.title}", *((wish,) if wish else ()))
        lines = (answers.say("guide_passed_on", title=answers.title(guide.topic)), *(f"- {line}" for line in result.told), wish)
        asked = "\n".join(filter(None, lines))
        accepted = await self._chat.accept(opened.id, id, asked[:LONGEST_TEXT], None)
        if accepted.done:
            return

        def open_query():
            return self._desk.open(opened.id, accepted.seq, reason="guide", topic=guide.topic, kind=result.kind, area=area.id, told=told)

        card = await to_thread.run_sync(open_query)
        told_back = [answers.say("guide_passed_on_told", **card.words())]
        if card.return_code:
            told_back.append(answers.say("return_code", site=self._settings.site, code=card.return_code))
        said = Outbound("\n\n".join(told_back), outcome="handoff", topic=guide.topic, query_id=card.id)
        await to_thread.run_sync(self._chat.log.finish, accepted.message_id, [said], {"guide": guide.name})

    def _guide(self, request: Request) -> tuple[str, Guide]:
        path = request.path_params["path"]
        guide = self._guides.named(PATHS.get(path))
        if guide is None:
            raise _NO_GUIDE
        return path, guide

    @staticmethod
    def _facts(guide: Guide, given: Mapping[str, str]) -> dict[str, str]:
        return {name: given[name] for name, asked in guide.inputs.items() if given.get(name) in asked.values}

    def _area(self, guide: Guide, given: Mapping[str, str]) -> Area:
        return self._chat.areas.get(given.get("area", ""), self._chat.areas[self._chat.default_area])
