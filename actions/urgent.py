"""Urgent messages: the emergency routes first, then the on-call lead; nothing is asked."""

from __future__ import annotations

from anyio import to_thread

from actions.guide_return import as_left, guide_left
from actions.speaking import SignpostAction, query_words, return_words
from bot.conversations.outbound import Outbound


class Urgent(SignpostAction):
    """`action_urgent`: the area's emergency lines for the kind of danger, and an urgent query. A guide is left and asks nothing more."""

    action_name = "action_urgent"

    async def run(self, dispatcher, tracker, domain):
        turn, services = self.turn(tracker), self.services
        dangers = list(dict.fromkeys(t for t in (*turn.topics, turn.intent) if t in services.topics and services.topics[t].kind == "urgent"))
        topic = dangers[0]
        card = await to_thread.run_sync(
            lambda: services.desk.open(
                turn.conversation_id, turn.seq, reason="urgent", topic=topic, kind="urgent", language=turn.language, therapy=turn.therapy, area=turn.home
            )
        )
        wording = services.answers.wording(topic, turn.area, turn.role)
        route = "\n\n".join(turn.area.urgent[danger.removeprefix("urgent_")].as_text() for danger in dangers)
        told = services.answers.say("urgent_told", **query_words(card))
        back = return_words(services.answers, services.site, card)
        self.say(
            dispatcher,
            Outbound(
                f"{route}\n\n{wording.text}\n\n{told}\n\n{back}",
                outcome="urgent",
                topic=topic,
                sources=tuple(s.as_json() for s in wording.sources),
                query_id=card.id,
                guide=as_left(services, turn),
            ),
        )
        return guide_left(turn)
