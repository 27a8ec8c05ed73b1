"""Before the engine: buttons about a query, a verdict in words, and conversations that a person has."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from bot.casework.cycle import Cycle
from bot.casework.queries import PREFIX, VERDICT_STATES, Joined, Judged, QueryCard, QueryDesk
from bot.conversations.outbound import OfferedChoice, Outbound
from bot.store.tables import Conversation, Query


class Reception:
    """Turns that casework answers itself. What it gives is said to the parent; nothing means that the engine is asked."""

    def __init__(self, desk: QueryDesk, cycle: Cycle) -> None:
        self._desk, self._cycle, self._database, self._say = desk, cycle, cycle.database, cycle.answers.say

    def command(self, conversation_id: str, seq: int, command: str | None) -> list[Outbound] | None:
        """Answer a button of ours (`query:…`); nothing for other buttons."""
        if not (command or "").startswith(PREFIX):
            return None
        verb, *rest = command.removeprefix(PREFIX).split(":")
        match verb, rest:
            case "verdict", [verdict, query_id, reply_id] if verdict in VERDICT_STATES:
                judged = self._desk.verdict(conversation_id, seq, query_id, verdict, reply_id)
                return self._judged(judged, query_id) if judged else [self._none()]
            case "status", [query_id]:
                return [self.status(conversation_id, self._reference(query_id))]
            case "bot", [query_id]:
                card = self._desk.ask_the_bot(conversation_id, query_id)
                return [self._about(card, "bot_again")] if card else [self._none()]
            case "withdraw", [query_id]:
                card = self._desk.withdraw(conversation_id, seq, self._reference(query_id))
                return [self._about(card, "query_withdrawn", choices=self.after_withdrawal(card))] if card else [self._none()]
            case "reopen", [query_id]:
                card = self._desk.reopen(conversation_id, seq, self._reference(query_id), words=False)
                return [self._about(card, "query_open_again")] if card else [self._none()]
        return [self._none()]

    def words(self, conversation_id: str, seq: int, text: str, held_query_id: str) -> list[Outbound] | None:
        """Take a whole message that is a verdict as one, if there is a reply to judge; else nothing."""
        verdict = self._cycle.policy.verdict_in(text)
        if verdict is None:
            return None
        with self._database.read() as session:
            query = session.get(Query, held_query_id)
            if query is None or query.state != "replied":
                return None
        judged = self._desk.verdict(conversation_id, seq, held_query_id, verdict)
        return self._judged(judged, held_query_id) if judged else None

    def is_answered_while_held(self, understanding: Mapping[str, Any]) -> bool:
        """Whether the bot speaks although a person has the conversation: urgent wording, and questions about the query itself."""
        topics = self._topics(understanding)
        return any(topic.startswith("urgent_") or topic in self._cycle.policy.answered_while_held for topic in topics)

    def join(self, conversation_id: str, seq: int, held_query_id: str, understanding: Mapping[str, Any] | None) -> list[Outbound] | None:
        """Add the message to the query for which a person has the conversation; what the parent is told, mostly nothing.

        None if that query has ended, so that the engine is asked. With no `understanding` (the engine is down) the emergency line is said.
        """
        topics = self._topics(understanding or {})
        courtesy = bool(topics) and all(topic in self._cycle.policy.courtesies for topic in topics)
        joined = self._desk.join(conversation_id, seq, held_query_id, courtesy)
        if joined is None:
            return None
        said = [self._told(joined, told) for told in joined.told]
        if understanding is None:
            with self._database.read() as session:
                area = self._cycle.area(session.get_one(Conversation, conversation_id).area)
            said.append(Outbound(f"{self._say('joined_query', **_words(joined.card))}\n\n{area.not_for_emergencies}", query_id=joined.card.id))
        return said

    @staticmethod
    def _topics(understanding: Mapping[str, Any]) -> Sequence[str]:
        made = understanding.get("understanding") or {}
        topics = made.get("topics") or ()
        intent = (understanding.get("intent") or {}).get("name")
        return tuple(topics) or ((intent,) if intent else ())

    def _told(self, joined: Joined, what: str) -> Outbound:
        card = joined.card
        match what:
            case "verdict":
                return self._about(card, "verdict_ask", choices=self._desk.verdict_on(card.id))
            case "hold":
                return self._about(card, "hold_told", choices=self.while_held(card))
        return self._about(card, f"joined_{what}")

    def _judged(self, judged: Judged, query_id: str) -> list[Outbound]:
        card = judged.card
        match judged.outcome:
            case "old":
                return [self._about(card, "verdict_old", choices=self._desk.verdict_on(query_id))]
            case "confirmed":
                return [self._about(card, "verdict_confirmed")]
            case "ended":
                return [self._about(card, "verdict_ended", choices=self.after_withdrawal(card))]
        return [self._about(card, "verdict_open_again")]

    def status(self, conversation_id: str, reference: str | None = None) -> Outbound:
        """State, name, day and what comes next."""
        card = self._desk.latest(conversation_id, reference)
        return self._about_status(card) if card else self._none()

    def _about_status(self, card: QueryCard) -> Outbound:
        return Outbound(self.status_words(card), outcome="answer", query_id=card.id, choices=tuple(self.status_choices(card)))

    def status_words(self, card: QueryCard) -> str:
        """What the parent is told of a query's state, with what comes next and who has been asked to explain."""
        state = self._say(f"state_{card.state}")
        first = self._say("query_state" if card.is_open else "query_ended", state=state, **_words(card))
        asked = [self._say("explanation_pending", body=self._say(f"body_{body}"), body_due_on=f"{due_on:%A %-d %B %Y}") for body, due_on in card.asked_bodies]
        late = [self._say("query_late")] if card.overdue else []
        return "\n\n".join([first.strip(), *late, *asked, self._say(f"next_{card.state}", **_words(card)).strip()])

    def status_choices(self, card: QueryCard) -> list[OfferedChoice]:
        """What can be done about a query from its status."""
        if card.state == "replied":
            return self._desk.verdict_on(card.id)
        if not card.is_open:
            return self.after_withdrawal(card)
        return [OfferedChoice(self._say("choice_withdraw"), f"{PREFIX}withdraw:{card.id}")]

    def while_held(self, card: QueryCard) -> list[OfferedChoice]:
        """What can be asked while a person has the conversation."""
        return [
            OfferedChoice(self._say("choice_status"), f"{PREFIX}status:{card.id}"),
            OfferedChoice(self._say("choice_bot"), f"{PREFIX}bot:{card.id}"),
        ]

    def after_withdrawal(self, card: QueryCard) -> list[OfferedChoice]:
        """An ended query can be opened again."""
        return [OfferedChoice(self._say("choice_reopen"), f"{PREFIX}reopen:{card.id}")]

    def _about(self, card: QueryCard, key: str, choices: Sequence[OfferedChoice] = ()) -> Outbound:
        return Outbound(self._say(key, **_words(card)), query_id=card.id, choices=tuple(choices))

    def _none(self) -> Outbound:
        return Outbound(self._say("query_none"), outcome="answer")

    def _reference(self, query_id: str) -> str:
        with self._database.read() as session:
            query = session.get(Query, query_id)
            return query.reference if query else "-"


def _words(card: QueryCard) -> dict[str, str]:
    return {"reference": card.reference, "lead": card.lead, "lead_title": card.lead_title, "due_on": f"{card.due_on:%A %-d %B %Y}"}
