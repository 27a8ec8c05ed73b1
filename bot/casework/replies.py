"""Staff replies: each question marked, refused when the parent has written since, read twice where it matters, and taken back in time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.exc import StaleDataError

from bot.casework.cycle import Cycle
from bot.casework.queries import verdict_choices
from bot.casework.schedule import DEPUTY
from bot.clock import new_id
from bot.conversations.outbound import Outbound
from bot.store.cycle import Alert, Delivery, Question
from bot.store.states import ANSWERABLE_STATES
from bot.store.tables import Draft, Message, Query, Reply, Staff

LONGEST = 4000
UNDO = timedelta(seconds=15)
KINDS = ("answer", "ask", "update")
MARKS = ("answered", "partly", "referred")

WRITTEN_SINCE = "The parent has written since you opened this page. Read the new message, then send. Your text is kept."
CHANGED = "The query has changed since you opened this page. Read what is new below, then send. Your text is kept."
UNDER_WAY = "Another reply to this query is about to be sent or read by a colleague. Your text is kept."
NOT_MARKED = "Say for each question whether your reply answers it. If the answer is still to come, send an update instead. Your text is kept."


class ReplyRefused(Exception):
    """A reply was not sent; the message says why in words for staff. What they wrote is kept as a draft."""


@dataclass(frozen=True)
class ReplyForm:
    """What came from the reply box.

    `read_to` is the newest message number that its writer had seen, `version` the query's then. `kind` is `answer` (stops the clock once
    delivered), `ask` (we need something from the parent) or `update` (the answer is still to come). `marks` says of each open question's
    id whether an answer answers it: `answered`, `partly` or `referred`; a single question needs no mark.
    """

    query_id: str
    text: str
    idempotency_key: str
    read_to: int
    version: int
    kind: str = "answer"
    marks: Mapping[str, str] = field(default_factory=dict)


class Replies:
    """Sends replies of staff into the parent's conversation.

    Parameters
    ----------
    undo: how long a reply can be taken back before the parent sees it; nothing sends at once.
    """

    def __init__(self, cycle: Cycle, undo: timedelta = UNDO) -> None:
        self._cycle, self._database, self._clock, self._undo = cycle, cycle.database, cycle.clock, undo
        cycle.deliveries.on_settled(self.settled)

    def send(self, form: ReplyForm, member: Staff) -> str:
        """Take a reply: `sent`, `waiting` (it can be taken back) or `to_read` (a second reader is asked).

        The reply, its event and what follows are one transaction. The same idempotency key again changes nothing more. Raises
        ReplyRefused.
        """
        text = form.text.strip()
        if not text:
            raise ReplyRefused("Write a reply before you send it.")
        if len(text) > LONGEST:
            self.keep_draft(form.query_id, member.id, text)
            raise ReplyRefused(f"The reply is too long. Use up to {LONGEST} characters. Your text is kept.")
        try:
            taken, refused = self._try(form, text, member)
        except (IntegrityError, StaleDataError):
            # Somebody else, or the same box sent twice, was there in the same moment: look again at what is there now.
            taken, refused = self._try(form, text, member)
        if refused:
            self.keep_draft(form.query_id, member.id, text)
            raise ReplyRefused(refused)
        return taken

    def _try(self, form: ReplyForm, text: str, member: Staff) -> tuple[str, str]:
        """Take it if nothing stands against it; its state, or what stands against it in words."""
        with self._database.write() as session:
            query = self._cycle.locked(session, form.query_id)
            before = session.scalar(select(Reply).where(Reply.idempotency_key == form.idempotency_key))
            if before is not None:
                return before.state, ""
            questions = self.open_questions(session, query.id)
            if len(questions) == 1 and form.kind == "answer" and not form.marks:
                # One question, and the reply is said to answer it.
                form = replace(form, marks={questions[0].id: "answered"})
            refused = self._against(session, query, form, questions)
            if refused:
                return "", refused
            reply = Reply(
                id=new_id(),
                query_id=query.id,
                staff_id=member.id,
                idempotency_key=form.idempotency_key,
                kind=form.kind,
                state="to_read" if self._is_read_twice(query, form) else "waiting",
                text=text,
                marks={q.id: form.marks[q.id] for q in questions} if form.kind == "answer" else {},
                read_to=form.read_to,
                at=self._clock.now(),
                release_at=self._clock.now() + self._undo,
            )
            session.add(reply)
            self._cycle.acknowledge(session, query, member)
            flag_modified(query, "state")  # a new version, although the state stays: whoever has the page open must look again
            self._cycle.record(session, query, "reply_written", member.name, {"kind": form.kind, "reply": reply.id, "state": reply.state})
            session.flush()
            if reply.state == "to_read":
                self._cycle.alert(session, query, "second_reader", DEPUTY, about=reply.id)
            elif not self._undo:
                self._release(session, query, reply)
            return reply.state, ""

    def _is_read_twice(self, query: Query, form: ReplyForm) -> bool:
        return form.kind == "answer" and query.topic in self._cycle.policy.second_reader

    def _against(self, session: Session, query: Query, form: ReplyForm, questions: Sequence[Question]) -> str:
        if self._written_since(session, query, form.read_to):
            return WRITTEN_SINCE
        if session.scalar(select(Reply.id).where(Reply.query_id == query.id, Reply.state.in_(("to_read", "waiting")))) is not None:
            return UNDER_WAY
        if query.version != form.version:
            return CHANGED
        if query.state not in ANSWERABLE_STATES:
            return f"This query is {query.state.replace('_', ' ')}: it cannot be replied to. Your text is kept."
        if form.kind not in KINDS:
            return "Say whether this answers, asks for something, or is an update. Your text is kept."
        if form.kind == "answer" and any(form.marks.get(q.id) not in MARKS for q in questions):
            return NOT_MARKED
        return ""

    @staticmethod
    def _written_since(session: Session, query: Query, read_to: int) -> bool:
        newer = select(Message.id).where(Message.conversation_id == query.conversation_id, Message.author == "parent", Message.seq > read_to)
        return session.scalar(newer.limit(1)) is not None

    @staticmethod
    def open_questions(session: Session, query_id: str) -> list[Question]:
        """What a reply has to answer: questions that no earlier reply has answered."""
        asked = select(Question).where(Question.query_id == query_id, Question.mark.in_(("open", "partly")))
        return list(session.scalars(asked.order_by(Question.seq, Question.no)))

    # between writing and sending

    def take_back(self, reply_id: str, member: Staff) -> bool:
        """Undo, while it is not sent; the text is a draft again. Whether it was in time."""
        return self._stop(reply_id, member, "taken_back", "")

    def send_back(self, reply_id: str, reader: Staff, comment: str) -> bool:
        """The second reader wants it changed; the writer has it as a draft again and is told why. Whether it was still to be read."""
        return self._stop(reply_id, reader, "returned", comment.strip())

    def _stop(self, reply_id: str, member: Staff, state: str, comment: str) -> bool:
        with self._database.write() as session:
            query, reply = self._under_way(session, reply_id)
            allowed = ("to_read",) if state == "returned" else ("to_read", "waiting")
            if reply.state not in allowed or (state == "returned" and reply.staff_id == member.id):
                return False
            reply.state, reply.comment = state, comment or None
            self._cycle.record(session, query, f"reply_{state}", member.name, {"reply": reply.id})
            self._restore(session, reply)
            if state == "returned":
                self._cycle.raise_alert(session, f"returned:{reply.id}", "reply_returned", "lead", session.get_one(Staff, reply.staff_id), query)
            return True

    def approve(self, reply_id: str, reader: Staff) -> bool:
        """A second member of staff has read it: it is sent, after the time to take it back. Whether it was theirs to approve."""
        with self._database.write() as session:
            query, reply = self._under_way(session, reply_id)
            if reply.state != "to_read" or reply.staff_id == reader.id:
                return False
            reply.state, reply.read_by, reply.release_at = "waiting", reader.id, self._clock.now() + self._undo
            self._cycle.record(session, query, "reply_read", reader.name, {"reply": reply.id})
            self._cycle.acknowledge(session, query, reader)
            session.flush()
            if not self._undo:
                self._release(session, query, reply)
            return True

    def _under_way(self, session: Session, reply_id: str) -> tuple[Query, Reply]:
        query = self._cycle.locked(session, session.get_one(Reply, reply_id).query_id)
        return query, session.scalars(select(Reply).where(Reply.id == reply_id).with_for_update().execution_options(populate_existing=True)).one()

    def _restore(self, session: Session, reply: Reply) -> None:
        session.merge(Draft(query_id=reply.query_id, staff_id=reply.staff_id, text=reply.text, at=self._clock.now()))

    def release_due(self, limit: int = 50) -> int:
        """Send the replies whose time to take them back is over; how many were looked at. Run by the worker."""
        due = select(Reply.id).where(Reply.state == "waiting", Reply.release_at <= self._clock.now()).order_by(Reply.release_at).limit(limit)
        with self._database.read() as session:
            ids = list(session.scalars(due))
        for id in ids:
            with self._database.write() as session:
                query, reply = self._under_way(session, id)
                if reply.state == "waiting":
                    self._release(session, query, reply)
        return len(ids)

    def _release(self, session: Session, query: Query, reply: Reply) -> None:
        """The parent's conversation gets the reply, unless they have written since: then it goes back to its writer."""
        cycle, member = self._cycle, session.get_one(Staff, reply.staff_id)
        if self._written_since(session, query, reply.read_to) or query.state not in ANSWERABLE_STATES:
            reply.state = "overtaken"
            cycle.record(session, query, "reply_overtaken", member.name, {"reply": reply.id})
            self._restore(session, reply)
            cycle.raise_alert(session, f"overtaken:{reply.id}", "reply_overtaken", "lead", member, query)
            return
        said = Outbound(reply.text + self._list(session, reply), author="staff", name=f"{member.name}, {member.title}", query_id=query.id)
        message = cycle.log.append(session, query.conversation_id, [said])[0]
        reply.state, reply.message_id = "sent", message.id
        query.answered_at = None
        for id, mark in reply.marks.items():
            session.execute(update(Question).where(Question.id == id).values(mark=mark))
        draft = session.get(Draft, (query.id, member.id))
        if draft is not None:
            session.delete(draft)
        self._follow(session, query, reply, member)
        cycle.hold(session, query)
        cycle.deliveries.dispatch(session, query.conversation_id)

    def _follow(self, session: Session, query: Query, reply: Reply, member: Staff) -> None:
        cycle, detail = self._cycle, {"reply": reply.id, "kind": reply.kind}
        if reply.kind == "answer":
            cycle.move(session, query, "replied", member.name, detail)
            asked = cycle.answers.say("verdict_ask", **cycle.words(query))
            choices = tuple(verdict_choices(cycle, query, reply.id))
            cycle.log.append(session, query.conversation_id, [Outbound(asked, author="system", query_id=query.id, choices=choices)])
        elif reply.kind == "ask" and query.state != "awaiting_parent":
            cycle.move(session, query, "awaiting_parent", member.name, detail)
        elif reply.kind == "update" and query.state in ("routed", "partly", "reopened"):
            cycle.move(session, query, "in_progress", member.name, detail)
        else:
            cycle.record(session, query, "updated", member.name, detail)

    def _list(self, session: Session, reply: Reply) -> str:
        """The parent's questions with what became of each, when there is more than one or one is not answered."""
        marks = [(session.get_one(Question, id).text, mark) for id, mark in reply.marks.items()]
        if len(marks) < 2 and all(mark == "answered" for _, mark in marks):
            return ""
        say = self._cycle.answers.say
        lines = "\n".join(f"- “{_shortened(text)}” {say(f'mark_{mark}')}" for text, mark in marks)
        return f"\n\n{say('your_questions')}\n{lines}"

    # what became of the delivery

    def settled(self, session: Session, delivery: Delivery) -> None:
        """A part of a reply was accepted, refused or lost sight of: the clock stops, or somebody has work. Runs within the delivery's
        own transaction."""
        reply = session.scalar(select(Reply).where(Reply.message_id == delivery.message_id))
        if reply is None:
            if delivery.state != "accepted" and delivery.query_id is not None:
                self._trouble(session, delivery, "")
            return
        if delivery.state != "accepted":
            self._trouble(session, delivery, reply.id)
            return
        left = select(Delivery.id).where(Delivery.message_id == delivery.message_id, Delivery.state != "accepted").limit(1)
        if session.scalar(left) is not None or reply.delivered_at is not None:
            return
        now = self._clock.now()
        reply.delivered_at = now
        query = self._cycle.locked(session, reply.query_id)
        self._cycle.record(session, query, "delivered", "delivery", {"reply": reply.id, "by": delivery.provider_id})
        if reply.kind == "answer" and query.state == "replied":
            stopped = update(Query).where(Query.id == query.id, Query.state == "replied").values(answered_at=now, next_look_at=now)
            session.execute(stopped.execution_options(synchronize_session="fetch"))

    def _trouble(self, session: Session, delivery: Delivery, about: str) -> None:
        query = self._cycle.locked(session, delivery.query_id)
        kind = "undelivered" if delivery.state == "refused" else "delivery_unknown"
        self._cycle.record(session, query, kind, "delivery", {"delivery": delivery.id, "problem": delivery.problem or ""})
        if query.is_open and (about or not self._knows(session, query, kind)):
            self._cycle.alert(session, query, kind, about=about)
        self._cycle.look_again(session, query)

    @staticmethod
    def _knows(session: Session, query: Query, kind: str) -> bool:
        """Whether somebody has such an alert already and has not acknowledged it."""
        known = select(Alert.id).where(Alert.query_id == query.id, Alert.kind == kind, Alert.acknowledged_at.is_(None))
        return session.scalar(known.limit(1)) is not None

    # drafts

    def keep_draft(self, query_id: str, staff_id: str, text: str) -> None:
        """Keep what is being written."""
        with self._database.write() as session:
            session.merge(Draft(query_id=query_id, staff_id=staff_id, text=text, at=self._clock.now()))

    def draft(self, query_id: str, staff_id: str) -> str:
        """What was being written, or nothing."""
        with self._database.read() as session:
            draft = session.get(Draft, (query_id, staff_id))
            return draft.text if draft else ""

    def delivered(self, query_id: str) -> list[Reply]:
        """The replies of a query with when they reached the parent."""
        with self._database.read() as session:
            return list(session.scalars(select(Reply).where(Reply.query_id == query_id, Reply.state == "sent").order_by(Reply.at)))


def _shortened(text: str, longest: int = 120) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
