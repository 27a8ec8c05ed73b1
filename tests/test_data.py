"""The data that the bot speaks and learns from: complete, faithful, plain, and free of what may never be said."""

from __future__ import annotations

import csv
import re
from difflib import SequenceMatcher
from functools import lru_cache

import pytest
import yaml

from bot.knowledge.answers import Answers
from bot.knowledge.areas import load_areas
from bot.knowledge.reading import read_yaml
from bot.knowledge.topics import load_topics
from bot.settings import ROOT

TOPICS = load_topics(ROOT / "data" / "topics.yml")
ANSWERS = Answers.load(ROOT / "data" / "answers")
AREAS = load_areas(ROOT / "data" / "areas")
EXTRA_INTENTS = {"unclear"}
DECIDED = {"ask_back", "hand_over", "none_of_these", "query_withdraw"}
BUTTONS = {"responsibility_answer", "five_questions_answer"}


@lru_cache(maxsize=1)
def examples() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "data" / "nlu").glob("*.yml")):
        for entry in read_yaml(path)["nlu"]:
            found.setdefault(entry["intent"], []).extend(line.removeprefix("- ") for line in entry["examples"].splitlines())
    return found


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def test_the_domain_knows_every_topic_and_nothing_else():
    domain = yaml.safe_load((ROOT / "domain.yml").read_text())
    intents = {next(iter(i)) if isinstance(i, dict) else i for i in domain["intents"]}
    assert intents == set(TOPICS) | EXTRA_INTENTS | DECIDED | BUTTONS


def test_every_topic_has_an_answer_and_every_answer_a_topic():
    assert set(TOPICS) == {a.topic for a in ANSWERS}


def test_every_intent_has_a_rule():
    ruled = set()
    for path in (ROOT / "data" / "stories").glob("*.yml"):
        for rule in read_yaml(path).get("rules", ()):
            first = rule["steps"][0]
            ruled |= {o["intent"] for o in first.get("or", [first]) if "intent" in o}
    assert ruled == set(TOPICS) | EXTRA_INTENTS | DECIDED | BUTTONS


@pytest.mark.parametrize("topic", [t for t, spec in TOPICS.items() if spec.kind == "answer" and any(not c.startswith("local:") for c in spec.cite)])
def test_an_answer_cites_a_sentence_of_its_topic(topic):
    assert set(ANSWERS[topic].sources) & set(TOPICS[topic].cite)


def test_topics_have_forty_to_two_hundred_examples():
    counts = {intent: len(lines) for intent, lines in examples().items()}
    assert set(counts) == set(TOPICS) | EXTRA_INTENTS
    assert {i: n for i, n in counts.items() if n < 40} == {}
    # What has no bounds of its own (danger told in passing, what is nobody's question here) takes as many voices as it takes.
    unbounded = {"out_of_scope", "unclear", "urgent_medical", "urgent_safeguarding", "urgent_mental_health"}
    assert {i: n for i, n in counts.items() if n > 200 and i not in unbounded} == {}


def test_no_example_stands_twice():
    seen: dict[str, str] = {}
    twice = []
    for intent, lines in examples().items():
        for line in lines:
            key = plain(line) or line.strip()
            if key in seen:
                twice.append((seen[key], intent, line))
            seen[key] = intent
    assert twice == []


def test_no_example_is_a_near_copy_of_an_evaluation_message():
    messages = []
    for name in ("dev.csv", "more.csv"):
        with (ROOT / "benchmarks" / "data" / name).open(encoding="utf-8") as file:
            messages += [plain(row["text"]) for row in csv.DictReader(file)]
    messages = [(m, set(m.split())) for m in messages if len(m.split()) >= 4]
    copies = []
    for intent, lines in examples().items():
        for line in map(plain, lines):
            words = set(line.split())
            for message, its_words in messages:
                if len(words & its_words) >= 0.6 * max(len(words), len(its_words)) and SequenceMatcher(None, line, message).ratio() > 0.85:
                    copies.append((intent, line))
    assert copies == []


def test_no_example_can_be_read_as_a_command_or_an_entity():
    assert [line for lines in examples().values() for line in lines if line.startswith("/") or re.search(r"\]\(|\]\{", line)] == []


NEVER = [entry["pattern"] for entry in read_yaml(ROOT / "data" / "policy" / "never_say.yml")]


@lru_cache(maxsize=1)
def reachable() -> list[tuple[str, str, str]]:
    """Every wording that can be shown, by topic and where."""
    return [
        (answer.topic, f"{area.id} {role} {'short' if short else 'full'}", ANSWERS.wording(answer.topic, area, role, short).text)
        for answer in ANSWERS
        for area in AREAS.values()
        for role in ("parent", "school")
        for short in (False, True)
    ]


@pytest.mark.parametrize("never", NEVER)
def test_nothing_on_the_never_say_list_can_be_said(never):
    assert [(t, w) for t, w, text in reachable() if re.search(never, text, re.IGNORECASE)] == []


def test_normal_is_only_said_in_the_quotation_of_the_first_question():
    quoted = "Are the child's skills falling within the normal range?"
    for topic, where, text in reachable():
        rest = text.replace(quoted, "").replace("normal range", "") if topic == "eligibility_normal_range" else text.replace(quoted, "")
        assert not re.search(r"\bnormal\b", rest), (topic, where)


def test_no_wording_shows_an_unfilled_word():
    assert [(t, w) for t, w, text in reachable() if re.search(r"[{}]", text)] == []


def test_sentences_are_short_enough_to_read():
    long = []
    for topic, where, text in reachable():
        for sentence in re.split(r"(?<=[.!?])\s+|\n+", re.sub(r'"[^"]*"', '"…"', text)):
            if len(sentence.split()) > 26:
                long.append((topic, where, sentence))
    assert long == []


def test_titles_fit_on_a_button():
    assert [a.topic for a in ANSWERS if not 2 <= len(a.title) <= 60] == []
    assert len({a.title for a in ANSWERS}) == len(list(ANSWERS))


def test_the_responsibility_of_nobody_is_never_the_last_word():
    for topic, where, text in reachable():
        if re.search(r"not (the|that|its) (therapy )?(service's|service.s)? ?responsib", text):
            assert re.search(r"council|school|board|ICB", text.split("responsib", 1)[1]), (topic, where)


def test_sentences_of_the_source_are_quoted_exactly():
    said = {id: entry["quote"] for id, entry in read_yaml(ROOT / "data" / "answers" / "sources.yml").items()}
    assert said["S9"] == "We do not have the capacity to review children's progress just to check they are continuing to improve."
    assert said["S13"].endswith("then they are not the responsibility of the Integrated Therapy Service.")
    for id, entry in read_yaml(ROOT / "data" / "answers" / "sources.yml").items():
        assert entry["title"] and entry["url"].startswith("http"), id


@pytest.mark.parametrize("area", AREAS.values(), ids=lambda a: a.id)
def test_every_area_has_emergency_routes_names_and_a_date_on_every_fact(area):
    assert set(area.urgent) == {"medical", "safeguarding", "mental_health"}
    assert all("999" in route.as_text() for route in area.urgent.values())
    assert {"service", "commissioner", "council", "sen_team", "sendiass"} <= set(area.words)
    assert all(fact.checked_on and fact.text for fact in area.facts.values())
    assert all(contact.get("checked_on") for contact in area.contacts.values())
