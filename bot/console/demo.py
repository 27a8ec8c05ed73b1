"""A made-up staff directory, so that a first start shows the whole way of a question. Nobody in it exists."""

from __future__ import annotations

from bot.console.sign_in import NewStaff, SignIn, new_password, staff_directory_is_empty
from bot.knowledge.topics import load_topics
from bot.settings import ROOT
from bot.store.database import Database

SOMERSET, HAMPSHIRE = ("somerset",), ("hampshire",)
SPEECH = "speech and language therapy"


def seed(sign_in: SignIn, database: Database) -> list[tuple[str, str, str, str]]:
    """Fill an empty staff directory; (name, e-mail, password, role) of each account, to be shown once. Nothing if it was not empty."""
    with database.read() as session:
        if not staff_directory_is_empty(session):
            return []
    newcomers = [(newcomer, new_password()) for newcomer in demo_staff()]
    rows = [sign_in.prepare(newcomer, password) for newcomer, password in newcomers]
    with database.write() as session:
        if not staff_directory_is_empty(session):
            return []
        session.add_all(rows)
    return [(newcomer.name, newcomer.email, password, newcomer.role) for newcomer, password in newcomers]


def demo_staff() -> list[NewStaff]:
    """The directory: therapy, council and school leads for each area, and those who stand behind them."""
    plans, schools = _topics("ehcp"), _topics("schools")
    return [
        _person("Wren Larkspur", "Speech and language therapist", "lead", "therapy_east", SOMERSET, therapies=(SPEECH,)),
        _person("Rowan Applegarth", "Occupational therapist", "lead", "therapy_east", SOMERSET, therapies=("occupational therapy",)),
        _person("Bryony Thistledown", "Physiotherapist", "lead", "therapy_west", SOMERSET, therapies=("physiotherapy",)),
        _person("Hazel Oakenfold", "Statutory SEND officer", "lead", "council_send", SOMERSET, plans),
        _person("Linden Brookmeadow", "Schools link for therapy", "lead", "schools_link", SOMERSET, schools),
        _person("Marigold Fernleigh", "Speech and language therapist", "lead", "therapy_north", HAMPSHIRE),
        _person("Jasper Elderflower", "SEN team officer", "lead", "council_send", HAMPSHIRE, plans),
        _person("Tansy Goldfinch", "Service coordinator", "coordinator", "coordination"),
        _person("Basil Hawthornden", "Service manager", "manager", "management"),
        _person("Clover Nightingale", "On-call therapy lead", "manager", "management", on_call=True),
        _person("Ivy Kestrelwood", "Quality auditor", "auditor", "quality"),
    ]


def _person(
    name: str,
    title: str,
    role: str,
    team: str,
    areas: tuple[str, ...] = (),
    topics: tuple[str, ...] = (),
    on_call: bool = False,
    therapies: tuple[str, ...] = (),
) -> NewStaff:
    email = f"{name.lower().replace(' ', '.')}@example.org"
    return NewStaff(email, name, title, role, team, areas, topics, on_call, therapies)


def _topics(section: str) -> tuple[str, ...]:
    return tuple(topic.id for topic in load_topics(ROOT / "data" / "topics.yml").values() if topic.area == section)
