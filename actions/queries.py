"""Questions about a question: where it is, that it is late, that the reply missed it."""

from __future__ import annotations

from typing import Sequence

from anyio import to_thread
from rasa_sdk import Tracker

from actions.ask_back import AskBack
from actions.hand_over import HandOver
from actions.speaking import SignpostAction, Turn, query_words
from bot.casework.queries import QueryCard
from bot.conversations.outbound import OfferedChoice, Outbound


class _AboutQuery(SignpostAction):
    """Says something about the conversation's query, or that there is none."""

    topic = ""

    async def run(self, dispatcher, tracker, domain):
        turn = self.turn(tracker)
        card = await to_thread.run_sync(self.look_up, turn)
        text = self.told(card) if card else self.not_found(turn)
        choices = self.choices(card) if card else (self.person_choice(),)
        self.say(dispatcher, Outbound(text, outcome="answer", topic=self.topic, query_id=card.id if card else None, choices=tuple(choices)))
        return []

    def not_found(self, turn: Turn) -> str:
        """What is said without a query: the same of another family's reference as of one that does not exist."""
        answers = self.services.answers
        return answers.say("query_elsewhere", reference=turn.reference, site=self.services.site) if turn.reference else answers.say("query_none")

    def look_up(self, turn: Turn) -> QueryCard | None:
        """The query that the turn is about, changed as the action wants it."""
        raise NotImplementedError

    def told(self, card: QueryCard) -> str:
        """What the parent is told of it."""
        raise NotImplementedError

    def choices(self, card: QueryCard) -> Sequence[OfferedChoice]:
        """What can be done next."""
        return ()


class QueryStatus(_AboutQuery):
    """`action_query_status`: state, named person, due date, and what comes next."""

    action_name, topic = "action_query_status", "query_status"

    def look_up(self, turn: Turn) -> QueryCard | None:
        return self.services.desk.latest(turn.conversation_id, turn.reference)

    def told(self, card: QueryCard) -> str:
        return self.services.reception.status_words(card)

    def choices(self, card: QueryCard):
        return self.services.reception.status_choices(card)


class QueryChase(_AboutQuery):
    """`action_query_chase`: the lead is told that the parent asked again."""

    action_name, topic = "action_query_chase", "query_chase"

    def look_up(self, turn: Turn) -> QueryCard | None:
        return self.services.desk.chase(turn.conversation_id, turn.seq, turn.reference)

    def told(self, card: QueryCard) -> str:
        return self.services.answers.say("query_chased_late" if card.overdue else "query_chased", **query_words(card))


class QueryNotAnswered(_AboutQuery):
    """`action_query_not_answered`: the query is opened again. Without one, the chat's own answer missed: it asks back first, then a person."""

    action_name, topic = "action_query_not_answered", "query_not_answered"

    async def run(self, dispatcher, tracker, domain):
        turn = self.turn(tracker)
        if await to_thread.run_sync(self.services.desk.latest, turn.conversation_id, turn.reference) is None:
            if likely := self.meant_instead(tracker):
                AskBack(self.services).offer(dispatcher, likely)
                return []
            return await HandOver(self.services).run(dispatcher, tracker, domain)
        return await super().run(dispatcher, tracker, domain)

    def meant_instead(self, tracker: Tracker) -> list[str]:
        """What the message before may have meant instead of the topics that were answered; nothing unless the chat just answered it."""
        users = [place for place, event in enumerate(tracker.events) if event.get("event") == "user"]
        if len(users) < 2:
            return []
        said = [(event.get("data") or {}).get("custom") or {} for event in tracker.events[users[-2] : users[-1]] if event.get("event") == "bot"]
        if not any(message.get("outcome") in ("answer", "check") for message in said):
            return []
        answered = {message.get("topic") for message in said}
        ranking = (tracker.events[users[-2]].get("parse_data") or {}).get("intent_ranking") or ()
        known = [entry["name"] for entry in ranking if entry.get("name") in self.services.topics]
        return [topic for topic in known if topic not in answered and self.services.topics[topic].kind in ("answer", "check", "case")][:3]

    def look_up(self, turn: Turn) -> QueryCard | None:
        return self.services.desk.reopen(turn.conversation_id, turn.seq, turn.reference)

    def told(self, card: QueryCard) -> str:
        return self.services.answers.say("query_reopened", **query_words(card))


class QueryWithdraw(_AboutQuery):
    """`action_query_withdraw`: the parent needs no answer any more; they can open the query again."""

    action_name, topic = "action_query_withdraw", "query_status"

    def look_up(self, turn: Turn) -> QueryCard | None:
        return self.services.desk.withdraw(turn.conversation_id, turn.seq, turn.reference)

    def told(self, card: QueryCard) -> str:
        return self.services.answers.say("query_withdrawn", **query_words(card))

    def choices(self, card: QueryCard):
        return self.services.reception.after_withdrawal(card)


class OfferWithdrawal(SignpostAction):
    """`action_offer_withdrawal`: somebody who stops the chat is told that their open question goes on, and can end it."""

    action_name = "action_offer_withdrawal"

    async def run(self, dispatcher, tracker, domain):
        turn, answers = self.turn(tracker), self.services.answers
        card = await to_thread.run_sync(self.services.desk.latest, turn.conversation_id)
        if card is not None and card.is_open:
            choice = OfferedChoice(answers.say("choice_withdraw"), "query_withdraw")
            self.say(dispatcher, Outbound(answers.say("query_goes_on", **query_words(card)), outcome="talk", query_id=card.id, choices=(choice,)))
        return []
