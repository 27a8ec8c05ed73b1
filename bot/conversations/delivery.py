"""Deliveries: messages of the log on their way to the parent, each part once, what failed kept as somebody's work.

The log is the outbox: a message is committed with the turn or the case change that made it, and deliveries are made from the log
whenever `dispatched_seq` lags behind, so nothing committed can be forgotten.
"""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import Callable, Mapping, Sequence

from sqlalchemy import and_, exists, select, update
from sqlalchemy.orm import Session, aliased

from bot.clock import Clock, new_id
from bot.conversations.senders import Accepted, Announced, Outcome, Part, Refused, Sender, TryAgain, Unknown
from bot.logs import requested
from bot.store.cycle import Delivery
from bot.store.database import Database
from bot.store.tables import Conversation, Message

logger = logging.getLogger(__name__)

WEB = "web"
LEASE = timedelta(minutes=2)
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 3600.0
MOST_ATTEMPTS = 30
SOURCES = "Where this comes from:"

Settled = Callable[[Session, Delivery], None]


def pause(attempts: int, after: float, jitter: float) -> float:
    """Seconds until the next attempt: doubling from FIRST_PAUSE to LONGEST_PAUSE, spread by a fifth (`jitter` 0 to 1), never before `after`."""
    return max(after, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts - 1)) * (0.8 + 0.4 * jitter))


class Deliveries:
    """The queue of parts.

    Parameters
    ----------
    senders: by channel; messages of a channel without one wait.
    worker: name in which parts are claimed.
    settled: told, in the same transaction, of every delivery that came to an end; casework stops clocks and raises alerts there.
    jitter: gives a number from 0 to 1.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        senders: Sequence[Sender] = (),
        worker: str = "app",
        settled: Settled = lambda session, delivery: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._database, self._clock, self._worker, self._settled, self._jitter = database, clock, worker, settled, jitter
        self.senders: dict[str, Sender] = {sender.channel: sender for sender in senders}

    def add(self, sender: Sender) -> None:
        """Send what is said on one more channel."""
        self.senders[sender.channel] = sender

    def on_settled(self, settled: Settled) -> None:
        """Say who is told of settled deliveries."""
        self._settled = settled

    def dispatch_waiting(self, limit: int = 100) -> int:
        """Make deliveries for messages that have none yet, on every channel that pushes; for how many conversations."""
        behind = select(Conversation.id).where(Conversation.channel != WEB, Conversation.dispatched_seq < Conversation.last_seq)
        with self._database.read() as session:
            ids = list(session.scalars(behind.where(Conversation.channel.in_(self.senders)).limit(limit)))
        for id in ids:
            with self._database.write() as session:
                self.dispatch(session, id)
        return len(ids)

    def dispatch(self, session: Session, conversation_id: str) -> None:
        """Make deliveries for the messages of one conversation that have none yet, within a session.

        On the web only staff's words are followed: they wait there until the parent's chat fetches them.
        """
        conversation = session.scalars(
            select(Conversation).where(Conversation.id == conversation_id).with_for_update().execution_options(populate_existing=True)
        ).one()
        sender = self.senders.get(conversation.channel)
        if sender is None and conversation.channel != WEB:
            return
        asked = select(Message).where(Message.conversation_id == conversation_id, Message.seq > conversation.dispatched_seq, Message.author != "parent")
        asked = asked.where(~exists().where(Delivery.message_id == Message.id))
        if conversation.channel == WEB:
            asked = asked.where(Message.author == "staff")
        for message in session.scalars(asked.order_by(Message.seq)).all():
            self._add(session, conversation, message, sender.split(with_sources(message.text, message.sources)) if sender else [message.text])
        conversation.dispatched_seq = conversation.last_seq
        session.flush()

    def _add(self, session: Session, conversation: Conversation, message: Message, texts: Sequence[str]) -> None:
        gone = conversation.unreachable_since is not None
        if gone and message.author != "staff":
            return
        now = self._clock.now()
        for number, text in enumerate(texts):
            delivery = Delivery(
                id=new_id(),
                idempotency_key=f"{message.id}:{number}",
                conversation_id=conversation.id,
                message_id=message.id,
                query_id=message.query_id,
                channel=conversation.channel,
                seq=message.seq,
                part=number,
                parts=len(texts),
                body=text,
                state="refused" if gone else "waiting",
                problem="the channel does not reach them any more" if gone else None,
                next_try_at=None if conversation.channel == WEB else now,
                created_at=now,
            )
            session.add(delivery)
            session.flush()
            if gone:
                self._settled(session, delivery)

    def claim(self, limit: int = 20) -> list[Part]:
        """Parts to send now, each leased to this worker and marked as being sent: committed before anything is sent.

        At most one of a conversation at a time, in order.
        """
        if not self.senders:
            return []
        now = self._clock.now()
        earlier = aliased(Delivery)
        blocked = exists().where(
            earlier.conversation_id == Delivery.conversation_id,
            (earlier.seq < Delivery.seq) | and_(earlier.seq == Delivery.seq, earlier.part < Delivery.part),
            (earlier.state == "sending")
            | and_(earlier.state == "waiting", earlier.next_try_at.is_not(None))
            | and_(earlier.message_id == Delivery.message_id, earlier.state != "accepted"),
        )
        due = (
            select(Delivery)
            .where(Delivery.state == "waiting", Delivery.next_try_at <= now, Delivery.channel.in_(self.senders), ~blocked)
            .order_by(Delivery.next_try_at, Delivery.seq, Delivery.part)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._database.write() as session:
            parts = []
            for delivery in session.scalars(due).all():
                delivery.state, delivery.attempts = "sending", delivery.attempts + 1
                delivery.leased_by, delivery.leased_until = self._worker, now + LEASE
                parts.append(_part(session, delivery))
        return parts

    async def send(self, part: Part) -> Outcome:
        """Hand a claimed part to its channel."""
        with self._database.read() as session:
            channel = session.get_one(Delivery, part.delivery_id).channel
        with requested(part.request_id):
            try:
                outcome = await self.senders[channel].send(part)
            except Exception as fault:
                logger.exception("sending %s failed in an unforeseen way", part.delivery_id)
                return Unknown(type(fault).__name__)
            logger.info("delivery", extra={"delivery": part.delivery_id, "attempt": part.attempt, "outcome": type(outcome).__name__.lower()})
            return outcome

    def settle(self, delivery_id: str, outcome: Outcome) -> None:
        """Write down what the channel said of a claimed part. One that is no longer ours to settle stays as it is."""
        with self._database.write() as session:
            delivery = self._locked(session, delivery_id)
            if delivery.state != "sending" or delivery.leased_by != self._worker:
                return
            match outcome:
                case Accepted(provider_id):
                    self._accept(session, delivery, provider_id)
                case Announced(provider_id):
                    delivery.state, delivery.provider_id, delivery.leased_until = "waiting", provider_id[:120], None
                    delivery.next_try_at = None
                    self._hold_back_the_rest(session, delivery)
                case TryAgain(reason, after) if delivery.attempts < MOST_ATTEMPTS:
                    seconds = pause(delivery.attempts, after, self._jitter())
                    delivery.state, delivery.problem, delivery.leased_until = "waiting", reason, None
                    delivery.next_try_at = self._clock.now() + timedelta(seconds=seconds)
                case TryAgain(reason):
                    self._end(session, delivery, "refused", f"given up after {delivery.attempts} attempts: {reason}")
                case Refused(reason, unreachable):
                    self._end(session, delivery, "refused", reason)
                    if unreachable:
                        self._unreachable(session, delivery)
                case Unknown(reason):
                    self._end(session, delivery, "unknown", reason)

    def gone(self, conversation_id: str, reason: str) -> None:
        """The channel says that it reaches an address no more: what waits for it is refused, which makes it somebody's work."""
        with self._database.write() as session:
            conversation = session.get_one(Conversation, conversation_id, with_for_update=True)
            if conversation.unreachable_since is None:
                self._refuse_waiting(session, conversation, reason)

    def expire(self) -> int:
        """Parts whose worker died while sending: nobody knows whether they arrived. How many."""
        left = select(Delivery).where(Delivery.state == "sending", Delivery.leased_until < self._clock.now()).limit(100)
        with self._database.write() as session:
            found = session.scalars(left.with_for_update(skip_locked=True)).all()
            for delivery in found:
                self._end(session, delivery, "unknown", "the worker stopped while it was sending")
        return len(found)

    def fetched(self, message_ids: Sequence[str]) -> None:
        """The parent's own browser has these messages, whatever became of them on another channel."""
        with self._database.write() as session:
            self.seen(session, message_ids)

    def seen(self, session: Session, message_ids: Sequence[str]) -> None:
        """As `fetched`, within a session."""
        undelivered = select(Delivery).where(Delivery.message_id.in_(message_ids), Delivery.state.in_(("waiting", "refused", "unknown")))
        for delivery in session.scalars(undelivered.with_for_update()).all():
            self._accept(session, delivery, WEB)

    def again(self, session: Session, delivery_id: str) -> bool:
        """A person decided that a part is sent again, within a session; whether it could be.

        What was refused of the same message certainly did not arrive, so it goes again too. An earlier part of which nobody knows has to
        be decided first.
        """
        delivery, now = self._locked(session, delivery_id), self._clock.now()
        parts = session.scalars(select(Delivery).where(Delivery.message_id == delivery.message_id).order_by(Delivery.part).with_for_update()).all()
        if delivery.state not in ("refused", "unknown") or any(part.state == "unknown" for part in parts if part.part < delivery.part):
            return False
        session.get_one(Conversation, delivery.conversation_id).unreachable_since = None
        can_go = delivery.channel != WEB
        for part in parts:
            if part is delivery or part.state == "refused":
                part.state, part.attempts, part.settled_at = "waiting", 0, None
            can_go = can_go and part.state != "unknown"
            if part.state == "waiting":
                part.next_try_at = now if can_go else None
        return True

    def reached_otherwise(self, session: Session, message_id: str, how: str) -> bool:
        """A person made sure that the parent has a message, within a session; whether any part of it was still undelivered."""
        left = select(Delivery).where(Delivery.message_id == message_id, Delivery.state.in_(("waiting", "refused", "unknown")))
        found = session.scalars(left.with_for_update()).all()
        for delivery in found:
            self._accept(session, delivery, how)
        return bool(found)

    @staticmethod
    def _locked(session: Session, delivery_id: str) -> Delivery:
        return session.scalars(select(Delivery).where(Delivery.id == delivery_id).with_for_update()).one()

    def _accept(self, session: Session, delivery: Delivery, provider_id: str) -> None:
        delivery.provider_id = provider_id[:120]
        self._end(session, delivery, "accepted", None)

    def _end(self, session: Session, delivery: Delivery, state: str, problem: str | None) -> None:
        delivery.state, delivery.problem, delivery.settled_at = state, problem and problem[:255], self._clock.now()
        delivery.leased_until = None
        session.flush()
        if state != "accepted":
            self._hold_back_the_rest(session, delivery)
        self._settled(session, delivery)

    @staticmethod
    def _hold_back_the_rest(session: Session, delivery: Delivery) -> None:
        """The rest of a message waits until it is decided what becomes of its beginning; other messages do not wait for it."""
        later = (Delivery.message_id == delivery.message_id, Delivery.part > delivery.part, Delivery.state == "waiting")
        session.execute(update(Delivery).where(*later).values(next_try_at=None).execution_options(synchronize_session="fetch"))

    def _unreachable(self, session: Session, delivery: Delivery) -> None:
        """Nothing reaches this address any more: what waits for it is refused too, so that it becomes visible at once."""
        self._refuse_waiting(session, session.get_one(Conversation, delivery.conversation_id), delivery.problem)

    def _refuse_waiting(self, session: Session, conversation: Conversation, problem: str | None) -> None:
        conversation.unreachable_since = self._clock.now()
        others = select(Delivery).where(Delivery.conversation_id == conversation.id, Delivery.state == "waiting")
        for other in session.scalars(others.with_for_update()).all():
            self._end(session, other, "refused", problem)


def with_sources(text: str, sources: Sequence[Mapping[str, str]]) -> str:
    """A message's words with the sentences they rest on under them, for channels that know only text. Quotations begin with "> "."""
    pages: dict[tuple[str, ...], list[str]] = {}
    for source in sources:
        url = source.get("url", "")
        page = tuple(line for line in (source.get("title", ""), url if url.startswith("http") else "") if line)
        quote = "\n".join(f"> {line}" for line in source.get("quote", "").split("\n") if line.strip())
        pages.setdefault(page, []).append(quote)
    cited = ["\n\n".join(quotes) + "\n" + "\n".join(page) for page, quotes in pages.items()]
    return "\n\n".join([text, SOURCES, *(told.strip() for told in cited)]) if cited else text


def _part(session: Session, delivery: Delivery) -> Part:
    message = session.get_one(Message, delivery.message_id)
    conversation = session.get_one(Conversation, delivery.conversation_id)
    last = delivery.part == delivery.parts - 1
    return Part(
        delivery_id=delivery.id,
        idempotency_key=delivery.idempotency_key,
        conversation_id=delivery.conversation_id,
        address=conversation.external_id or "",
        author=message.author,
        name=message.name,
        text=delivery.body,
        choices=message.choices if last else [],
        part=delivery.part,
        parts=delivery.parts,
        attempt=delivery.attempts,
        seq=delivery.seq,
        reference=delivery.query.reference if delivery.query else None,
        request_id=message.request_id,
    )
