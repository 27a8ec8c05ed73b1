"""E-mail to staff over real SMTP: sent once, tried again, and what is never taken is seen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select

from bot.casework.cycle import Mail
from bot.casework.mail import Mailbox, Smtp
from bot.running import free_port
from bot.store.cycle import Email
from tests.conftest import add_staff, build_office


class Post:
    """A mail server's mind: what it took, and what it says to the next letter."""

    def __init__(self) -> None:
        self.taken, self.says = [], "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.says.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.says

    async def handle_DATA(self, server, session, envelope):
        self.taken.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


@pytest.fixture
def post():
    handler = Post()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    handler.port = controller.port
    yield handler
    controller.stop()


@pytest.fixture
def mailbox(any_database, time, post) -> Mailbox:
    add_staff(any_database, "Ada Quill", areas=["somerset"])
    add_staff(any_database, "Mo Carter", role="manager")
    office = build_office(any_database, time.clock(), mail=Mail("https://signpost.example"))
    log = office.cycle.log
    conversation, _ = log.start("web", "somerset", "parent")
    office.desk.open(conversation, log.accept(conversation, "client-id-1", "my son Tom was refused").seq, reason="case")
    return Mailbox(any_database, time.clock(), Smtp("127.0.0.1", post.port, "signpost@example.org", security="none"), jitter=lambda: 0.5)


def state(database) -> tuple[str, int]:
    with database.read() as session:
        email = session.scalars(select(Email)).one()
        return email.state, email.attempts


def test_an_alert_goes_by_mail_once_with_a_link_and_no_word_of_the_parent(mailbox, post, any_database):
    assert mailbox.send_due() == 1 and mailbox.send_due() == 0
    [(to, letter)] = post.taken
    assert to == ["ada.quill@example.org"] and "a new query is yours" in letter and "https://signpost.example/console/queries/" in letter
    assert "Tom" not in letter and "refused" not in letter and "Auto-Submitted: auto-generated" in letter and "Message-ID: <new.lead." in letter
    assert state(any_database) == ("sent", 1)


def test_a_server_that_is_busy_is_asked_again_later(mailbox, post, any_database, time):
    post.says = "451 try later"
    assert mailbox.send_due() == 1 and mailbox.send_due() == 0
    post.says = "250 OK"
    time.now += timedelta(seconds=6)
    assert mailbox.send_due() == 1 and state(any_database) == ("sent", 2)


def test_an_address_that_is_never_taken_fails_and_is_kept(mailbox, post, any_database, time):
    post.says = "550 no such user"
    mailbox.send_due()
    time.now += timedelta(days=1)
    assert mailbox.send_due() == 0 and state(any_database) == ("failed", 1)


def test_a_server_that_is_away_loses_nothing(mailbox, any_database, time):
    away = Mailbox(any_database, time.clock(), Smtp("127.0.0.1", free_port(), "signpost@example.org", security="none"), jitter=lambda: 0.5)
    assert away.send_due() == 1 and state(any_database) == ("waiting", 1)


def test_a_worker_that_died_while_sending_is_followed_by_another_with_the_same_message_id(mailbox, post, any_database, time):
    mailbox._claim(5)
    assert mailbox.send_due() == 0
    time.now += timedelta(minutes=3)
    assert mailbox.send_due() == 1 and len(post.taken) == 1
