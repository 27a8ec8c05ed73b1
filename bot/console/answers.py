"""Changes of answers: proposed by one person, approved by another, live at once without training, with their history."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from bot.casework.supervision import Refused
from bot.clock import LONDON, Clock, new_id
from bot.knowledge.answers import Answer, Answers, unwrapped
from bot.knowledge.areas import Area
from bot.store.console import AnswerChange
from bot.store.database import Database
from bot.store.tables import Staff

FIELDS = ("text", "short", "school", "owner")
LONGEST = {"text": 3000, "short": 700, "school": 3000, "owner": 120}
# A wording is read again at least once a year.
REVIEW_AFTER = timedelta(days=365)
LONGEST_SENTENCE = 20
LONGEST_PARAGRAPH = 3
_WORD_IN_BRACES = re.compile(r"\{(\w*)\}")
_QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”]")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Listed:
    """An answer in the list: whether its review is out of date, and whether a change of it waits."""

    answer: Answer
    section: str
    out_of_date: bool
    waits: bool


def wording_of(answer: Answer) -> dict[str, str]:
    """The fields of an answer that staff can change, each paragraph on one line."""
    return {"text": unwrapped(answer.text).strip(), "short": unwrapped(answer.short).strip(), "school": unwrapped(answer.school).strip(), "owner": answer.owner}


class AnswerChanges:
    """Proposes and decides changes, and lets the approved ones stand in for the files. Raises Refused, with the reason in words.

    Parameters
    ----------
    sections: the topic area of each topic.
    never: what no answer may say (`pattern`) and `why`.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        answers: Answers,
        areas: Mapping[str, Area],
        sections: Mapping[str, str],
        never: Sequence[Mapping[str, str]],
    ) -> None:
        self._database, self._clock, self._answers, self._areas = database, clock, answers, areas
        self._sections, self._never = sections, never
        self._applied: Any = None

    def refresh(self) -> bool:
        """Apply what has been approved here or by another app; whether anything was new."""
        with self._database.read() as session:
            newest = session.execute(
                select(func.count(), func.max(AnswerChange.decided_at)).select_from(AnswerChange).where(AnswerChange.state == "approved")
            ).one()
            if self._applied == tuple(newest):
                return False
            approved = session.scalars(select(AnswerChange).where(AnswerChange.state == "approved").order_by(AnswerChange.decided_at))
            latest = {change.topic: change for change in approved}
        self._answers.amend((topic, {**_known(change.becomes), "reviewed_on": _day(change)}) for topic, change in latest.items())
        self._applied = tuple(newest)
        return True

    def listed(self) -> list[Listed]:
        """Every answer, those that are out of date first, then by the day of review."""
        before = self._clock.today() - REVIEW_AFTER
        with self._database.read() as session:
            waiting = set(session.scalars(select(AnswerChange.topic).where(AnswerChange.state == "proposed")))
        made = [Listed(a, self._sections.get(a.topic, ""), a.reviewed_on < before, a.topic in waiting) for a in self._answers]
        return sorted(made, key=lambda each: (not each.waits, not each.out_of_date, each.answer.title))

    def of(self, topic: str) -> Sequence[AnswerChange]:
        """The changes of an answer, newest first."""
        with self._database.read() as session:
            people = (joinedload(AnswerChange.proposer), joinedload(AnswerChange.decider))
            found = select(AnswerChange).options(*people).where(AnswerChange.topic == topic).order_by(AnswerChange.proposed_at.desc())
            return list(session.scalars(found))

    def propose(self, topic: str, given: Mapping[str, str], reason: str, member: Staff) -> str:
        """Propose other wording, or that the wording was reviewed and stays as it is (`given` unchanged); the change's id."""
        answer = self._answers[topic]
        was = wording_of(answer)
        becomes = {name: _tidy(given.get(name, was[name])) for name in FIELDS}
        reason = " ".join(reason.split())
        self._check(answer, becomes)
        if not reason or len(reason) > 400:
            raise Refused("Say why, in up to 400 characters. The second person and the history need it.")
        id = new_id()
        try:
            with self._database.write() as session:
                session.add(
                    AnswerChange(
                        id=id, topic=topic, was=was, becomes=becomes, reason=reason, state="proposed", proposed_by=member.id, proposed_at=self._clock.now()
                    )  # fmt: skip
                )
        except IntegrityError:
            raise Refused("A change of this answer waits already. It has to be decided, or taken back, first.") from None
        return id

    def _check(self, answer: Answer, becomes: Mapping[str, str]) -> None:
        for name, words in (("text", "answer"), ("short", "short answer"), ("owner", "owner")):
            if not becomes[name]:
                raise Refused(f"The {words} must not be empty.")
        for name in FIELDS:
            if len(becomes[name]) > LONGEST[name]:
                raise Refused(f"The {name} is too long: up to {LONGEST[name]:,} characters.")
        known = {"local", "area"} | set.intersection(*(set(area.words) for area in self._areas.values()))
        for name in ("text", "short", "school"):
            for rule in self._never:
                if (found := re.search(rule["pattern"], becomes[name], re.IGNORECASE)) is not None:
                    raise Refused(f"An answer never says “{found[0]}”. {rule['why']}")
            used = set(_WORD_IN_BRACES.findall(becomes[name]))
            if used - known or "{" in _WORD_IN_BRACES.sub("", becomes[name]) or "}" in _WORD_IN_BRACES.sub("", becomes[name]):
                raise Refused(f"{{{', '.join(sorted(used - known))}}} is filled in by nobody. Known words in braces: {', '.join(sorted(known))}.")
            if "local" in used and not (answer.local and answer.without_local):
                raise Refused("{local} is not set for this topic.")
        if "{local}" in answer.text and "{local}" not in becomes["text"]:
            raise Refused("Keep {local} in the answer: there stands what the area itself says.")

    def decide(self, id: str, member: Staff, approved: bool, comment: str = "") -> AnswerChange:
        """Approve or refuse somebody else's change. Approved, it is live at once."""
        with self._database.write() as session:
            change = session.get(AnswerChange, id, with_for_update=True)
            if change is None or change.state != "proposed":
                raise Refused("This change has been decided or taken back already.")
            if change.proposed_by == member.id:
                raise Refused("A second person decides: ask a colleague.")
            if approved and wording_of(self._answers[change.topic]) != change.was:
                raise Refused("The answer has changed since this was proposed. Refuse it, and propose it again from what is live now.")
            change.state = "approved" if approved else "refused"
            change.decided_by, change.decided_at, change.comment = member.id, self._clock.now(), " ".join(comment.split())[:400] or None
        self.refresh()
        return change

    def withdraw(self, id: str, member: Staff) -> AnswerChange:
        """Take one's own change back."""
        with self._database.write() as session:
            change = session.get(AnswerChange, id, with_for_update=True)
            if change is None or change.state != "proposed" or change.proposed_by != member.id:
                raise Refused("There is no change of yours to take back.")
            change.state, change.decided_at = "withdrawn", self._clock.now()
            return change

    def to_export(self) -> dict[str, tuple[dict[str, str], date]]:
        """Answers that are live otherwise than their files say: changed fields and the day of review, by topic."""
        self.refresh()
        made = {}
        for answer in self._answers:
            filed, live = wording_of(self._answers.filed(answer.topic)), wording_of(answer)
            if filed != live or answer.reviewed_on != self._answers.filed(answer.topic).reviewed_on:
                made[answer.topic] = ({name: live[name] for name in FIELDS if live[name] != filed[name]}, answer.reviewed_on)
        return made

    def hints(self, topic: str, wording: Mapping[str, str]) -> list[str]:
        """What the second person should look at: quotations that no cited source has, long sentences and paragraphs."""
        quotes = [" ".join(source.quote.split()).lower() for source in self._answers.sources_of(topic)]
        local = [fact.text.lower() + fact.quote.lower() for area in self._areas.values() for fact in area.facts.values()]
        made = []
        for name in ("text", "short", "school"):
            for quoted in _QUOTED.findall(wording.get(name) or ""):
                plain = " ".join(quoted.split()).lower().rstrip(".,")
                if not any(plain in source for source in [*quotes, *local]):
                    made.append(f"“{quoted}” is in quotation marks, but no source of this answer says exactly that.")
            for paragraph in re.split(r"\n\s*\n", wording.get(name) or ""):
                sentences = [s for s in _SENTENCE.split(paragraph) if s.strip()]
                if len(sentences) > LONGEST_PARAGRAPH and not paragraph.lstrip().startswith("- "):
                    made.append(f"A paragraph has {len(sentences)} sentences; up to {LONGEST_PARAGRAPH} are easy to read: “{paragraph[:60]}…”")
                made += [f"A sentence has {len(s.split())} words; up to {LONGEST_SENTENCE} are easy to read: “{s[:60]}…”" for s in sentences if len(s.split()) > LONGEST_SENTENCE]
        return made


def _known(becomes: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(becomes[name]) for name in FIELDS if name in becomes}


def _day(change: AnswerChange) -> date:
    return change.decided_at.astimezone(LONDON).date()


def _tidy(text: str) -> str:
    """Lines without spaces at their ends, paragraphs one empty line apart."""
    lines = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()
