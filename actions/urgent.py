"""Urgent messages: the emergency routes first, then the on-call lead; nothing is asked."""

from __future__ import annotations

from anyio import to_thread

from actions.guide_return import guide_left
from actions.speaking import SignpostAction, query_words
from bot.conversations.outbound import Outbound


class Urgent(SignpostAction):
    """`action_urgent`: the area's emergency lines for the kind of danger, and an urgent query. A guide is left and asks nothing more."""

    action_name = "action_urgent"

    async def run(self, dispatcher, tracker, domain):
        turn, services = self.turn(tracker), self.services
        topic = next(t for t in (*turn.topics, turn.intent) if services.topics[t].kind == "urgent")
        card = await to_thread.run_sync(
            lambda: services.desk.open(turn.conversation_id, turn.seq, reason="urgent", topic=topic, kind="urgent", area=turn.home)
        )
        wording = services.answers.wording(topic, turn.area, turn.role)
        route = turn.area.urgent[topic.removeprefix("urgent_")].as_text()
        told = services.answers.say("urgent_told", **query_words(card))
        self.say(
            dispatcher,
            Outbound(
                f"{route}\n\n{wording.text}\n\n{told}",
                outcome="urgent",
                topic=topic,
                sources=tuple(s.as_json() for s in wording.sources),
                query_id=card.id,
            ),
        )
        return guide_left(turn)
