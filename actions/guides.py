"""The guides by conversation. Rasa's forms drive them: each turn of a form runs its validation, which is here.

A turn of a guide is one call: the answer is taken, and the next question or the result is said with it. What the guide knows stands in
slots, one for each question; the slot `guide` holds where it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from anyio import to_thread
from rasa_sdk.events import FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.guide_return import ASKING, DONE, LEFT, as_left, form_of, is_correction
from actions.guide_words import GuideWords
from actions.speaking import Turn
from actions.topics import TopicAction
from bot.casework.queries import QueryCard
from bot.conversations.outbound import Outbound
from bot.knowledge.areas import Area
from bot.knowledge.eligibility import INSTEAD
from bot.knowledge.guide_book import SLOT
from bot.knowledge.guides import UNSURE, Facts, Guide, Input, Result
from bot.knowledge.hearing import with_what_follows

_PATIENCE = 2
_URGENCY = ("ordinary", "priority", "urgent")
_SMALL_TALK = ("greet", "thank", "goodbye", "frustrated", "abusive")
_ON_ITS_OWN = ("answer", "case", "out", "check")
_AT_ONCE = ("talk_to_person", "delete_my_data")


@dataclass
class Course:
    """Where a guide is: what the slots held when the turn began, what is known now, the question that stands, and what to say first."""

    slots: Facts
    facts: dict[str, str]
    asked: Input | None
    state: dict[str, Any]
    lead: list[str] = field(default_factory=list)

    def take(self, heard: Facts) -> list[str]:
        """Take answers; the names of those that were another before."""
        changed = [name for name, value in heard.items() if self.facts.get(name) not in (None, value)]
        self.facts = with_what_follows({**self.facts, **heard})
        return changed


class GuideForm(TopicAction):
    """`validate_<guide>_form`: takes an answer, asks what is still needed, gives the result; gives away what is no answer."""

    guide_name = ""

    @property
    def guide(self) -> Guide:
        """The guide that this form drives."""
        return self.services.guides.named(self.guide_name)

    @property
    def _hearing(self):
        return self.services.guides.hearing

    async def run(self, dispatcher, tracker, domain):
        turn = self.turn(tracker)
        course = self._course(turn)
        if form_of(self.guide) in turn.rejected:
            return self._ask(dispatcher, turn, course, self._standing(course), [self._words(turn).say("guide_back")])
        if turn.intent == f"{self.guide.name}_answer":
            return await self._press(dispatcher, turn, course)
        if turn.active_form == form_of(self.guide) and course.state.get("state") == ASKING:
            return await self._listen(dispatcher, turn, course)
        return await self._begin(dispatcher, turn, course)

    def _words(self, turn: Turn) -> GuideWords:
        return GuideWords(self.services, self.guide, turn)

    def _course(self, turn: Turn) -> Course:
        slots = self.services.guides.facts(self.guide, turn.slots)
        facts = dict(slots)
        if turn.area_is_known and "area" in self.guide.inputs:
            facts.setdefault("area", turn.area.id)
        state = dict(turn.slots.get(SLOT) or {})
        if state.get("name") != self.guide.name:
            state = {"name": self.guide.name}
        return Course(slots, facts, self.guide.inputs.get(turn.slots.get("requested_slot") or ""), state)

    def _standing(self, course: Course) -> Input:
        """The question that was asked last, or the one that is needed next."""
        asked = course.asked or self.guide.next_input(course.facts)
        assert asked is not None, "a guide that asks has a question"
        return asked

    async def _begin(self, dispatcher: CollectingDispatcher, turn: Turn, course: Course) -> list:
        """A new guide, one that is gone on with, or a result that is put right."""
        before = course.state.get("state")
        typed = turn.text if turn.text and not turn.text.startswith("/") else ""
        heard = self._hearing.facts(typed, self.guide.inputs)
        wish = self._hearing.wish(typed)
        if before == DONE and wish == "back":
            return self._close(dispatcher, course, None, DONE, self._words(turn).changes(course.facts))
        if before == DONE and is_correction(self.services, self.guide, turn):
            course.lead.append(self._words(turn).changed(course.take(heard), course.facts))
            return await self._go_on(dispatcher, turn, course)
        if before in (ASKING, LEFT) and wish != "restart":
            course.lead.append(self._words(turn).say("guide_resumed"))
            course.take(heard)
            return await self._go_on(dispatcher, turn, course)
        self._start(turn, course, heard if before else {**self._heard_before(turn), **heard})
        if elsewhere := self._elsewhere(dispatcher, turn, course):
            return elsewhere
        if turn.intent == self.guide.topic:
            self._answer_others(dispatcher, turn)
        return await self._go_on(dispatcher, turn, course)

    def _start(self, turn: Turn, course: Course, heard: dict[str, str]) -> None:
        area = {"area": course.facts["area"]} if turn.area_is_known and "area" in course.facts else {}
        course.facts, course.state = dict(area), {"name": self.guide.name}
        course.take(heard)
        course.lead = [self.guide.intro(turn.role), self._words(turn).noted({k: v for k, v in course.facts.items() if k != "area" or k in heard})]

    def _heard_before(self, turn: Turn) -> dict[str, str]:
        """What the messages before said. A school may have asked about several pupils, so there only the newest counts."""
        heard: dict[str, str] = {}
        for text in () if turn.role == "school" else turn.texts:
            heard.update(self._hearing.facts(text, self.guide.inputs))
        return heard

    def _elsewhere(self, dispatcher: CollectingDispatcher, turn: Turn, course: Course) -> list:
        """Events, if this is not the guide for it and that was said."""
        return []

    def _answer_others(self, dispatcher: CollectingDispatcher, turn: Turn) -> None:
        for topic in turn.topics:
            if self.services.topics[topic].kind == "answer":
                self.answer(dispatcher, turn, topic)

    async def _press(self, dispatcher: CollectingDispatcher, turn: Turn, course: Course) -> list:
        """A button of this guide: an answer, a question to answer again, the list of answers, or the summary."""
        name, value = turn.pressed.get("asks", ""), turn.pressed.get("value")
        asked, words = self.guide.inputs.get(name), self._words(turn)
        if asked is not None and value in asked.values:
            if changed := course.take({name: value}):
                course.lead.append(words.changed(changed, course.facts))
            return await self._go_on(dispatcher, turn, course)
        if asked is not None:
            course.facts.pop(name, None)
            return self._ask(dispatcher, turn, course, asked)
        standing = course.asked if turn.active_form == form_of(self.guide) and course.state.get("state") == ASKING else None
        state = course.state.get("state", DONE)
        if name == "summary":
            return self._close(dispatcher, course, standing, state, words.summary(self._result(turn, course)))
        return self._close(dispatcher, course, standing, state, words.changes(course.facts))

    async def _listen(self, dispatcher: CollectingDispatcher, turn: Turn, course: Course) -> list:
        """A typed message while a question stands. No events: it is no answer, and another action meets it."""
        asked, words = self._standing(course), self._words(turn)
        kinds = {self.services.topics[t].kind for t in (turn.intent, *turn.topics) if t in self.services.topics}
        if "urgent" in kinds or turn.intent in _AT_ONCE:
            return []
        wish = self._hearing.wish(turn.text)
        if wish == "leave" or turn.intent == "stop":
            return self._close(dispatcher, course, None, LEFT, words.left())
        if wish == "restart":
            self._start(turn, course, {})
            return await self._go_on(dispatcher, turn, course)
        if wish == "back":
            return self._close(dispatcher, course, asked, ASKING, words.changes(course.facts))
        if wish == "why":
            return self._ask(dispatcher, turn, course, asked, [asked.why])
        reply = self._hearing.reply(turn.text, asked)
        heard = {**self._hearing.facts(turn.text, self.guide.inputs), **({asked.name: reply.value} if reply.value else {})}
        is_other = turn.intent != self.guide.topic and turn.intent in self.services.topics and self.services.topics[turn.intent].kind in _ON_ITS_OWN
        asks_other = is_other and self._hearing.is_question(turn.text)
        if asks_other and asked.name not in heard and not self._hearing.corrects(turn.text):
            return []
        if wish == "meaning" or turn.intent in ("repeat", "help") and not heard:
            return self._ask(dispatcher, turn, course, asked, [asked.where, asked.why])
        if reply.unclear:
            course.take({name: value for name, value in heard.items() if name not in course.facts and name != asked.name})
            return await self._clear_up(dispatcher, turn, course, asked)
        heard = heard or self._by_intent(turn, asked)
        if heard:
            return await self._take(dispatcher, turn, course, asked, heard, asks_other)
        if is_other or turn.intent in _SMALL_TALK:
            return []
        return await self._not_heard(dispatcher, turn, course, asked)

    def _by_intent(self, turn: Turn, asked: Input) -> dict[str, str]:
        """What the classifier made of a message without a pattern: a yes, a no, a "not sure"."""
        word = {"affirm": "yes", "deny": "no", "not_sure": "not sure"}.get(turn.intent)
        value = self._hearing.reply(word, asked).value if word else None
        return {asked.name: value} if value else {}

    async def _take(
        self, dispatcher: CollectingDispatcher, turn: Turn, course: Course, asked: Input, heard: dict[str, str], asks_other: bool
    ) -> list:
        """Take what was heard. What contradicts an earlier answer, and does not take it back, is asked about."""
        against = [n for n, value in heard.items() if n != asked.name and course.facts.get(n) not in (None, value)]
        if against and not self._hearing.corrects(turn.text):
            course.take({name: value for name, value in heard.items() if name not in against})
            again = next((name for name in against if self.guide.inputs[name].asked), None)
            if again:
                lead = [self._words(turn).contradiction(again, course.facts)]
                course.facts.pop(again)
                return self._ask(dispatcher, turn, course, self.guide.inputs[again], lead)
        elif changed := course.take(heard):
            course.lead.append(self._words(turn).changed(changed, course.facts))
        if asks_other:
            self._answer_others(dispatcher, turn)
        return await self._go_on(dispatcher, turn, course)

    async def _clear_up(self, dispatcher: CollectingDispatcher, turn: Turn, course: Course, asked: Input) -> list:
        """A reply that can be read in two ways is asked about once; after that it counts as not sure."""
        cleared = course.state.get("cleared", [])
        if asked.name in cleared:
            course.take({asked.name: UNSURE})
            return await self._go_on(dispatcher, turn, course)
        course.state["cleared"] = [*cleared, asked.name]
        return self._ask(dispatcher, turn, course, asked, [self._words(turn).say("guide_unclear")], asked.clear_up)

    async def _not_heard(self, dispatcher: CollectingDispatcher, turn: Turn, course: Course, asked: Input) -> list:
        """An answer that was not understood: asked again, and passed to a person when that fails too."""
        missed, words = course.state.get("missed", 0) + 1, self._words(turn)
        if missed >= _PATIENCE:
            await self.pass_on(dispatcher, turn, self.guide.topic, words.say("guide_lost"), words.go_on(), as_left(self.services, turn))
            course.state.pop("missed", None)
            return self._events(course, None, LEFT)
        course.state["missed"] = missed
        return self._ask(dispatcher, turn, course, asked, [words.say("guide_not_heard"), asked.where], keep_missed=True)

    async def _go_on(self, dispatcher: CollectingDispatcher, turn: Turn, course: Course) -> list:
        """The next question that is needed, or the result."""
        asked = self.guide.next_input(course.facts)
        if asked is not None:
            return self._ask(dispatcher, turn, course, asked)
        result = self._result(turn, course)
        card = await self._person(turn, course, result) if result.person == "yes" else None
        course.state.pop("missed", None)
        course.state["offered"] = turn.seq
        lead = [line for line in course.lead if line != self.guide.intro(turn.role)]
        return self._close(dispatcher, course, None, DONE, self._words(turn).result(result, lead, card))

    def _result(self, turn: Turn, course: Course) -> Result:
        return self.guide.result(course.facts, self._area(turn, course), turn.role)

    def _area(self, turn: Turn, course: Course) -> Area:
        return self.services.areas.get(course.facts.get("area", ""), turn.area)

    async def _person(self, turn: Turn, course: Course, result: Result) -> QueryCard:
        """The query of a result that needs a person: opened with everything told, or added to the one that is open already."""
        desk, told = self.services.desk, (*result.told, f"{result.row}: {result.title}")
        kept = course.state.get("query")
        if kept and _URGENCY.index(result.kind) <= _URGENCY.index(course.state.get("kind", "ordinary")):
            card = await to_thread.run_sync(desk.tell, turn.conversation_id, kept, told)
            if card is not None:
                return card
        card = await to_thread.run_sync(
            lambda: desk.open(
                turn.conversation_id,
                turn.seq,
                reason="guide",
                topic=self.guide.topic,
                kind=result.kind,
                language=turn.language,
                therapy=turn.therapy,
                area=self._area(turn, course).id,
                told=told,
            )
        )
        course.state.update(query=card.reference, kind=result.kind)
        return card

    def _ask(
        self,
        dispatcher: CollectingDispatcher,
        turn: Turn,
        course: Course,
        asked: Input,
        lead: list[str] | None = None,
        wording: str = "",
        keep_missed: bool = False,
    ) -> list:
        if not keep_missed:
            course.state.pop("missed", None)
        return self._close(dispatcher, course, asked, ASKING, self._words(turn).question(asked, [*course.lead, *(lead or [])], wording))

    def _close(self, dispatcher: CollectingDispatcher, course: Course, asked: Input | None, state: str, message: Outbound) -> list:
        """Say a message and end the turn; what the guide then knows goes with the message, for an engine that has lost it."""
        events = self._events(course, asked, state)
        slots = {**course.facts, SLOT: {**course.state, "state": state}, "last_topic": self.guide.topic, "requested_slot": asked and asked.name}
        self.say(dispatcher, replace(message, guide={"form": form_of(self.guide) if asked else None, "slots": slots}))
        return events

    def _events(self, course: Course, asked: Input | None, state: str) -> list:
        names = [name for name in (*self.guide.inputs, INSTEAD) if course.slots.get(name) != course.facts.get(name)]
        return [
            *(SlotSet(name, course.facts.get(name)) for name in names),
            SlotSet(SLOT, {**course.state, "state": state}),
            SlotSet("last_topic", self.guide.topic),
            SlotSet("requested_slot", asked and asked.name),
        ]


class ResponsibilityForm(GuideForm):
    """Who is responsible for the therapy in the plan."""

    action_name, guide_name = "validate_responsibility_form", "responsibility"


class FiveQuestionsForm(GuideForm):
    """The five questions of the service's page."""

    action_name, guide_name = "validate_five_questions_form", "five_questions"

    def _elsewhere(self, dispatcher: CollectingDispatcher, turn: Turn, course: Course) -> list:
        """A plan that names the therapy is a matter for the other guide; some difficulties are referred at once (responsibility rules, section 7)."""
        texts = turn.texts[-1:] if turn.role == "school" else turn.texts
        other = self.services.guides.responsibility
        told = self.services.guides.facts(other, turn.slots)
        for text in texts:
            told.update(self._hearing.facts(text, other.inputs))
            course.facts[INSTEAD] = self._hearing.instead(text) or course.facts.get(INSTEAD, "")
        if not course.facts.get(INSTEAD):
            course.facts.pop(INSTEAD, None)
        if course.facts.get(INSTEAD) or told.get("need_in_plan") != "yes" or told.get("plan") in ("none", "draft", "assessment under way"):
            return []
        self.say(dispatcher, Outbound(self._words(turn).say("guide_plan_decides"), outcome="check", topic=other.topic))
        return [*self._events(course, None, LEFT), FollowupAction(form_of(other))]
