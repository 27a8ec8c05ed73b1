"""What a guide says: its questions, its result, and the words around them. Messages only; nothing is decided here."""

from __future__ import annotations

import json
from typing import Iterable, Mapping, Sequence

from actions.speaking import Services, Turn, query_words, return_words
from bot.casework.queries import QueryCard
from bot.conversations.outbound import OfferedChoice, Outbound
from bot.knowledge.answers import filled
from bot.knowledge.guides import NOTE_HEADINGS, Facts, Guide, Input, Result, as_note, role_words, told_lines


class GuideWords:
    """The messages of one guide, in the words of a turn's area and role."""

    def __init__(self, services: Services, guide: Guide, turn: Turn) -> None:
        self._services, self._guide, self._turn = services, guide, turn

    def say(self, key: str, **words: str) -> str:
        """A sentence of the system itself."""
        return filled(self._services.answers.say(key, **words), role_words(self._turn.role))

    def question(self, asked: Input, lead: Sequence[str] = (), wording: str = "") -> Outbound:
        """One question, with its values as buttons; `wording` stands in for the question's own."""
        text = filled("\n\n".join([*filter(None, lead), wording or asked.ask_for(self._turn.role)]), self._words())
        choices = tuple(
            OfferedChoice(value.title_for(self._turn.role), self._command(asks=asked.name, value=value.id), value=value.id)
            for value in asked.values.values()
        )
        return Outbound(text, outcome="check", topic=self._guide.topic, choices=choices, asks=asked.name)

    def result(self, result: Result, lead: Sequence[str], card: QueryCard | None) -> Outbound:
        """The result with its working; `card` is the query that was opened for it."""
        headings = [self.say(key) for key in ("guide_told", "guide_contacts", "guide_say")]
        after = ""
        if card is not None:
            back = return_words(self._services.answers, self._services.site, card)
            after = "\n\n".join(filter(None, (self.say("handed_over", **query_words(card)), back)))
        elif result.person == "offer" and not result.closing:
            after = self.say("guide_person")
        text = "\n\n".join([*filter(None, lead), result.as_text(*headings), *filter(None, [after])])
        return Outbound(
            text,
            outcome="check",
            topic=self._guide.topic,
            sources=tuple(s.as_json() for s in result.sources),
            choices=tuple(self._offers(result, card)),
            query_id=card.id if card else None,
            result=result.row,
        )

    def _offers(self, result: Result, card: QueryCard | None) -> Iterable[OfferedChoice]:
        answers = self._services.answers
        if card is None and result.person != "no":
            yield OfferedChoice(answers.say("person"), "talk_to_person", topic="talk_to_person")
        if result.may_dispute:
            yield OfferedChoice(self._guide.inputs["disputed"].values["yes"].title, self._command(asks="disputed", value="yes"))
        for topic in result.offers:
            yield OfferedChoice(answers.title(topic), topic, topic=topic)
        if self._turn.role == "school":
            yield OfferedChoice(self.say("guide_summary_button"), self._command(asks="summary"))
        if result.told:
            yield OfferedChoice(self.say("guide_change_button"), self._command())

    def summary(self, result: Result) -> Outbound:
        """The result as plain text to copy, without anybody's name."""
        text = as_note(result, *(self.say(key) for key in NOTE_HEADINGS))
        return Outbound(text, outcome="check", topic=self._guide.topic, result=result.row, sources=tuple(s.as_json() for s in result.sources))

    def changes(self, facts: Facts) -> Outbound:
        """The answers so far, each with a button that asks it again."""
        role = self._turn.role
        given = [asked for name, asked in self._guide.inputs.items() if asked.asked and name in facts]
        choices = tuple(
            OfferedChoice(filled(f"{asked.ask_for(role)} ({asked.values[facts[asked.name]].title_for(role)})", self._words()), self._command(asks=asked.name))
            for asked in given
        )
        text = self.say("guide_change" if choices else "guide_nothing_to_change")
        return Outbound(text, outcome="check", topic=self._guide.topic, choices=choices)

    def left(self) -> Outbound:
        """The guide is left, its answers kept."""
        return Outbound(self.say("guide_left"), outcome="talk", topic=self._guide.topic, choices=(*self.go_on(), self._person()))

    def go_on(self) -> tuple[OfferedChoice, ...]:
        """The button that goes on with a guide that was left."""
        return (OfferedChoice(self.say("guide_resume"), self._guide.topic, topic=self._guide.topic),)

    def noted(self, heard: Facts) -> str:
        """What was taken from a message, so that it can be put right."""
        return self._listed("guide_noted", heard)

    def changed(self, names: Iterable[str], facts: Facts) -> str:
        """Which answers are now others."""
        return self._listed("guide_changed", {name: facts[name] for name in names})

    def contradiction(self, name: str, facts: Facts) -> str:
        """What was told before, where a message now says something else."""
        return self._listed("guide_contradiction", {name: facts[name]})

    def _listed(self, key: str, facts: Facts) -> str:
        lines = told_lines(self._guide.inputs, facts, self._words())
        return "\n".join([self.say(key), *(f"- {line}" for line in lines)]) if lines else ""

    def _words(self) -> Mapping[str, str]:
        return {**self._turn.area.words, **role_words(self._turn.role)}

    def _person(self) -> OfferedChoice:
        return OfferedChoice(self._services.answers.say("person"), "talk_to_person", topic="talk_to_person")

    def _command(self, **payload: str) -> str:
        return f"{self._guide.name}_answer{json.dumps(payload)}"
