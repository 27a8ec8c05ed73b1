"""Delivery: every part once, in order, and what failed is never silent."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.conversations.delivery import LEASE, MOST_ATTEMPTS, Deliveries, pause
from bot.conversations.log import ConversationLog
from bot.conversations.outbound import OfferedChoice, Outbound
from bot.conversations.senders import Accepted, Refused, TryAgain, Unknown
from bot.store.cycle import Delivery
from bot.store.tables import Conversation
from tests.doubles.sender import SenderDouble


class Post:
    """A conversation on a channel that pushes, and one worker."""

    def __init__(self, database, time) -> None:
        self.database, self.time, self.sender, self.settled = database, time, SenderDouble(longest=20), []
        self.log = ConversationLog(database, time.clock(), "test", timedelta(seconds=30))
        self.conversation = self.log.for_address("telegram", "4711", "somerset", "parent")
        self.deliveries = self.worker("one")

    def worker(self, name: str) -> Deliveries:
        told = lambda session, delivery: self.settled.append((delivery.seq, delivery.part, delivery.state))  # noqa: E731
        return Deliveries(self.database, self.time.clock(), [self.sender], name, told, jitter=lambda: 0.5)

    def say(self, *texts: str, author: str = "staff", choices=()) -> None:
        with self.database.write() as session:
            self.log.append(session, self.conversation, [Outbound(text, author=author, choices=choices) for text in texts])
        self.deliveries.dispatch_waiting()

    def round(self, deliveries: Deliveries | None = None) -> int:
        deliveries = deliveries or self.deliveries
        parts = deliveries.claim()
        for part in parts:
            deliveries.settle(part.delivery_id, asyncio.run(deliveries.send(part)))
        return len(parts)

    def rounds(self) -> None:
        while self.round():
            pass

    def rows(self) -> list[Delivery]:
        with self.database.read() as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.seq, Delivery.part)))

    def texts(self) -> list[str]:
        return [part.text for part in self.sender.shown]


@pytest.fixture
def post(any_database, time) -> Post:
    return Post(any_database, time)


def test_long_messages_go_in_parts_in_order_with_the_buttons_on_the_last(post):
    post.say("a" * 20 + "b" * 5, "second", choices=(OfferedChoice("Yes", "query:x"),))
    post.rounds()
    assert post.texts() == ["a" * 20, "b" * 5, "second"]
    assert [bool(part.choices) for part in post.sender.shown] == [False, True, True]
    assert {row.state for row in post.rows()} == {"accepted"} and len({row.idempotency_key for row in post.rows()}) == 3


def test_deliveries_are_made_once_however_often_they_are_asked_for(post):
    post.say("one")
    threads = [threading.Thread(target=post.worker(str(n)).dispatch_waiting) for n in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(post.rows()) == 1


def test_two_workers_never_take_the_same_part(post):
    post.say("one", "two", "three")
    taken, workers = [], [post.worker(str(n)) for n in range(4)]
    threads = [threading.Thread(target=lambda w=w: taken.extend(w.claim())) for w in workers]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert [part.text for part in taken] == ["one"]


def test_what_may_come_later_is_tried_again_after_a_growing_pause_and_then_becomes_work(post):
    post.say("hello")
    post.sender.answer = lambda part: TryAgain("busy")
    tries = 0
    for _ in range(MOST_ATTEMPTS * 3):
        tries += post.round()
        post.time.now += timedelta(hours=1)
    assert tries == MOST_ATTEMPTS
    [row] = post.rows()
    assert row.state == "refused" and "given up" in row.problem and post.settled == [(1, 0, "refused")]


def test_the_channels_own_pause_is_obeyed(post):
    post.say("hello")
    post.sender.answer = lambda part: TryAgain("429", after=90)
    post.round()
    post.sender.answer = lambda part: Accepted("7")
    post.time.now += timedelta(seconds=89)
    assert post.round() == 0
    post.time.now += timedelta(seconds=2)
    assert post.round() == 1 and post.texts() == ["hello"]


def test_pauses_double_up_to_an_hour_and_are_spread():
    assert [pause(n, 0, 0.5) for n in (1, 2, 3)] == pytest.approx([5, 10, 20])
    assert pause(40, 0, 0.5) == 3600 and pause(1, 0, 0.0) == pytest.approx(4) and pause(1, 0, 1.0) == pytest.approx(6)


def test_a_person_who_blocked_the_channel_is_unreachable_and_nothing_waits_for_ever(post):
    post.say("one", "two")
    post.sender.answer = lambda part: Refused("403", unreachable=True)
    post.rounds()
    assert [row.state for row in post.rows()] == ["refused", "refused"] and len(post.sender.tried) == 1
    post.say("three")
    assert [row.state for row in post.rows()] == ["refused"] * 3
    post.say("chatter of the bot", author="assistant")
    assert len(post.rows()) == 3


def test_sending_a_later_part_again_takes_the_refused_ones_before_it_along_and_stops_nothing_else(post):
    post.say("a" * 65, "two")
    post.sender.answer = lambda part: Refused("403", unreachable=True)
    post.rounds()
    post.sender.answer = lambda part: Accepted("1")
    with post.database.write() as session:
        assert post.deliveries.again(session, post.rows()[2].id)
    post.rounds()
    assert [row.state for row in post.rows()] == ["accepted"] * 4 + ["refused"]
    post.say("three")
    post.rounds()
    assert post.texts()[-1] == "three"


def test_an_earlier_part_of_which_nobody_knows_is_decided_first(post):
    post.say("a" * 45, "two")
    post.sender.answer = lambda part: Unknown("timed out")
    post.round()
    with post.database.write() as session:
        post.deliveries._end(session, session.get_one(Delivery, post.rows()[1].id), "refused", "400")
    with post.database.write() as session:
        assert not post.deliveries.again(session, post.rows()[1].id)
        assert post.deliveries.again(session, post.rows()[0].id)
    post.sender.answer = lambda part: Accepted("1")
    post.rounds()
    assert [row.state for row in post.rows()] == ["accepted"] * 4


@pytest.mark.parametrize("fault", [Unknown("timed out"), RuntimeError("bug")])
def test_when_nobody_knows_whether_it_arrived_it_is_not_sent_again(post, fault):
    def answer(part):
        if isinstance(fault, Exception):
            raise fault
        return fault

    post.say("a" * 25, "two")
    post.sender.answer = answer
    post.round()
    post.sender.answer = lambda part: Accepted("1")
    post.rounds()
    assert [row.state for row in post.rows()] == ["unknown", "waiting", "accepted"], "the rest of that message waits, the next message goes"
    with post.database.write() as session:
        assert post.deliveries.again(session, post.rows()[0].id)
    post.rounds()
    assert [row.state for row in post.rows()] == ["accepted"] * 3


def test_a_worker_that_dies_while_sending_leaves_an_unknown_not_a_second_copy(post):
    post.say("one")
    [part] = post.deliveries.claim()
    asyncio.run(post.deliveries.send(part))
    post.time.now += LEASE + timedelta(seconds=1)
    other = post.worker("two")
    assert other.expire() == 1 and other.claim() == [] and post.texts() == ["one"]
    post.deliveries.settle(part.delivery_id, Accepted("late"))
    assert post.rows()[0].state == "unknown"


def test_what_the_parents_browser_fetched_is_not_sent_after_all(post):
    post.say("one")
    post.deliveries.fetched([post.rows()[0].message_id])
    assert post.round() == 0 and post.rows()[0].state == "accepted" and post.settled == [(1, 0, "accepted")]


def test_a_channel_that_is_switched_off_keeps_its_messages(any_database, time):
    post = Post(any_database, time)
    post.deliveries.senders = {}
    post.say("one")
    assert post.rows() == [] and post.round() == 0
    on = post.worker("two")
    assert on.dispatch_waiting() == 1
    post.rounds()
    assert post.round(on) == 1 and post.texts() == ["one"]


def test_an_address_has_one_conversation(post, any_database):
    found = []
    threads = [threading.Thread(target=lambda: found.append(post.log.for_address("telegram", "99", "somerset", "parent"))) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(set(found)) == 1 and len(found) == 6
    with any_database.read() as session:
        assert session.get_one(Conversation, found[0]).channel == "telegram"
