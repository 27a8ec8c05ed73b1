"""Telegram over a double of the Bot API that keeps its limits: what parents see there is what the web says, once, whatever breaks."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bot.clock import Clock
from tests.conftest import add_staff
from tests.doubles.engine import says
from tests.doubles.telegram import TOKEN, BotApiDouble
from tests.doubles.websites import Site


@pytest.fixture
def api():
    with BotApiDouble() as double:
        yield double


@pytest.fixture
def site(settings, api, empty_database, tmp_path):
    """Signpost with Telegram switched on and an engine double, not started."""
    shutil.copyfile(empty_database, Path(settings.data_dir) / "signpost.db")
    made = Site(replace(settings, telegram_token=TOKEN, telegram_api_url=api.url, undo_seconds=0))
    _staff(made.settings)
    yield made
    if made._thread is not None and made._thread.is_alive():
        made.stop()


def _staff(settings) -> None:
    from bot.store.database import Database

    database = Database(settings.database)
    add_staff(database, "Ada Quill", areas=["somerset"])
    add_staff(database, "Ben Marsh", areas=["hampshire"], on_call=True)
    add_staff(database, "Mo Carter", role="manager", title="Service manager")
    database.close()


def test_a_parent_starts_and_is_answered(site, api):
    site.start()
    parent = api.phone()
    parent.starts()
    welcome = parent.sees("Ask me about children's speech and language therapy")
    assert "Telegram is run by another company" in welcome.text and "999" in welcome.text
    parent.says("can we come back?")
    parent.sees("you said: can we come back?")
    assert len(parent.texts()) == 2
