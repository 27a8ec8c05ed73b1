"""A made-up past of the service: conversations and queries in every state, through the same doors that families and staff use.

The clock of this Signpost is moved through eight weeks; nothing is written around casework, so that every event, promise and alert is
what would have come about.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Callable, Sequence

from sqlalchemy import select

from bot.parts import Signpost
from bot.casework.replies import ReplyForm
from bot.casework.supervision import Refused as NotDone
from bot.clock import LONDON, Clock, new_id
from bot.console.examples import Examples
from bot.console.notebook import Notebook
from bot.console.review import Reviews
from bot.console.schools import Schools
from bot.conversations.outbound import Outbound
from bot.conversations.senders import Accepted, Outcome, Part, Refused, Unknown
from bot.knowledge.reading import read_yaml
from bot.settings import ROOT, Settings
from bot.store.cycle import Alert
from bot.store.tables import Conversation, Message, Query, Staff

WEEKS = 8
# how many of 200 queries end up how
SHARES = {
    "new": 12, "started": 18, "asked": 12, "replied": 20, "unread": 8, "refused": 5, "unknown": 2, "partly": 6, "reopened": 10, "to_read": 3,
    "confirmed": 58, "silent": 14, "withdrawn": 12, "closed": 10, "late": 6, "explained": 4,
}  # fmt: skip
BOT_TOPICS = {
    "core_offer_funding": 5, "ehcp_timescales": 5, "sendiass": 3, "private_therapy": 4, "independent_providers": 4, "core_offer_limits": 4, "consent": 3,
    "waiting_time": 5, "core_offer_discharge": 4, "core_offer_return": 3, "ehcp_not_delivered": 4, "ehcp_over_core": 4, "private_report": 2, "equipment": 2,
}  # fmt: skip
OTHER_LANGUAGE = 0.06
# endings whose query needs a certain topic: clinical wording takes a second reader, a body explains what was decided
TOPIC_OF = {"to_read": ("feeding",), "explained": ("explain_decision", "ehcp_over_core", "bounced")}
BOT_ONLY = 1.5
# a chat without a query is kept for a month; what was misread in it waits for a second person so long
MISREAD_WITHIN = timedelta(days=20)


class _Scripted:
    """The demo's Telegram: it refuses, or loses sight of, the conversations that a script names."""

    channel = "telegram"

    def __init__(self) -> None:
        self.refusing: set[str] = set()
        self.losing: set[str] = set()

    def split(self, text: str) -> Sequence[str]:
        return [text]

    async def send(self, part: Part) -> Outcome:
        if part.author == "staff" and part.conversation_id in self.refusing:
            return Refused("the parent has blocked the bot", unreachable=True)
        if part.author == "staff" and part.conversation_id in self.losing:
            return Unknown("no answer from Telegram")
        return Accepted(part.delivery_id[:16])


class HasQueries(Exception):
    """The database holds queries already: a demo is not mixed with what is real."""


class Demo:
    """Plays the past. `random` decides, so the same seed plays the same past."""

    def __init__(self, settings: Settings, queries: int = 215, seed: int = 7) -> None:
        self._end = Clock().now()
        self._now = self._end - timedelta(weeks=WEEKS)
        self._clock = Clock(lambda: self._now)
        self._telegram = _Scripted()
        quiet = replace(settings, undo_seconds=0, smtp_host="", telegram_token="")
        self.signpost = Signpost.build(quiet, self._clock, [self._telegram])
        self._random, self._queries = Random(seed), queries
        self._words = read_yaml(ROOT / "data" / "demo.yml")
        self._examples = _examples()
        self._about = {topic: group for group in self._words["about"] for topic in group["topics"]}
        self._asked_about = {topic: group["topics"][topic]["share"] for topic, group in self._about.items()}
        self._topics: dict[str, str] = {}
        self._urgent = list(self._words["urgent"])
        self._later: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = count()
        parts = (self.signpost.database, self._clock, self.signpost.masker)
        self._notebook, self._schools = Notebook(*parts), Schools(self.signpost.database)
        self._reviews = Reviews(self.signpost.database, self._clock, self.signpost.answers)
        self._proposals = Examples(*parts, self.signpost.topics, ROOT / "data" / "nlu")

    def play(self) -> Counter:
        """Play it all; how many queries there are in each state. Raises HasQueries."""
        database = self.signpost.database
        with database.read() as session:
            if session.scalar(select(Query.id).limit(1)) is not None:
                raise HasQueries
        for area, names in self._words["schools"].items():
            self._schools.add(area, "\n".join(names))
        self._plan()
        asyncio.run(self._run())
        with database.read() as session:
            return Counter(session.scalars(select(Query.state)))

    async def _run(self) -> None:
        while self._later:
            at, _, act = heapq.heappop(self._later)
            if at >= self._end:
                continue
            self._now = max(self._now, at)
            act()
            if self._telegram.refusing or self._telegram.losing:
                await self.signpost.office.worker.round()
            await asyncio.sleep(0)
        self._now = self._end
        await self.signpost.office.worker.round()
        await self.signpost.engine.close()

    def _at(self, at: datetime, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (at, next(self._order), act))

    def _in(self, hours: float, act: Callable[[], None]) -> None:
        """Later by about so many hours, in working time: what staff do."""
        at = self._now + timedelta(hours=hours * self._random.uniform(0.6, 1.4))
        self._at(self._working(at), act)

    def _soon(self, hours: float, act: Callable[[], None]) -> None:
        """Later by about so many hours, at any time: what families do."""
        self._at(self._now + timedelta(hours=hours * self._random.uniform(0.5, 1.5)), act)

    def _working(self, at: datetime) -> datetime:
        calendar, local = self.signpost.office.cycle.calendar("somerset"), at.astimezone(LONDON)
        if local.hour >= 17:
            local = (local + timedelta(days=1)).replace(hour=9)
        local = local.replace(hour=max(9, local.hour))
        while not calendar.is_working_day(local.date()):
            local = (local + timedelta(days=1)).replace(hour=9 + self._random.randrange(6))
        return local

    # the plan

    def _plan(self) -> None:
        whole = sum(SHARES.values())
        endings = [ending for ending, share in SHARES.items() for _ in range(max(1, round(share * self._queries / whole)))][: self._queries]
        endings += ["confirmed"] * (self._queries - len(endings))
        begin = self._now
        for ending in endings:
            self._at(self._asked_at(ending), lambda ending=ending: self._asks(ending))
        for _ in range(round(self._queries * BOT_ONLY)):
            self._at(begin + timedelta(hours=self._random.uniform(1, WEEKS * 168 - 1)), self._chats)
        for unclear in self._words["unclear"]:
            self._at(self._end - self._random.uniform(0.1, 1) * MISREAD_WITHIN, lambda unclear=unclear: self._misread(unclear))
        for day in range(WEEKS * 7):
            morning = (begin + timedelta(days=day)).astimezone(LONDON).replace(hour=8, minute=5)
            self._at(morning, self._round)
        self._at(self._end - timedelta(days=3), self._goes_on_leave)
        self._at(self._end - timedelta(days=2), self._rereads)

    def _goes_on_leave(self) -> None:
        """A lead is away: their deputy has what was theirs."""
        today = self._clock.today()
        self.signpost.office.supervision.add_leave(self._somebody("lead").id, today, today + timedelta(days=9), self._somebody("manager").name)

    def _rereads(self) -> None:
        """Answers were read again: one is confirmed, another waits for a second person."""
        changes, topics = self.signpost.answer_changes, [topic for topic in sorted(self._about) if topic in self.signpost.answers]
        first, second = self._random.sample(topics, 2)
        changes.decide(changes.propose(first, {}, self._words["reread"], self._somebody("lead")), self._somebody("manager"), True)
        changes.propose(second, {}, self._words["reread"], self._somebody("lead"))

    def _asked_at(self, ending: str) -> datetime:
        """When a query was asked, so that there was time for its end."""
        days = {"new": (0.05, 1.5), "started": (0.5, 3), "asked": (2, 8), "replied": (1.5, 6), "unread": (1, 3), "refused": (2, 9), "unknown": (2, 9), "to_read": (0.6, 3),
                "partly": (3.5, 6), "reopened": (3.5, 6), "late": (9, 16), "explained": (3, 9), "silent": (38, 54)}.get(ending, (9, 54))  # fmt: skip
        at = self._end - timedelta(days=self._random.uniform(*days))
        local = at.astimezone(LONDON)
        return local.replace(hour=self._random.choice((7, 8, 9, 10, 11, 12, 13, 15, 16, 18, 19, 20, 21, 22))) if ending != "new" else local

    def _round(self) -> None:
        office = self.signpost.office
        office.worker._beat()
        office.sweep.cover()
        office.sweep.look(10_000)
        office.sweep.daily()
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Staff look at their alerts, most of the time."""
        with self.signpost.database.read() as session:
            waiting = session.execute(select(Alert.id, Staff).join(Staff, Staff.id == Alert.staff_id).where(Alert.acknowledged_at.is_(None))).all()
        for id, member in waiting:
            if self._random.random() < 0.8:
                self.signpost.office.supervision.acknowledge(id, member)

    # families

    def _talk(self, text: str, channel: str = "web") -> tuple[str, Any, str]:
        """A conversation that begins with a question: its id, what was accepted, and its area."""
        area, role = self._random.choice(("somerset", "somerset", "hampshire")), self._random.choice(("parent",) * 5 + ("school",))
        log = self.signpost.log
        if channel == "web":
            conversation, _ = log.start("web", area, role)
        else:
            conversation = log.for_address(channel, str(self._random.randrange(10**8, 10**9)), area, role)
        if self._random.random() < 0.3:
            self._name_school(conversation, area)
        return conversation, log.accept(conversation, new_id(), text), area

    def _name_school(self, conversation: str, area: str) -> None:
        with self.signpost.database.write() as session:
            session.get_one(Conversation, conversation).school = self._random.choice(self._words["schools"][area])

    def _understood(self, topic: str, sure: float) -> dict[str, Any]:
        others = self._random.sample([t for t in BOT_TOPICS if t != topic], 2)
        ranking = [{"name": topic, "confidence": sure}, *({"name": t, "confidence": round(min(sure, 1 - sure) / (2 + i), 3)} for i, t in enumerate(others))]
        return {"intent": ranking[0], "intent_ranking": ranking}

    def _chats(self) -> None:
        """A conversation that the bot deals with alone."""
        topic = _drawn(self._random, BOT_TOPICS)
        conversation, accepted, area = self._talk(self._random.choice(self._examples[topic]), self._random.choice(("web", "web", "web", "telegram")))
        sure = round(self._random.uniform(0.3, 0.98), 2)
        if sure < 0.45:
            said = [Outbound(self.signpost.answers.say("ask_back"), outcome="clarify")]
        else:
            wording = self.signpost.answers.wording(topic, self.signpost.areas[area])
            said = [Outbound(wording.text, outcome="answer", topic=topic, sources=tuple(source.as_json() for source in wording.sources))]
        self.signpost.log.finish(accepted.message_id, said, self._understood(topic, sure))
        self._look_through(conversation)

    def _misread(self, unclear: dict[str, str]) -> None:
        """A message that the bot took for something else: it asks back, and a reviewer says what it was about."""
        conversation, accepted, _ = self._talk(unclear["text"])
        understood = self._understood(unclear["taken_for"], round(self._random.uniform(0.25, 0.44), 2))
        self.signpost.log.finish(accepted.message_id, [Outbound(self.signpost.answers.say("ask_back"), outcome="clarify")], understood)
        self._propose(conversation, accepted.seq, unclear)

    def _look_through(self, conversation: str) -> None:
        reviewer = self._somebody("coordinator")
        if self._random.random() < 0.35:
            self._reviews.mark_reviewed(conversation, reviewer, True)
        elif self._random.random() < 0.06:
            self._reviews.flag(conversation, True)

    def _propose(self, conversation_id: str, seq: int, unclear: dict[str, str]) -> None:
        with self.signpost.database.read() as session:
            conversation = session.get_one(Conversation, conversation_id)
            message = session.scalars(select(Message).where(Message.conversation_id == conversation_id, Message.seq == seq)).one()
        try:
            self._proposals.propose(conversation, message, self._proposals.masked(message.text), unclear["topic"], unclear["taken_for"], self._somebody("lead"))
        except NotDone:
            return

    def _alarms(self) -> None:
        """Somebody writes of danger: they get the emergency lines, and whoever is on call is asked to look."""
        topic = self._urgent.pop()
        urgent = self._words["urgent"][topic]
        conversation, accepted, area = self._talk(urgent["text"])
        card = self.signpost.desk.open(conversation, accepted.seq, reason="urgent", topic=topic, kind="urgent")
        wording = self.signpost.answers.wording(topic, self.signpost.areas[area])
        said = Outbound(wording.text, outcome="urgent", topic=topic, sources=tuple(source.as_json() for source in wording.sources), query_id=card.id)
        self.signpost.log.finish(accepted.message_id, [said], self._understood(topic, 0.97))
        self._notebook.summarise(card.id, urgent["summary"], self._lead(card.id))

    def _asks(self, ending: str) -> None:
        """A question that goes to a person, and what becomes of it."""
        if ending == "new" and self._urgent and self._random.random() < 0.25:
            self._alarms()
            return
        is_telegram = ending in ("refused", "unknown") or self._random.random() < 0.15
        topic = self._random.choice(TOPIC_OF[ending]) if ending in TOPIC_OF else _drawn(self._random, self._asked_about)
        language, text, summaries = self._question(ending, topic)
        is_read = topic == "bounced" or ending in TOPIC_OF or self._random.random() < 0.7
        kind = "priority" if topic == "bounced" else "ordinary"
        conversation, accepted, _ = self._talk(text, "telegram" if is_telegram else "web")
        known = topic if is_read else None
        card = self.signpost.desk.open(conversation, accepted.seq, reason="case" if is_read else "unresolved", topic=known, kind=kind, language=language)
        said = Outbound(self.signpost.answers.say("handed_over", **card.words()), outcome="handoff", topic=known, query_id=card.id)
        sure = round(self._random.uniform(0.5, 0.95) if is_read else self._random.uniform(0.2, 0.44), 2)
        self.signpost.log.finish(accepted.message_id, [said], self._understood(topic, sure))
        self._topics[card.id] = topic
        if ending == "refused":
            self._telegram.refusing.add(conversation)
        if ending == "unknown":
            self._telegram.losing.add(conversation)
        self._keep_notes(card.id, conversation, summaries)
        getattr(self, f"_{ending}")(card.id, conversation)

    def _question(self, ending: str, topic: str) -> tuple[str, str, Sequence[str]]:
        """What is asked: its language, its words, and summaries that fit."""
        if ending not in TOPIC_OF and self._random.random() < OTHER_LANGUAGE:
            language = self._random.choice(list(self._words["languages"]))
            other = self._words["languages"][language]
            return language, other["text"], [other["summary"]]
        return "en", self._random.choice(self._examples[topic]), self._about[topic]["topics"][topic]["summaries"]

    def _keep_notes(self, id: str, conversation: str, summaries: Sequence[str]) -> None:
        member, group = self._lead(id), self._about[self._topics[id]]
        if self._random.random() < 0.35:
            self._notebook.summarise(id, self._random.choice(summaries), member)
        if self._random.random() < 0.4:
            self._notebook.tag(conversation, self._random.choice(group["tags"]), member)
        if self._random.random() < 0.3:
            self._in(20, lambda: self._notebook.add_note(id, self._random.choice(group["notes"]), member))

    # staff

    def _somebody(self, role: str) -> Staff:
        with self.signpost.database.read() as session:
            return self._random.choice(list(session.scalars(select(Staff).where(Staff.role == role, Staff.active).order_by(Staff.name))))

    def _of(self, id: str) -> Query:
        with self.signpost.database.read() as session:
            return session.get_one(Query, id)

    def _lead(self, id: str) -> Staff:
        with self.signpost.database.read() as session:
            return session.get_one(Staff, session.get_one(Query, id).lead_id)

    def _start(self, id: str) -> None:
        query = self._of(id)
        if query.state in ("routed", "reopened", "partly"):
            self.signpost.office.supervision.start(id, query.version, self._lead(id))

    def _write(self, id: str, kind: str = "answer") -> None:
        """The lead replies to every question that is open."""
        replies, query = self.signpost.replies, self._of(id)
        if not query.is_open:
            return
        with self.signpost.database.read() as session:
            read_to = session.get_one(Conversation, query.conversation_id).last_seq
            questions = replies.open_questions(session, id)
        marks = {q.id: self._random.choice(("answered",) * 4 + ("partly",)) for q in questions} if kind == "answer" else {}
        text = self._random.choice(self._about[self._topics[id]]["replies"][kind]).strip()
        replies.send(ReplyForm(id, text, new_id(), read_to, query.version, kind, marks), self._lead(id))

    def _answered(self, id: str, conversation: str, hours: float = 30) -> None:
        """Work begins, then a reply comes that the parent reads."""
        self._in(self._random.choice((2, 6, 20)), lambda: self._start(id))
        self._in(hours + 24, lambda: self._write(id))

    def _reads(self, conversation: str) -> None:
        self.signpost.log.after(conversation, 0)

    def _turn(self, conversation: str, text: str, take: Callable[[int], Any]) -> None:
        """A message of the parent about their query: it is dealt with, and they are told how things stand."""
        accepted = self.signpost.log.accept(conversation, new_id(), text)
        take(accepted.seq)
        self.signpost.log.finish(accepted.message_id, [self.signpost.office.reception.status(conversation)], None)

    def _judges(self, id: str, conversation: str, verdict: str) -> None:
        self._reads(conversation)
        query, desk = self._of(id), self.signpost.desk
        if query.state != "replied":
            return
        if verdict == "no":
            words = self._random.choice(self._words["parents"]["disagrees"])
            self._turn(conversation, words, lambda seq: desk.reopen(conversation, seq, query.reference))
        else:
            words = self.signpost.answers.say(f"verdict_{verdict}")
            self._turn(conversation, words, lambda seq: desk.verdict(conversation, seq, id, verdict))

    # the endings

    def _new(self, id: str, conversation: str) -> None:
        pass

    def _started(self, id: str, conversation: str) -> None:
        self._in(4, lambda: self._start(id))
        if self._random.random() < 0.4:
            self._in(16, lambda: self._write(id, "update"))

    def _late(self, id: str, conversation: str) -> None:
        if self._random.random() < 0.5:
            self._in(30, lambda: self._start(id))
        words = self._random.choice(self._words["parents"]["again"])
        self._soon(170, lambda: self._turn(conversation, words, lambda seq: self.signpost.desk.chase(conversation, seq)))

    def _asked(self, id: str, conversation: str) -> None:
        self._in(8, lambda: self._write(id, "ask"))
        self._soon(30, lambda: self._reads(conversation))

    def _replied(self, id: str, conversation: str) -> None:
        self._in(10, lambda: self._write(id))
        self._soon(26, lambda: self._reads(conversation))

    def _unread(self, id: str, conversation: str) -> None:
        self._in(8, lambda: self._write(id))

    def _refused(self, id: str, conversation: str) -> None:
        self._in(20, lambda: self._write(id))

    _unknown = _refused

    def _to_read(self, id: str, conversation: str) -> None:
        self._in(5, lambda: self._write(id))

    def _explained(self, id: str, conversation: str) -> None:
        self._in(6, lambda: self._start(id))
        self._in(12, lambda: self.signpost.office.supervision.ask_to_explain(id, "council", self._about[self._topics[id]]["explain"], self._lead(id)))

    def _confirmed(self, id: str, conversation: str) -> None:
        hours = self._random.choice((12, 20, 30, 60, 100))
        self._answered(id, conversation, hours)
        if self._random.random() < 0.12:
            self._in(6, lambda: self._move_promise(id))
        self._soon(hours + 100, lambda: self._reads(conversation))
        self._soon(hours + 160, lambda: self._judges(id, conversation, "yes"))

    def _move_promise(self, id: str) -> None:
        calendar, query = self.signpost.office.cycle.calendar("somerset"), self._of(id)
        self.signpost.office.supervision.change_promise(id, calendar.due(query.due_on, 3), self._words["promise_reason"], self._lead(id))

    def _partly(self, id: str, conversation: str) -> None:
        self._in(8, lambda: self._write(id))
        self._soon(60, lambda: self._judges(id, conversation, "partly"))

    def _reopened(self, id: str, conversation: str) -> None:
        self._in(8, lambda: self._write(id))
        self._soon(60, lambda: self._judges(id, conversation, "no"))

    def _silent(self, id: str, conversation: str) -> None:
        self._in(10, lambda: self._write(id))
        self._soon(40, lambda: self._reads(conversation))

    def _withdrawn(self, id: str, conversation: str) -> None:
        self._soon(40, lambda: self._turn(conversation, self._words["parents"]["settled"], lambda seq: self.signpost.desk.withdraw(conversation, seq)))

    def _closed(self, id: str, conversation: str) -> None:
        self._in(10, lambda: self._write(id))
        self._soon(50, lambda: self._reads(conversation))
        self._in(110, lambda: self._close(id))

    def _close(self, id: str) -> None:
        try:
            self.signpost.office.supervision.close(id, self._words["close_reason"], self._somebody("manager"))
        except NotDone:
            return


def fill(settings: Settings, queries: int = 215) -> Counter:
    """Fill an empty database with a made-up past; how many queries there are in each state. Raises HasQueries."""
    return Demo(settings, queries).play()


def _examples() -> dict[str, list[str]]:
    """What people ask on each topic, of some length."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "data" / "nlu").glob("*.yml")):
        for entry in read_yaml(path)["nlu"]:
            lines = [line.removeprefix("- ") for line in entry["examples"].splitlines()]
            found[entry["intent"]] = [line for line in lines if len(line.split()) > 7] or lines
    return found


def _drawn(random: Random, shares: dict[str, int]) -> str:
    return random.choices(list(shares), list(shares.values()))[0]
