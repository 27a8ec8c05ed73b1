"""Rate limits are one for all apps on a database, and are still there after a restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from bot.app import create_app
from bot.channels.limits import RateLimits
from bot.channels.problems import Problem
from bot.console.sign_in import LOCKED, MOST_FAILURES, WRONG, SignIn, SignInRefused
from bot.store.database import Database
from tests.conftest import add_staff
from tests.test_console import StaffBrowser
from tests.test_web_api import Chat


@pytest.fixture
def apps(any_database, settings, time):
    """Makes another app on the same database each time, as a replica or a restart does."""
    add_staff(any_database, "Ada Quill", role="manager", on_call=True)
    url = any_database.url.render_as_string(hide_password=False)
    return lambda: create_app(replace(settings, database_url=url, rate_limits="on"), time.clock())


def test_replicas_and_a_restart_count_one_parents_messages_together(apps):
    with TestClient(apps()) as one, TestClient(apps()) as other:
        chat = Chat(one)
        chats = (chat, elsewhere(chat, other))
        sent = [chats[n % 2].post(text="x").status_code for n in range(31)]
    assert sent == [200] * 30 + [429]
    with TestClient(apps()) as restarted:
        assert elsewhere(chat, restarted).post(text="x").status_code == 429


def elsewhere(chat: Chat, client: TestClient) -> Chat:
    """A parent's chat through another app."""
    same = copy(chat)
    same.client = client
    return same


def test_guesses_at_return_codes_are_counted_for_the_address_by_all_replicas(apps):
    one, other = TestClient(apps()), TestClient(apps())
    told = [(one, other)[n % 2].post("/return", data={"code": "ACDE-3479-HJKM"}).status_code for n in range(11)]
    assert told == [404] * 10 + [429]


def test_the_lock_out_of_an_account_is_that_of_all_replicas(apps, time):
    first, second = StaffBrowser(apps()), StaffBrowser(apps())
    told = [(first, second)[n % 2].sign_in("ada.quill@example.org", "not it").text for n in range(6)]
    assert ["15 minutes" in page for page in told] == [False] * 5 + [True]
    assert "15 minutes" in StaffBrowser(apps()).sign_in("ada.quill@example.org", "not it").text
    time.now += timedelta(minutes=16)
    assert "15 minutes" not in first.sign_in("ada.quill@example.org", "not it").text


def test_guesses_at_a_password_made_at_once_are_no_more_than_those_made_in_turn(any_database, time):
    another = Database(any_database.url.render_as_string(hide_password=False), any_database.keys)
    doors = [SignIn(any_database, time.clock()), SignIn(another, time.clock())]
    add_staff(any_database, "Ada Quill")

    def guess(n: int) -> str:
        with pytest.raises(SignInRefused) as refused:
            doors[n % 2].sign_in("ada.quill@example.org", f"guess {n}")
        return str(refused.value)

    with ThreadPoolExecutor(8) as many:
        told = list(many.map(guess, range(24)))
    another.close()
    assert (told.count(WRONG), told.count(LOCKED)) == (MOST_FAILURES, 24 - MOST_FAILURES)


def test_acts_at_the_same_moment_in_two_apps_are_all_counted(any_database, time):
    another = Database(any_database.url.render_as_string(hide_password=False), any_database.keys)
    limits = [RateLimits(any_database, time.clock(), True), RateLimits(another, time.clock(), True)]

    def spend(n: int) -> bool:
        try:
            limits[n % 2].spend("message", "one parent", 20, 60)
            return True
        except Problem:
            return False

    with ThreadPoolExecutor(8) as many:
        allowed = list(many.map(spend, range(60)))
    another.close()
    assert sum(allowed) == 20
