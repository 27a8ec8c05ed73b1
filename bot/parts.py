"""The parts of the app, put together from its settings: what channels, console, actions and commands work with."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Sequence

from anyio import to_thread

from actions.speaking import Services, query_words, return_words
from bot.casework.cycle import Mail
from bot.casework.mail import SECURITY, Smtp
from bot.casework.office import Office
from bot.casework.policy import CasePolicy
from bot.casework.queries import QueryCard, QueryDesk
from bot.casework.replies import Replies
from bot.clock import Clock, new_id
from bot.conversations.engine import RasaEngine
from bot.conversations.erasure import OwnWords
from bot.conversations.listeners import Listeners
from bot.conversations.log import ConversationLog, Waiting
from bot.conversations.masked import MaskedEngine, listed
from bot.conversations.outbound import Outbound
from bot.conversations.senders import Sender
from bot.conversations.turns import Turns
from bot.conversations.watchful import WatchfulEngine
from bot.console.answers import AnswerChanges
from bot.console.promises import PromiseRules
from bot.console.sign_in import SECOND_STEP, SignIn
from bot.knowledge.answers import Answers
from bot.knowledge.areas import Area, load_areas
from bot.knowledge.guide_book import Guides
from bot.knowledge.reading import read_yaml
from bot.knowledge.topics import Topic, load_topics
from bot.privacy.masking import Masker
from bot.privacy.retention import Retention
from bot.settings import ROOT, SettingProblem, Settings, variable
from bot.store.database import Database
from bot.store.keys import open_keyring


@dataclass
class Signpost:
    """The parts of the app, put together from the settings."""

    settings: Settings
    clock: Clock
    database: Database
    topics: dict[str, Topic]
    answers: Answers
    areas: dict[str, Area]
    office: Office
    log: ConversationLog
    engine: RasaEngine
    masker: Masker
    listeners: Listeners
    turns: Turns
    guides: Guides
    sign_in: SignIn
    answer_changes: AnswerChanges
    promise_rules: PromiseRules
    own_words: OwnWords
    retention: Retention

    def refresh(self) -> None:
        """Take up what staff have changed meanwhile, in this app or another: approved answers, promises."""
        self.answer_changes.refresh()
        self.promise_rules.refresh()

    async def refreshed(self) -> None:
        """`refresh` for a coroutine."""
        await to_thread.run_sync(self.refresh)

    @property
    def desk(self) -> QueryDesk:
        """The parents' side of the query cycle."""
        return self.office.desk

    @property
    def replies(self) -> Replies:
        """The replies of staff."""
        return self.office.replies

    @classmethod
    def build(cls, settings: Settings, clock: Clock = Clock(), senders: Sequence[Sender] = ()) -> "Signpost":
        """Put the parts together; `senders` are the channels that push. Raises AnswerProblem, AreaProblem, PolicyProblem,
        TableProblem or SettingProblem for what cannot be used."""
        database = Database(settings.database, open_keyring(settings, settings.database))
        areas = dict(load_areas(ROOT / "data" / "areas"))
        answers = Answers.load(ROOT / "data" / "answers")
        topics = dict(load_topics(ROOT / "data" / "topics.yml"))
        owner = f"{socket.gethostname()}:{os.getpid()}:{new_id()[:8]}"
        public_numbers = [number for area in areas.values() for number in area.public_numbers]
        masker = Masker.load(ROOT / "data" / "policy" / "names.yml", public_numbers)
        log = ConversationLog(database, clock, owner, timedelta(seconds=settings.engine_timeout + 10))
        retention = Retention(database, {id: area.kept_days for id, area in areas.items()}, settings.area, clock)
        office = Office.build(
            database,
            clock,
            log,
            areas,
            settings.area,
            answers,
            CasePolicy.load(ROOT / "data" / "policy" / "casework.yml"),
            senders=senders,
            undo=timedelta(seconds=settings.undo_seconds),
            mail=Mail(settings.site) if settings.smtp_host else None,
            post=_post(settings),
            nightly=[retention.nightly],
        )
        engine = RasaEngine(settings.engine, settings.engine_token, settings.engine_timeout)
        listeners = Listeners()

        def masked(kinds: Sequence[str]) -> Outbound:
            given = [answers.say(f"masked_{kind}") for kind in kinds]
            return Outbound(answers.say("masked_notice", kinds=listed(given)), author="system")

        careful = WatchfulEngine(MaskedEngine(engine, masker, log, masked), Outbound(answers.say("may_be_danger"), author="system"))

        def apology(turn: Waiting, card: QueryCard) -> list[Outbound]:
            area = areas.get(turn.area, areas[settings.area])
            told = [answers.say("engine_down", **query_words(card)), return_words(answers, settings.site, card), area.not_for_emergencies]
            text = "\n\n".join(part for part in told if part)
            return [Outbound(text, outcome="handoff", query_id=card.id)]

        return cls(
            settings=settings,
            clock=clock,
            database=database,
            topics=topics,
            answers=answers,
            areas=areas,
            office=office,
            log=log,
            engine=engine,
            masker=masker,
            listeners=listeners,
            turns=Turns(log, careful, office.desk, office.reception, listeners, apology),
            guides=Guides.load(ROOT / "data" / "policy", answers),
            sign_in=SignIn(database, clock, _one_of(settings, "second_step", SECOND_STEP), timedelta(minutes=settings.staff_idle_minutes)),
            promise_rules=PromiseRules(database, clock, areas),
            answer_changes=AnswerChanges(database, clock, answers, areas, {id: topic.area for id, topic in topics.items()}, read_yaml(ROOT / "data" / "policy" / "never_say.yml")),
            own_words=OwnWords(database, office.cycle, engine, clock, timedelta(seconds=settings.engine_timeout + 10)),
            retention=retention,
        )

    def services(self) -> Services:
        """What the custom actions are lent."""
        contacts = read_yaml(ROOT / "data" / "policy" / "contacts.yml")
        return Services(
            self.topics, self.answers, self.areas, self.settings.area, self.desk, self.office.reception, self.settings.site, contacts, self.guides
        )


def _one_of(settings: Settings, name: str, known: Sequence[str]) -> str:
    value = getattr(settings, name).lower()
    if value not in known:
        raise SettingProblem(f"{variable(name)} must be one of {', '.join(known)}, not {value!r}")
    return value


def _post(settings: Settings) -> Smtp | None:
    if not settings.smtp_host:
        return None
    if settings.smtp_security not in SECURITY:
        raise SettingProblem(f"SIGNPOST_SMTP_SECURITY must be one of {', '.join(SECURITY)}, not {settings.smtp_security!r}")
    return Smtp(settings.smtp_host, settings.smtp_port, settings.smtp_from, settings.smtp_user, settings.smtp_password, settings.smtp_security)
