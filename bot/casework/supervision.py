"""What staff do with queries besides replying: start, hand on, change the promise, give back to the bot, ask a body, close, mend delivery."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Mapping

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from bot.casework.cycle import Cycle
from bot.casework.routing import NobodyToAsk, is_awake
from bot.clock import new_id
from bot.store.cycle import Alert, Delivery, Explanation, Leave
from bot.store.states import TRANSITIONS, NotAllowed
from bot.store.tables import Conversation, Draft, Message, Query, Reply, Staff

BODIES = ("council", "icb", "service", "school")
LONGEST_TEXT = 4000


class Refused(Exception):
    """Something was not done; the message says why in words for staff."""


class Supervision:
    """Changes by staff. Each takes the `version` of the page it came from where a change since then matters; raises Refused."""

    def __init__(self, cycle: Cycle) -> None:
        self._cycle, self._database, self._clock = cycle, cycle.database, cycle.clock

    def _open_query(self, session: Session, query_id: str, version: int | None = None) -> Query:
        query = self._cycle.locked(session, query_id)
        if version is not None and query.version != version:
            raise NotAllowed("the query has changed")
        if not query.is_open:
            raise Refused("This query has ended. The parent can open it again.")
        return query

    def start(self, query_id: str, version: int, member: Staff) -> None:
        """Work has begun: this person has the conversation, the bot is quiet. Raises NotAllowed if the query has changed."""
        with self._database.write() as session:
            query = self._cycle.locked(session, query_id)
            if query.version != version:
                raise NotAllowed("the query has changed")
            self._cycle.move(session, query, "in_progress", member.name)
            self._cycle.acknowledge(session, query, member)
            self._cycle.hold(session, query)

    def take_conversation(self, query_id: str, member: Staff) -> None:
        """A person has the conversation again after it was given back to the bot."""
        with self._database.write() as session:
            query = self._open_query(session, query_id)
            self._cycle.hold(session, query)
            self._cycle.acknowledge(session, query, member)
            self._cycle.record(session, query, "held", member.name)

    def hand_back(self, query_id: str, member: Staff) -> None:
        """The bot answers again; the query stays with its lead, and the parent is told both."""
        with self._database.write() as session:
            query = self._open_query(session, query_id)
            if self._cycle.release_hold(session, query):
                self._cycle.record(session, query, "back_to_bot", member.name)
                self._cycle.tell(session, query, "handed_back")

    def hand_over(self, query_id: str, to_id: str, reason: str, member: Staff, from_id: str = "") -> None:
        """Give a query with its history to another named person; the parent is told the name.

        Refused if it is not with `from_id` any more (the lead on the page that the form was on).
        """
        with self._database.write() as session:
            query = self._open_query(session, query_id)
            if from_id and query.lead_id != from_id:
                raise Refused(f"Meanwhile this query went to {query.lead.name}. Nothing was changed now.")
            to = session.get(Staff, to_id)
            if to is None or not is_awake(to, self._clock.today(), self._cycle.away(session)) or to.role == "auditor":
                raise Refused("Choose somebody who is at work and who answers parents.")
            if to.areas and query.area not in to.areas:
                raise Refused(f"{to.name} does not work in this area.")
            if to.id == query.lead_id:
                raise Refused(f"{to.name} has this query already.")
            self._cycle.pass_to(session, query, to, reason.strip()[:400] or "handed over", member.name)

    def change_promise(self, query_id: str, due_on: date, reason: str, member: Staff, was: date | None = None) -> None:
        """Promise another day. It needs a reason, which the parent is told with the day.

        Refused if another day than `was` is promised by now (the day on the page that the form was on).
        """
        reason = reason.strip()
        if not reason:
            raise Refused("Give the reason. The parent is told it.")
        if len(reason) > 300:
            raise Refused("The reason is too long. Use up to 300 characters.")
        with self._database.write() as session:
            query = self._open_query(session, query_id)
            if was is not None and query.due_on != was:
                raise Refused(f"Meanwhile somebody has promised {query.due_on:%A %-d %B %Y}. Nothing was changed now.")
            if due_on < self._clock.today():
                raise Refused("Choose today or a later day.")
            if due_on > self._clock.today() + timedelta(days=90):
                raise Refused("Choose a day within the next 90 days.")
            if not self._cycle.calendar(query.area).is_working_day(due_on):
                raise Refused("That is not a working day. Choose another.")
            self._cycle.promise(session, query, due_on, reason, member.name)
            self._cycle.tell_promise(session, query, "promise_changed", reason=reason.rstrip("."))

    def acknowledge(self, alert_id: str, member: Staff) -> None:
        """A human has seen an alert."""
        with self._database.write() as session:
            alert = session.get(Alert, alert_id)
            if alert is None or alert.staff_id != member.id and member.role != "manager":
                raise Refused("This alert is not for you.")
            if alert.acknowledged_at is None:
                alert.acknowledged_at, alert.acknowledged_by = self._clock.now(), member.id
                if alert.query_id is not None:
                    query = self._cycle.locked(session, alert.query_id)
                    if query.acknowledged_at is None and alert.kind in ("new", "urgent", "unread", "passed_on", "reopened"):
                        query.acknowledged_at = self._clock.now()
                    self._cycle.record(session, query, "acknowledged", member.name, {"alert": alert.kind})
                    self._cycle.look_again(session, query)

    def close(self, query_id: str, reason: str, member: Staff, duplicate_of: str = "") -> None:
        """A manager ends a query with a reason, which the parent is told.

        Refused while the parent waits for something: an undelivered reply, or a message that no reply has answered; except for a
        duplicate of another query of the same conversation (`duplicate_of`, its reference).
        """
        reason = reason.strip()
        if member.role != "manager":
            raise Refused("Only a manager can close a query.")
        if not reason or len(reason) > 300:
            raise Refused("Give the reason in up to 300 characters. The parent is told it.")
        with self._database.write() as session:
            query = self._open_query(session, query_id)
            if duplicate_of:
                other = session.scalar(select(Query).where(Query.reference == duplicate_of.strip().upper(), Query.conversation_id == query.conversation_id, Query.id != query.id))
                if other is None:
                    raise Refused("There is no other query with that reference in this chat.")
            elif missing := self.missing_to_close(session, query):
                raise Refused(missing)
            query.ended_reason = reason
            self._cycle.move(session, query, "closed_by_manager", member.name, {"reason": reason, "duplicate_of": duplicate_of})
            self._cycle.tell(session, query, "closed_told", reason=reason.rstrip("."))

    def missing_to_close(self, session: Session, query: Query) -> str:
        """What stands against closing a query, in words for staff; nothing if the evidence is there."""
        if query.answered_at is None:
            return "The parent has not had a reply to this yet, or it has not reached them. Reply first."
        if self._unanswered(session, query):
            return "The parent has written since the last reply. Answer that first."
        return ""

    @staticmethod
    def _unanswered(session: Session, query: Query) -> bool:
        newest = select(Message.seq).join(Reply, Reply.message_id == Message.id).where(Reply.query_id == query.id).order_by(Message.seq.desc()).limit(1)
        read_to = session.scalar(newest) or query.asked_seq
        later = select(Message.id).where(Message.conversation_id == query.conversation_id, Message.author == "parent", Message.seq > read_to)
        return session.scalar(later.limit(1)) is not None

    # explanation requests (H-T2-R6)

    def ask_to_explain(self, query_id: str, body: str, text: str, member: Staff, address: str = "", due_on: date | None = None) -> str:
        """Ask a body to explain a decision; the request's id. It is e-mailed where there is an address, and the parent is told."""
        text, address = text.strip(), address.strip()
        if body not in BODIES:
            raise Refused("Choose who is asked to explain.")
        if not text or len(text) > LONGEST_TEXT:
            raise Refused(f"Write what has to be explained, in up to {LONGEST_TEXT} characters.")
        if address and ("@" not in address or any(c.isspace() for c in address) or len(address) > 255):
            raise Refused("That is not an email address.")
        with self._database.write() as session:
            query = self._open_query(session, query_id)
            due_on = due_on or self._cycle.calendar(query.area).due(self._clock.today(), self._cycle.policy.explanation_days)
            if due_on <= self._clock.today() or due_on > self._clock.today() + timedelta(days=90):
                raise Refused("Choose a day within the next 90 days.")
            request = Explanation(
                id=new_id(), query_id=query.id, body=body, address=address or None, text=text, due_on=due_on, state="asked", asked_by=member.id, asked_at=self._clock.now(), reminders=0
            )  # fmt: skip
            session.add(request)
            session.flush()
            query.next_look_at = self._clock.now()
            self._cycle.record(session, query, "explanation_asked", member.name, {"body": body, "due_on": due_on.isoformat(), "request": request.id})
            self._cycle.tell(session, query, "explanation_asked", body=self._cycle.answers.say(f"body_{body}"), body_due_on=f"{due_on:%A %-d %B %Y}")
            self._cycle.write_to_body(session, query, request, "explanation_mail")
            return request.id

    def record_answer(self, request_id: str, answer: str, member: Staff) -> None:
        """What a body answered. It is put into the lead's draft, since it becomes part of the reply; the parent is told that it came."""
        answer = answer.strip()
        if not answer or len(answer) > LONGEST_TEXT:
            raise Refused(f"Write what was answered, in up to {LONGEST_TEXT} characters.")
        with self._database.write() as session:
            query = self._open_query(session, session.get_one(Explanation, request_id).query_id)
            request = session.get_one(Explanation, request_id, with_for_update=True)
            if request.state != "asked":
                raise Refused("This request has ended already.")
            request.state, request.answer, request.ended_at = "answered", answer, self._clock.now()
            query.next_look_at = self._clock.now()
            body = self._cycle.answers.say(f"body_{request.body}")
            self._cycle.record(session, query, "explanation_answered", member.name, {"body": request.body, "request": request.id})
            self._cycle.tell(session, query, "explanation_answered", body=body)
            draft = session.get(Draft, (query.id, query.lead_id))
            quoted = f"{self._cycle.answers.say('explanation_quoted', body=body)}\n\n{answer}"
            text = f"{draft.text}\n\n{quoted}" if draft and draft.text.strip() else quoted
            session.merge(Draft(query_id=query.id, staff_id=query.lead_id, text=text, at=self._clock.now()))
            if query.lead_id != member.id:
                self._cycle.alert(session, query, "explanation_answered", about=request.id)

    def withdraw_request(self, request_id: str, member: Staff) -> None:
        """The body need not explain any more."""
        with self._database.write() as session:
            query = self._cycle.locked(session, session.get_one(Explanation, request_id).query_id)
            request = session.get_one(Explanation, request_id, with_for_update=True)
            if request.state == "asked":
                request.state, request.ended_at = "withdrawn", self._clock.now()
                self._cycle.record(session, query, "explanation_withdrawn", member.name, {"body": request.body})

    # deliveries that went wrong

    def send_again(self, delivery_id: str, member: Staff) -> None:
        """Somebody decided that a part which was refused, or of which nobody knows, is sent again."""
        with self._database.write() as session:
            if not self._cycle.deliveries.again(session, delivery_id):
                raise Refused("This has been delivered meanwhile, is being sent, or an earlier part of the message has to be decided first.")
            delivery = session.get_one(Delivery, delivery_id)
            if delivery.query_id is not None:
                self._cycle.record(session, self._cycle.locked(session, delivery.query_id), "sent_again", member.name, {"delivery": delivery_id})

    def reached_otherwise(self, query_id: str, message_id: str, how: str, member: Staff) -> None:
        """The parent has the message by another way (`how`: by phone, by letter); it counts as delivered."""
        how = how.strip()[:100]
        if not how:
            raise Refused("Say how you reached the parent, for example by phone.")
        with self._database.write() as session:
            if not self._cycle.deliveries.reached_otherwise(session, message_id, f"{how} ({member.name})"):
                raise Refused("This has been delivered meanwhile, or is being sent.")
            query = self._cycle.locked(session, query_id)
            self._cycle.record(session, query, "reached_otherwise", member.name, {"how": how})

    # cover

    def add_leave(self, staff_id: str, from_on: date, to_on: date, actor: str) -> None:
        """Somebody is away, from and to included; what they own goes to their deputies on the first day, at once if that is today.

        Refused if somebody would be left without anybody to ask.
        """
        if to_on < from_on or to_on < self._clock.today():
            raise Refused("The last day must not be before the first, nor in the past.")
        with self._database.write() as session:
            session.add(Leave(id=new_id(), staff_id=staff_id, from_on=from_on, to_on=to_on))
            session.flush()
            self._somebody_is_left(session)
            self.cover(session, actor)

    def set_active(self, staff_id: str, active: bool, actor: str) -> None:
        """Disable or enable an account; a disabled one owns nothing from that moment."""
        with self._database.write() as session:
            session.get_one(Staff, staff_id).active = active
            session.flush()
            self._somebody_is_left(session)
            self.cover(session, actor)

    def end_leave(self, leave_id: str, staff_id: str) -> None:
        """Leave that is not taken after all; queries that were handed on stay where they are."""
        with self._database.write() as session:
            session.execute(delete(Leave).where(Leave.id == leave_id, Leave.staff_id == staff_id))

    def update_staff(self, staff_id: str, fields: Mapping[str, Any]) -> None:
        """Change what somebody is kept for, their role or their deputy.

        Refused if nobody would be left to ask, or if they would stop answering families while queries are theirs.
        """
        with self._database.write() as session:
            member = session.get_one(Staff, staff_id)
            owned = session.scalar(select(func.count()).select_from(Query).where(Query.lead_id == staff_id, Query.ended_at.is_(None)))
            if fields.get("role") == "auditor" and owned:
                raise Refused(f"{member.name} has {owned} open queries. Hand them over first: an auditor answers nobody.")
            for name, value in fields.items():
                setattr(member, name, value)
            session.flush()
            self._somebody_is_left(session)

    def set_school(self, query_id: str, school: str | None, member: Staff) -> None:
        """The school that a query is about, by its name in the area's list."""
        with self._database.write() as session:
            query = self._open_query(session, query_id)
            query.school = school
            session.get_one(Conversation, query.conversation_id).school = school
            self._cycle.record(session, query, "school_set", member.name, {"school": school or ""})

    def _somebody_is_left(self, session: Session) -> None:
        try:
            self._cycle.check_ladder(session)
        except NobodyToAsk as problem:
            raise Refused(f"Nobody would be left: {problem}.") from problem

    def cover(self, session: Session, actor: str = "cover") -> int:
        """Hand the open queries of people who are absent or disabled to their deputies; how many. Safe to run at any time."""
        today, away = self._clock.today(), self._cycle.away(session)
        absent = [s.id for s in self._cycle.staff(session) if not is_awake(s, today, away)]
        owned = select(Query.id).where(Query.ended_at.is_(None), Query.lead_id.in_(absent)).order_by(Query.id)
        ids = list(session.scalars(owned)) if absent else []
        for id in ids:
            query = self._cycle.locked(session, id)
            to = self._cycle.deputy(session, query)
            if query.is_open and query.lead_id in absent and to.id != query.lead_id:
                self._cycle.pass_to(session, query, to, "absent", actor)
        return len(ids)


def may_start(query: Query) -> bool:
    """Whether somebody can say that they have begun."""
    return "in_progress" in TRANSITIONS[query.state]


def is_held(conversation: Conversation, query: Query) -> bool:
    """Whether a person has the conversation for this query."""
    return conversation.held_query_id == query.id
