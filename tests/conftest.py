"""Fixtures: databases, an app in memory, an engine double over real HTTP, and the whole system as processes."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path

import pytest

from bot.casework.office import Office
from bot.casework.policy import CasePolicy
from bot.clock import Clock, new_id
from bot.conversations.log import ConversationLog
from bot.knowledge.answers import Answers
from bot.knowledge.areas import load_areas
from bot.parts import Signpost
from bot.running import Running, running
from bot.settings import ROOT, Settings
from bot.store.database import Database
from bot.store.keys import open_keyring
from bot.store.tables import Staff
from tests.browsers import launched
from tests.doubles.engine import EngineDouble
from tests.doubles.postgresql import NoPostgresql, postgresql_server


class SetClock:
    """A time that stands still until a test moves it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def clock(self) -> Clock:
        return Clock(lambda: self.now)


@pytest.fixture
def time() -> SetClock:
    return SetClock(datetime(2026, 11, 23, 10, 0, tzinfo=timezone.utc))


@pytest.fixture(scope="session")
def postgresql():
    """Address of a PostgreSQL server of our own. Without its binaries half of the proof cannot run, so that is a failure."""
    try:
        with postgresql_server() as address:
            yield address
    except NoPostgresql as missing:
        pytest.fail(str(missing))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def any_database(request, tmp_path) -> Database:
    """The same test on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'signpost.db'}")
    else:
        url = request.getfixturevalue("postgresql")
        database = Database(url, open_keyring(Settings(data_dir=str(tmp_path)), url))
        _empty(database)
    database.upgrade()
    yield database
    database.close()


def _empty(database: Database) -> None:
    from sqlalchemy import text

    with database.write() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))


def add_staff(database: Database, name: str, role: str = "lead", **fields) -> Staff:
    """A member of staff who cannot sign in, for tests that only need an owner."""
    member = Staff(
        **{
            **dict(id=new_id(), email=f"{name.lower().replace(' ', '.')}@example.org", name=name, title="Therapist", role=role),
            **dict(areas=[], topics=[], on_call=False, active=True, password_hash="-", created_at=datetime.now(timezone.utc)),
            **fields,
        }
    )
    with database.write() as session:
        session.add(member)
    return member


@lru_cache(maxsize=1)
def _office_data():
    data = ROOT / "data"
    return load_areas(data / "areas"), Answers.load(data / "answers"), CasePolicy.load(data / "policy" / "casework.yml")


def build_office(database: Database, clock: Clock, owner: str = "test", undo: float = 0, **more) -> Office:
    """The query cycle on a database; `undo` seconds to take a reply back."""
    log = ConversationLog(database, clock, owner, timedelta(seconds=30))
    areas, answers, policy = _office_data()
    return Office.build(database, clock, log, areas, "somerset", answers, policy, undo=timedelta(seconds=undo), **more)


@pytest.fixture
def engine_double():
    """An engine over real HTTP that answers, hangs or talks nonsense as a test wants."""
    with EngineDouble() as double:
        yield double


@pytest.fixture
def settings(tmp_path, engine_double) -> Settings:
    return Settings(
        data_dir=str(tmp_path), engine_url=engine_double.url, engine_token="token", engine_timeout=1.0, reply_wait=5.0, rate_limits="off", undo_seconds=0
    )


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "signpost.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    return path


@pytest.fixture
def signpost(settings, time, empty_database) -> Signpost:
    """The app's parts on an empty SQLite database with three members of staff."""
    shutil.copyfile(empty_database, Path(settings.data_dir) / "signpost.db")
    built = Signpost.build(settings, time.clock())
    add_staff(built.database, "Ada Quill", areas=["somerset"])
    add_staff(built.database, "Ben Marsh", areas=["hampshire"], on_call=True)
    add_staff(built.database, "Mo Carter", role="manager", title="Service manager")
    yield built
    built.database.close()


@pytest.fixture(scope="session")
def model() -> Path:
    """The trained model, as `make test` left it."""
    from bot.setup import model as trained

    if not trained.is_current():
        pytest.fail("the model is not current: run `make test`, which trains it")
    return trained.MODEL


@pytest.fixture(scope="session")
def system(model) -> Running:
    """The whole system as processes: supervisor, real engine, app."""
    with running(engine_timeout="6", undo_seconds="0") as started:
        yield started


@pytest.fixture(scope="module")
def chromium():
    """A real browser, one a module: Playwright's loop would be in the way of other modules' own."""
    with launched() as browser:
        yield browser
