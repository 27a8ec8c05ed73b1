"""Reports: what is asked, what is not answered, how soon people answer, what families say of it. Counts only, and none under five."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from statistics import median, quantiles
from typing import Any, Callable, Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, and_, exists, func, select, true
from sqlalchemy.orm import Session

from bot.casework.promises import WorkingDays
from bot.clock import LONDON, Clock
from bot.console.access import in_areas
from bot.console.figures import Figure, Series, counts, share_sentence, total
from bot.console.languages import LANGUAGES
from bot.knowledge.answers import Answers
from bot.knowledge.areas import Area
from bot.store.cycle import Promise
from bot.store.database import Database
from bot.store.privacy import Statistic
from bot.store.tables import Conversation, Message, Query, QueryEvent, Reply, Staff

MOST_TOPICS = 15
LONGEST_DAILY = 62
# with few conversations a day most days would be hidden, so that weeks tell more
FEWEST_WEEKLY, BUSY_DAY = 14, 20
OFFICE_FROM, OFFICE_TO = 9, 17
CHANNELS = {"web": "Web chat", "telegram": "Telegram"}
OUTCOMES = {"answer": "Answered", "check": "Answered by a guide", "clarify": "Asked back", "handoff": "Passed to a person", "urgent": "Emergency lines given", "out": "Out of scope", "talk": "Small talk"}  # fmt: skip
ANSWERED = ("answer", "check")
VERDICTS = {"confirmed": "Yes, answered", "partly": "Partly answered", "reopened": "No: reopened", "silent": "No verdict given", "withdrawn": "Taken back by the parent", "closed_by_manager": "Closed by a manager"}  # fmt: skip
WAITS = ((0, "The same day"), (1, "The next day"), (3, "2 or 3 days"), (7, "4 to 7 days"), (14, "8 to 14 days"))
LONGER = "More than 14 days"
# topics that families ask about because nobody gives the therapy: more than core, or from somebody else
UNMET = ("ehcp_over_core", "core_offer_limits", "ehcp_not_assessed_by_service", "ehcp_not_delivered", "private_therapy", "private_report", "independent_providers", "personal_budget", "school_bought_therapy")  # fmt: skip


@dataclass(frozen=True)
class Span:
    """The days of a report, both included, and its area (empty: all that the reader may see)."""

    first: date
    last: date
    area: str = ""

    @classmethod
    def read(cls, asked: Mapping[str, str], today: date, areas: Iterable[str]) -> "Span":
        """From an address: `month` (2026-11), or `first` and `last`; else the last four weeks."""
        area = asked.get("area", "")
        area = area if area in areas else ""
        month = asked.get("month", "")
        try:
            begin = date.fromisoformat(f"{month}-01")
            return cls(begin, _month_end(begin), area)
        except ValueError:
            pass
        try:
            first, last = date.fromisoformat(asked.get("first", "")), date.fromisoformat(asked.get("last", ""))
        except ValueError:
            return cls(today - timedelta(days=27), today, area)
        return cls(min(first, last), max(first, min(last, first + timedelta(days=730))), area)

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    @property
    def begins(self) -> datetime:
        """Its first moment in England."""
        return datetime.combine(self.first, time(), LONDON)

    @property
    def ends(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last + timedelta(days=1), time(), LONDON)

    def within(self, column) -> ColumnElement[bool]:
        """Whether a moment is in it, as a condition."""
        return and_(column >= self.begins, column < self.ends)


def _month_end(begin: date) -> date:
    return (begin.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


class Reports:
    """Counts for people who lead and pay for the service. Every figure is scoped to the areas of who reads it."""

    def __init__(self, database: Database, clock: Clock, answers: Answers, areas: Mapping[str, Area]) -> None:
        self._database, self._clock, self._answers, self._areas = database, clock, answers, areas

    def figures(self, member: Staff, span: Span) -> list[Figure]:
        """Every figure of a report."""
        with self._database.read() as session:
            scope = _Scope(session, member, span)
            made: list[Callable[[_Scope], Figure]] = [
                self._conversations, self._outcomes, self._topics, self._passed_on, self._waits, self._promises, self._verdicts,
                self._hours, self._languages, self._unmet, self._urgent, self._by_area,
            ]  # fmt: skip
            return [_told(make(scope)) for make in made]

    def figure(self, member: Staff, span: Span, id: str) -> Figure | None:
        """One figure by its id."""
        return next((figure for figure in self.figures(member, span) if figure.id == id), None)

    def _title(self, topic: str | None) -> str:
        return self._answers.title(topic) if topic and topic in self._answers else "No topic" if not topic else topic.replace("_", " ").capitalize()

    def _conversations(self, scope: "_Scope") -> Figure:
        spoken = exists().where(Message.conversation_id == Conversation.id, Message.author == "parent")
        begun = scope.rows(select(Conversation.created_at, Conversation.channel).where(scope.conversations, scope.span.within(Conversation.created_at), spoken))
        by_week = scope.span.days > LONGEST_DAILY or scope.span.days >= FEWEST_WEEKLY and len(begun) < BUSY_DAY * scope.span.days
        slots = _slots(scope.span, by_week)
        number = Counter((channel, _slot(at.astimezone(LONDON).date(), scope.span, by_week)) for at, channel in begun)
        channels = [channel for channel in CHANNELS if any(c == channel for c, _ in number)] or ["web"]
        series = [Series(CHANNELS[c], counts([number[c, slot] for slot in slots])) for c in channels]
        before = scope.statistics("conversations")
        finding = f"{_many(len(begun) + sum(before.values()), 'conversation')} began, {_each(len(begun), scope.span)}."
        note = "Conversations that were deleted since are in the sum, and not in the chart." if before else ""
        return Figure("conversations", "Conversations", finding, "Week from" if by_week else "Day", [_short(slot) for slot in slots], series, "columns", note)

    def _outcomes(self, scope: "_Scope") -> Figure:
        number = scope.messages(Message.outcome) + scope.statistics("outcomes")
        rows = [outcome for outcome in OUTCOMES if number[outcome]]
        asked = sum(number[o] for o in OUTCOMES if o != "talk")
        answered = sum(number[o] for o in ANSWERED)
        by_bot = share_sentence(answered, asked, "{share} of what was asked was answered by the bot.", "Nothing was asked.")
        finding = by_bot + (" " + share_sentence(number["handoff"], asked, "{share} was passed to a person.", "") if asked else "")
        return _bars("outcomes", "What became of questions", finding, "What became of it", [OUTCOMES[o] for o in rows], {"Messages": [number[o] for o in rows]})

    def _topics(self, scope: "_Scope") -> Figure:
        asked = scope.messages(Message.topic, Message.outcome.in_((*ANSWERED, "handoff", "out", "urgent"))) + scope.statistics("topics")
        passed = scope.messages(Message.topic, Message.outcome == "handoff")
        top = [topic for topic, _ in asked.most_common(MOST_TOPICS)]
        answered = [max(0, asked[t] - passed[t]) for t in top]
        finding = f"Most asked about: {_named(self._title(t).rstrip('?.') for t in top[:3])}." if top else "Nothing was asked."
        return _bars("topics", "What is asked", finding, "Topic", [self._title(t) for t in top], {"Answered by the bot": answered, "Passed to a person": [passed[t] for t in top]})  # fmt: skip

    def _passed_on(self, scope: "_Scope") -> Figure:
        number = scope.queries(Query.topic)
        unresolved = scope.queries(Query.topic, Query.reason == "unresolved")
        top = [topic for topic, _ in number.most_common(MOST_TOPICS)]
        finding = f"{_many(sum(number.values()), 'question')} went to a person; in {_plain(sum(unresolved.values()))} of them the bot had no answer."
        rows = {"The bot had no answer": [unresolved[t] for t in top], "For a person anyway": [number[t] - unresolved[t] for t in top]}
        return _bars("not-answered", "What the bot could not answer alone", finding, "Topic", [self._title(t) for t in top], rows)

    def _waits(self, scope: "_Scope") -> Figure:
        waits = [answered - asked for asked, answered, _ in scope.answered() if answered is not None]
        number = Counter(_wait(wait.days) for wait in waits)
        open_now = sum(answered is None for _, answered, _ in scope.answered())
        rows = [*(name for _, name in WAITS), LONGER, "Not answered yet"]
        number["Not answered yet"] = open_now
        finding = "No question to a person has been answered yet."
        if len(waits) >= 5:
            days = [wait / timedelta(days=1) for wait in waits]
            finding = f"Half of the questions to a person had their answer within {median(days):.1f} days, nine in ten within {quantiles(days, n=10)[-1]:.1f} days."
        elif waits:
            finding = "Too few questions to a person were answered to say how long it takes."
        return _bars("time-to-answer", "Time to the first answer of a person", finding, "Answer reached the family", rows, {"Questions": [number[r] for r in rows]})

    def _promises(self, scope: "_Scope") -> Figure:
        today = self._clock.today()
        kept = late = coming = 0
        for _, answered, due_on in scope.answered():
            if answered is not None:
                on_time = answered.astimezone(LONDON).date() <= due_on
                kept, late = kept + on_time, late + (not on_time)
            elif due_on < today:
                late += 1
            else:
                coming += 1
        finding = share_sentence(kept, kept + late, "{share} of the answers that were due came by the first day that was promised.", "No answer was due yet.")
        rows = {"Questions": [kept, late, coming]}
        return _bars("promises", "Promises", finding, "First promised day", ["Kept", "Broken", "Still to come"], rows)

    def _verdicts(self, scope: "_Scope") -> Figure:
        happened = scope.events(tuple(VERDICTS))
        said = [v for v in VERDICTS if happened[v] or v in ("confirmed", "reopened")]
        judged = happened["confirmed"] + happened["partly"] + happened["reopened"]
        answered = share_sentence(happened["confirmed"], judged, "{share} of the families who gave a verdict said that the reply answered.", "No family gave a verdict.")
        finding = answered + (" " + share_sentence(happened["reopened"], judged, "{share} had the question opened again.", "") if judged else "")
        return _bars("verdicts", "What families said of replies", finding, "Verdict", [VERDICTS[v] for v in said], {"Times": [happened[v] for v in said]})

    def _hours(self, scope: "_Scope") -> Figure:
        calendar = WorkingDays()
        number: Counter[str] = Counter()
        for (at,) in scope.rows(select(Message.at).join(Conversation).where(scope.conversations, scope.span.within(Message.at), Message.author == "parent")):
            local = at.astimezone(LONDON)
            if not calendar.is_working_day(local.date()):
                number["Weekends and bank holidays"] += 1
            else:
                number["In office hours" if OFFICE_FROM <= local.hour < OFFICE_TO else "Mornings before 9" if local.hour < OFFICE_FROM else "Evenings after 5"] += 1
        rows = ["In office hours", "Mornings before 9", "Evenings after 5", "Weekends and bank holidays"]
        everything = sum(number.values())
        outside = "{share} of families' messages came outside office hours (Monday to Friday, 9am to 5pm)."
        finding = share_sentence(everything - number[rows[0]], everything, outside, "Nobody wrote.")
        return _bars("hours", "When families write", finding, "When", rows, {"Messages": [number[r] for r in rows]})

    def _languages(self, scope: "_Scope") -> Figure:
        number = scope.queries(Query.language)
        rows = [language for language, _ in number.most_common()]
        others = sum(n for language, n in number.items() if language != "en")
        finding = share_sentence(others, sum(number.values()), "{share} of questions to a person were in another language than English.", "Nothing was asked of a person.")
        return _bars("languages", "Languages of questions to a person", finding, "Language", [LANGUAGES.get(r, r) for r in rows], {"Questions": [number[r] for r in rows]})

    def _unmet(self, scope: "_Scope") -> Figure:
        number = scope.messages(Message.topic, Message.topic.in_(UNMET)) + Counter({t: n for t, n in scope.statistics("topics").items() if t in UNMET})
        rows = [topic for topic, _ in number.most_common() if topic]
        finding = f"{_many(sum(number.values()), 'time')} families or schools asked about therapy beyond the core offer, or from independent providers."
        note = "These topics show demand that no part of the service meets. Signpost gives the source's answer and names no provider."
        return _bars("unmet", "Demand that nobody meets", finding, "Topic", [self._title(r) for r in rows], {"Times asked": [number[r] for r in rows]}, note)

    def _urgent(self, scope: "_Scope") -> Figure:
        number = scope.messages(Message.topic, Message.outcome == "urgent")
        rows = [topic for topic, _ in number.most_common()]
        finding = f"Emergency lines were shown {_many(sum(number.values()), 'time')}." if number else "Emergency lines were not shown."
        return _bars("urgent", "Emergency lines shown", finding, "Topic", [self._title(r) for r in rows], {"Times": [number[r] for r in rows]})

    def _by_area(self, scope: "_Scope") -> Figure:
        number, unresolved = scope.queries(Query.area), scope.queries(Query.area, Query.reason == "unresolved")
        passed = [area for area, _ in number.most_common()]
        begun = Counter({area: n for area, n in scope.rows(
            select(Conversation.area, func.count()).where(scope.conversations, scope.span.within(Conversation.created_at)).group_by(Conversation.area)
        )})  # fmt: skip
        rows = list(dict.fromkeys([*passed, *(area for area, _ in begun.most_common())]))
        names = [self._areas[r].name if r in self._areas else "No area named" if not r else r for r in rows]
        finding = f"Questions came from {_named(name for name in names)}." if rows else "Nothing was asked."
        columns = {"Conversations": begun, "Questions to a person": number, "The bot had no answer": unresolved}
        return Figure("areas", "Areas", finding, "Area", names, [Series(name, counts([of[r] for r in rows])) for name, of in columns.items()], "table")


class _Scope:
    """One reader's part of the log in a span, counted in the database where it can be."""

    def __init__(self, session: Session, member: Staff, span: Span) -> None:
        self._session, self.span = session, span
        chosen = Conversation.area == span.area if span.area else true()
        self.conversations = and_(in_areas(member, Conversation.area), chosen)
        self._of_queries = and_(in_areas(member, Query.area), Query.area == span.area if span.area else true())
        self._of_statistics = and_(in_areas(member, Statistic.area), Statistic.area == span.area if span.area else true())
        self._answered: list[Any] | None = None

    def rows(self, statement) -> list[Any]:
        """Every row of a statement."""
        return list(self._session.execute(statement))

    def messages(self, column, *conditions) -> Counter:
        """What the bot said in the span, counted by a column."""
        said = select(column, func.count()).join(Conversation, Conversation.id == Message.conversation_id)
        said = said.where(self.conversations, self.span.within(Message.at), column.is_not(None), Message.author == "assistant", *conditions)
        return Counter(dict(self._session.execute(said.group_by(column)).all()))

    def queries(self, column, *conditions) -> Counter:
        """Queries asked in the span, counted by a column."""
        asked = select(column, func.count()).where(self._of_queries, self.span.within(Query.asked_at), *conditions).group_by(column)
        return Counter(dict(self._session.execute(asked).all()))

    def events(self, kinds: Sequence[str]) -> Counter:
        """What happened to queries in the span, by kind."""
        happened = select(QueryEvent.kind, func.count()).join(Query, Query.id == QueryEvent.query_id)
        happened = happened.where(self._of_queries, self.span.within(QueryEvent.at), QueryEvent.kind.in_(kinds)).group_by(QueryEvent.kind)
        return Counter(dict(self._session.execute(happened).all()))

    def answered(self) -> list[tuple[datetime, datetime | None, date]]:
        """Queries asked in the span: when, when the first answer reached the family if it has, and the first promised day."""
        if self._answered is None:
            first = select(Reply.query_id, func.min(Reply.delivered_at).label("at")).where(Reply.kind == "answer", Reply.delivered_at.is_not(None))
            first = first.group_by(Reply.query_id).subquery()
            promised = and_(Promise.query_id == Query.id, Promise.no == 1)
            asked = select(Query.asked_at, first.c.at, Promise.due_on).outerjoin(first, first.c.query_id == Query.id).join(Promise, promised)
            # what a family took back is nobody's to answer
            asked = asked.where(self._of_queries, self.span.within(Query.asked_at), (Query.state != "withdrawn") | first.c.at.is_not(None))
            self._answered = [tuple(row) for row in self._session.execute(asked)]
        return self._answered

    def statistics(self, measure: str) -> Counter:
        """Counts of what was deleted since, of the whole months in the span."""
        begins = self.span.first if self.span.first.day == 1 else (self.span.first.replace(day=28) + timedelta(days=4)).replace(day=1)
        kept = select(Statistic.month, Statistic.of, Statistic.number).where(self._of_statistics, Statistic.measure == measure, Statistic.month >= begins)
        made: Counter[str] = Counter()
        for month, of, number in self._session.execute(kept):
            if _month_end(month) <= self.span.last:
                made[of] += number
        return made


def _told(figure: Figure) -> Figure:
    """The figure with its sentence begun by a capital letter: many begin with a number in words."""
    return replace(figure, finding=figure.finding[:1].upper() + figure.finding[1:])


def _bars(id: str, title: str, finding: str, unit: str, rows: Sequence[str], columns: Mapping[str, Sequence[int]], note: str = "") -> Figure:
    return Figure(id, title, finding, unit, rows, [Series(name, counts(numbers)) for name, numbers in columns.items()], "bars", note)


def _slots(span: Span, by_week: bool) -> list[date]:
    return [span.first + timedelta(days=i) for i in range(0, span.days, 7 if by_week else 1)]


def _slot(day: date, span: Span, by_week: bool) -> date:
    return day - timedelta(days=(day - span.first).days % 7) if by_week else day


def _wait(days: int) -> str:
    return next((name for most, name in WAITS if days <= most), LONGER)


def _short(day: date) -> str:
    return f"{day:%a %-d %b}"


def _plain(number: int) -> str:
    return total([number]).words


def _many(number: int, thing: str) -> str:
    return f"{_plain(number)} {thing}s"  # never the singular: it would tell a hidden 1


def _each(number: int, span: Span) -> str:
    return f"about {number / span.days:.0f} a day" if number >= 5 * span.days else f"in {span.days} days"


def _named(titles: Iterable[str]) -> str:
    return "; ".join(titles)


