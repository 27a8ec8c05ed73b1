"""What actions have in common about a topic: its reviewed answer, or that the question went to a named person."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from anyio import to_thread
from rasa_sdk.executor import CollectingDispatcher

from actions.guide_return import is_offered
from actions.speaking import SignpostAction, Turn, query_words, return_words
from bot.conversations.outbound import OfferedChoice, Outbound
from bot.knowledge.guide_book import SLOT

_OUTCOMES = {"answer": "answer", "check": "answer", "case": "answer", "talk": "talk", "out": "out"}
_PRIORITY = frozenset({"bounced"})


class TopicAction(SignpostAction):
    """An action that answers on topics and passes questions on."""

    def answer(self, dispatcher: CollectingDispatcher, turn: Turn, topic: str, short: bool = False) -> None:
        """Say what we know about one topic."""
        wording = self.services.answers.wording(topic, turn.area, turn.role, short)
        self.say(
            dispatcher,
            Outbound(
                wording.text,
                outcome=_OUTCOMES[self.services.topics[topic].kind],
                topic=topic,
                sources=tuple(s.as_json() for s in wording.sources),
                choices=tuple(self._offers(topic)),
            ),
        )

    def _offers(self, topic: str):
        # A guide that is spoken of rather than begun (another topic came first) can be begun with one tap.
        if self.services.topics[topic].kind == "check":
            yield self.topic_choice(topic)
        for offer in self.services.answers[topic].offer:
            yield self.person_choice() if offer == "person" else self.topic_choice(offer)

    async def after_result(self, dispatcher: CollectingDispatcher, turn: Turn) -> bool:
        """Meet what belongs to a guide's result: a yes to its offer of a person, or what the family hopes for (S8); whether it was that."""
        hearing, services = self.services.guides.hearing, self.services
        guide = services.guides.named((turn.slots.get(SLOT) or {}).get("name"))
        if guide is None or turn.active_form:
            return False
        if is_offered(turn) and (turn.intent == "affirm" or hearing.says_yes(turn.text)):
            goal = f"\n\n{services.guides.five_questions.goal(turn.role)}" if guide is services.guides.five_questions else ""
            await self.pass_on(dispatcher, turn, guide.topic, f"{services.answers.say('guide_person_yes')}{goal}")
            return True
        if guide is services.guides.five_questions and hearing.hopes(turn.text):
            card = await to_thread.run_sync(services.desk.latest, turn.conversation_id)
            added = card and await to_thread.run_sync(services.desk.tell, turn.conversation_id, card.reference, (turn.text,))
            if added:
                self.say(dispatcher, Outbound(services.answers.say("joined_query", **query_words(added)), outcome="handoff", topic=guide.topic, query_id=added.id))
                return True
        return False

    async def pass_on(
        self,
        dispatcher: CollectingDispatcher,
        turn: Turn,
        topic: str | None,
        before: str = "",
        choices: Sequence[OfferedChoice] = (),
        guide: Mapping[str, Any] | None = None,
    ) -> None:
        """Open a query for this message, with everything told in a guide, and say who has it (H-T2-R9).

        `topic` is what it is about, if that was understood; `before` stands in for the topic's wording; `guide` is where a guide that is
        left for it stands.
        """
        services = self.services
        card = await to_thread.run_sync(
            lambda: services.desk.open(
                turn.conversation_id,
                turn.seq,
                reason="case" if topic else "unresolved",
                topic=topic,
                kind="priority" if topic in _PRIORITY or turn.may_be_danger else "ordinary",
                language=turn.language,
                therapy=turn.therapy,
                area=turn.home,
                told=services.guides.told(turn.slots, turn.role),
            )
        )
        wording = services.answers.wording(topic, turn.area, turn.role) if topic else None
        before = before or services.answers.in_language(turn.language) or (wording.text if wording else services.answers.say("not_understood"))
        told = services.answers.say("joined_query" if card.joined else "handed_over", **query_words(card))
        back = return_words(services.answers, services.site, card)
        self.say(
            dispatcher,
            Outbound(
                "\n\n".join(filter(None, (before, told, back))),
                outcome="handoff",
                topic=topic,
                sources=tuple(s.as_json() for s in wording.sources) if wording else (),
                choices=tuple(choices),
                query_id=card.id,
                guide=guide,
            ),
        )
