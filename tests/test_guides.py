"""The decision tables of the two guides: complete, unambiguous, faithful to the source sentences, and free of what may never be said."""

from __future__ import annotations

import itertools
import random
import re
from functools import lru_cache

import pytest
import textstat

from bot.knowledge.answers import Answers
from bot.knowledge.areas import load_areas
from bot.knowledge.eligibility import FiveQuestions
from bot.knowledge.guide_book import Guides
from bot.knowledge.guides import fits
from bot.knowledge.reading import read_yaml
from bot.settings import ROOT

ANSWERS = Answers.load(ROOT / "data" / "answers")
AREAS = load_areas(ROOT / "data" / "areas")
TOPICS = {t.topic: t for t in ANSWERS}
GUIDES = Guides.load(ROOT / "data" / "policy", ANSWERS)
RESPONSIBILITY, FIVE = GUIDES.responsibility, GUIDES.five_questions
SAY = {key: ANSWERS.say(key) for key in ("guide_told", "guide_contacts", "guide_say")}
VALUES = ("yes", "no", "unsure")

# Section 4 of the rule book, line by line: over_core, assessed, finding.
TABLE_A = [
    ("yes", "yes", "NOT_THE_SERVICE"),
    ("yes", "no", "NOT_THE_SERVICE"),
    ("yes", "unsure", "NOT_THE_SERVICE"),
    ("no", "yes", "NOT_EXCLUDED"),
    ("no", "no", "NOT_THE_SERVICE"),
    ("no", "unsure", "CANNOT_TELL"),
    ("unsure", "yes", "CANNOT_TELL"),
    ("unsure", "no", "NOT_THE_SERVICE"),
    ("unsure", "unsure", "CANNOT_TELL"),
]


def facts(**given: str) -> dict[str, str]:
    return {"area": "somerset", "bounced": "no", **given}


IN_F = dict(plan="final", need_in_plan="yes", section="F")


def product(*names: str):
    for values in itertools.product(*(RESPONSIBILITY.inputs[name].values for name in names)):
        yield dict(zip(names, values))


@lru_cache(maxsize=1)
def whole_product() -> list[tuple[dict[str, str], str]]:
    """Every combination of what can change the row, with its row."""
    names = ("area", "bounced", "plan", "need_in_plan", "section", "over_core", "assessed", "disputed")
    combinations = [*product(*names), *({**c, "danger": "yes"} for c in product("area", "bounced", "plan"))]
    return [(combination, RESPONSIBILITY.decide(combination).row.id) for combination in combinations]


def test_every_combination_has_exactly_one_row():
    for combination, row in whole_product():
        complete = {"danger": "no", "need_in_plan": "no", "section": "F", "over_core": "no", "assessed": "no", "disputed": "no", **combination}
        complete["finding"] = RESPONSIBILITY.finding(complete)
        assert sum(state.applies(complete) for state in RESPONSIBILITY.states) == 1, combination
        first = next((gate.id for gate in RESPONSIBILITY.gates if gate.applies(complete)), None)
        assert row == (first or RESPONSIBILITY.state(complete).id)


def test_every_row_can_be_reached():
    reached = {row for _, row in whole_product()}
    assert reached == {row.id for row in (*RESPONSIBILITY.gates, *RESPONSIBILITY.states)}
    also = {a.id for combination in product("plan", "need_in_plan", "section", "provider", "discharged") for a in RESPONSIBILITY.decide(facts(**combination)).also}
    assert also == {row.id for row in RESPONSIBILITY.also}


def test_what_is_not_asked_cannot_change_the_row():
    """Answering only what the guide asks comes to the same row as knowing everything."""
    chosen = random.Random(7).sample([c for c, _ in whole_product() if c.get("disputed") == "no"], 600)
    for everything in chosen:
        known: dict[str, str] = {}
        while (asked := RESPONSIBILITY.next_input(known)) is not None:
            known[asked.name] = everything.get(asked.name, "unsure")
        assert RESPONSIBILITY.decide(known).row.id == RESPONSIBILITY.decide(everything).row.id, (everything, known)


def test_nobody_is_asked_more_than_eight_questions_and_most_far_fewer():
    numbers = []
    for combination in product("plan", "need_in_plan", "section", "over_core"):
        known, number = facts(), 0
        while (asked := RESPONSIBILITY.next_input(known)) is not None:
            known[asked.name] = combination.get(asked.name, "unsure")
            number += 1
        numbers.append(number)
    assert max(numbers) <= 6 and sorted(numbers)[len(numbers) // 2] <= 2


@pytest.mark.parametrize(("over_core", "assessed", "finding"), TABLE_A)
def test_either_limb_of_s13_is_enough(over_core, assessed, finding):
    assert RESPONSIBILITY.finding({"over_core": over_core, "assessed": assessed}) == finding


@pytest.mark.parametrize(
    ("given", "row", "also", "cited", "not_cited"),
    [
        (dict(IN_F, over_core="yes", assessed="yes"), "B5", (), {"S13", "S14", "law:s42"}, set()),
        (dict(IN_F, over_core="no", assessed="no", provider="we pay"), "B5", ("B15",), {"S13", "law:s42"}, set()),
        (dict(IN_F, over_core="unsure", assessed="no"), "B5", (), {"S13", "S14"}, set()),
        (dict(IN_F, over_core="yes", assessed="unsure"), "B5", (), {"S13", "S14"}, set()),
        (dict(IN_F, over_core="no", assessed="unsure"), "B6", (), {"S13", "law:s42"}, set()),
        (dict(IN_F, over_core="unsure", assessed="yes"), "B6", (), {"S13"}, set()),
        (dict(IN_F, over_core="unsure", assessed="unsure"), "B6", (), {"S13"}, set()),
        (dict(IN_F, over_core="no", assessed="yes"), "B7", (), {"law:s42"}, set()),
        (dict(IN_F, over_core="no", assessed="yes", disputed="yes"), "B8", (), {"S8", "S10", "law:appeal"}, set()),
        (dict(plan="final", need_in_plan="yes", section="G", over_core="yes"), "B9", (), {"law:s42_health", "law:reg12"}, {"S13", "S14"}),
        (dict(plan="final", need_in_plan="yes", section="unsure"), "B10", (), {"S13", "S14", "law:s21"}, set()),
        (dict(plan="final", need_in_plan="no"), "B17", (), {"S6"}, {"S13", "S14"}),
        (dict(plan="none"), "B20", (), {"S6", "law:s66"}, {"S13", "S14"}),
        (dict(plan="old Statement"), "B4", (), {"S12", "law:statements"}, set()),
        (dict(IN_F, area="hampshire", over_core="yes"), "B2", (), {"law:s42"}, set()),
        (dict(bounced="yes"), "B3", (), {"S14", "H-T2-R9", "H-T2-R6", "law:s26"}, set()),
        (dict(plan="draft"), "B18", (), {"H-T2-R6", "law:advice"}, {"S13"}),
        (dict(IN_F, over_core="yes", provider="school has bought it in"), "B5", ("B12",), {"S13", "S1", "H-T3-R6"}, set()),
        (dict(IN_F, over_core="yes", provider="school has bought it in", stopping="yes"), "B5", ("B12",), {"S13"}, set()),
        (dict(IN_F, over_core="yes", discharged="yes"), "B5", ("B22",), {"S10", "S4"}, set()),
        (dict(plan="none", provider="school has bought it in"), "B20", ("B13",), {"law:s66"}, {"S13"}),
        (dict(area="outside England"), "B1", (), set(), {"S13"}),
    ],
)
def test_the_vectors_of_the_rule_book(given, row, also, cited, not_cited):
    given = facts(**given)
    result = RESPONSIBILITY.result(given, AREAS.get(given["area"], AREAS["somerset"]), "parent")
    ids = {s.id for s in result.sources}
    assert (result.row, result.also) == (row, also)
    assert cited <= ids and not (not_cited & ids)


def test_whoever_is_sent_to_and_fro_is_a_priority_whatever_the_plan_is():
    """The plan is asked first, and no answer to it may close the way to the priority."""
    for plan in RESPONSIBILITY.inputs["plan"].values:
        asked = RESPONSIBILITY.next_input({"area": "somerset", "plan": plan})
        assert asked is not None and asked.name == "bounced", plan
        result = RESPONSIBILITY.result({"area": "somerset", "plan": plan, "bounced": "yes"}, AREAS["somerset"], "parent")
        assert (result.row, result.kind, result.person) == ("B3", "priority", "yes")


def test_in_england_but_elsewhere_no_row_begins_with_somersets_page():
    for given in product("plan", "need_in_plan", "section", "disputed"):
        result = RESPONSIBILITY.result({"area": "hampshire", "bounced": "no", **given}, AREAS["hampshire"], "parent")
        assert "Somerset" not in result.paragraphs[0], given
        for text in result.paragraphs[2:]:
            assert "Somerset" not in text or "example only" in text, text


def test_elsewhere_nobody_is_told_how_to_refer():
    """Who may refer differs between areas, so only the area's own service can say."""
    for given in (dict(plan="none"), dict(plan="final", need_in_plan="no")):
        for role in ("parent", "school"):
            said = RESPONSIBILITY.result(facts(area="hampshire", **given), AREAS["hampshire"], role).say
            assert "how a child is referred there" in said and "or refer" not in said


def test_elsewhere_the_heading_says_what_was_found():
    titles = {}
    for given in product("plan", "need_in_plan", "section", "disputed", "bounced"):
        decision = RESPONSIBILITY.decide({"area": "other England", **given})
        titles[decision.state.id] = RESPONSIBILITY.result({"area": "other England", **given}, AREAS["somerset"], "parent").title
    assert titles["B6"] == "The council must make sure therapy in Section F happens" and titles["B3"] == "One person will ask them both"
    assert all(titles.values()) and not any("service" in title for title in titles.values())


def test_lost_skills_are_no_matter_of_one_areas_page():
    for area in AREAS.values():
        result = FIVE.result({"instead": "MEDICAL_ADVICE_TODAY"}, area, "parent")
        assert "Somerset" not in "".join(result.paragraphs) and "ask for medical advice today" in result.paragraphs[0]


def test_a_section_that_is_known_to_be_both_is_not_asked_for_again():
    result = RESPONSIBILITY.result(facts(plan="final", need_in_plan="yes", section="both"), AREAS["somerset"], "parent")
    assert "Which part of this therapy is in Section F, and which is in Section G?" in result.say


def test_only_what_the_sentence_says_of_the_core_is_said():
    """S1 says that the core is paid for by the NHS, and not that nothing else is."""
    text = RESPONSIBILITY.result(facts(**IN_F, over_core="yes", provider="school has bought it in"), AREAS["somerset"], "parent").as_text(*SAY.values())
    assert "Only core work is paid for" not in text and "Somerset's page only speaks of its own core work" in text


def test_a_colleague_is_not_sent_to_the_senco():
    for combination in _representatives():
        result = RESPONSIBILITY.result(combination, AREAS["somerset"], "school")
        text = result.as_text(*SAY.values())
        assert "ask the senco" not in text.lower() and "You are not sure" not in text, combination
    for given in all_five()[::11]:
        assert "SENCO" not in FIVE.result(given, AREAS["somerset"], "school").as_text(*SAY.values()), given


def test_the_old_statement_is_explained():
    text = RESPONSIBILITY.result(facts(plan="old Statement"), AREAS["somerset"], "parent").as_text(*SAY.values())
    assert "An EHC plan is a legal document" in text and "Casework Officer" in text


def test_danger_has_the_emergency_routes_and_stops_the_guide():
    result = RESPONSIBILITY.result({"danger": "yes"}, AREAS["somerset"], "parent")
    text = result.as_text(*SAY.values())
    assert result.row == "B0" and result.kind == "urgent" and RESPONSIBILITY.next_input({"danger": "yes"}) is None
    assert all(word in text for word in ("999", "111", "option 2", "0300 123 2224"))


def test_elsewhere_the_law_comes_first_and_somersets_page_is_an_example():
    text = RESPONSIBILITY.result(facts(area="hampshire", **IN_F), AREAS["hampshire"], "parent").as_text(*SAY.values())
    assert text.index("By law the council must") < text.index("Somerset's page")
    assert "As an example only, Somerset's page" in text and "In Somerset, the therapy service's page says" not in text


def test_in_an_area_that_we_do_not_know_no_council_is_named():
    result = RESPONSIBILITY.result(facts(area="other England", **IN_F), AREAS["somerset"], "parent")
    assert not any("Somerset" in line for line in result.contacts) and "Somerset Council" not in result.as_text(*SAY.values())


def test_section_g_is_not_only_a_matter_for_the_casework_officer():
    contacts = RESPONSIBILITY.result(facts(plan="final", need_in_plan="yes", section="G"), AREAS["somerset"], "parent").contacts
    assert len(contacts) >= 4 and "therapy service" in contacts[0] and "Casework Officer" in contacts[-1]


def test_a_discharge_does_not_end_the_councils_duty():
    text = RESPONSIBILITY.result(facts(**IN_F, over_core="yes", discharged="yes"), AREAS["somerset"], "parent").as_text(*SAY.values())
    assert "does not end the council's duty" in text


def test_the_model_answer_is_said_word_for_word():
    said = " ".join(RESPONSIBILITY.result(facts(**IN_F, over_core="yes"), AREAS["somerset"], "parent").paragraphs[:2])
    assert said == (
        "In Somerset, the therapy service's page says: if therapy in a plan is more than its core service, or is for a need its own "
        "therapists have not assessed and advised on, it is not that service's responsibility. The page says to talk to your child's "
        "Casework Officer at the council. That does not mean nobody is responsible. By law the council must make sure therapy in "
        "Section F happens."
    )


def checker(q1, q2, q3, q4, q5):
    """Section 7 of the rule book, as it stands there."""
    away = []
    if q3 == "yes":
        away += ["SIGNPOST"]
    if q4 == "yes":
        away += ["ADVICE_FIRST"]
    if q1 == "yes":
        away += ["WITHIN_RANGE"]
    if q5 == "no":
        away += ["ALREADY_IN_PLACE"]
    if q2 == "no":
        away += ["EXPLAIN_WHY"]
    unsure = [q1, q2, q3, q4, q5].count("unsure")
    if not away:
        return ("CONTACT" if unsure == 0 else "TALK_FIRST"), ()
    return away[0], (*away[1:], *(("TALK_FIRST",) if unsure else ()))


def all_five():
    return [dict(zip(("q1", "q2", "q3", "q4", "q5"), values)) for values in itertools.product(VALUES, repeat=5)]


def test_all_243_answers_to_the_five_questions_have_one_message():
    found: dict[str, int] = {}
    for given in all_five():
        main, also = FIVE.decide(given)
        assert (main, also) == checker(**given)
        found[main] = found.get(main, 0) + 1
    assert found == {"CONTACT": 1, "TALK_FIRST": 31, "SIGNPOST": 81, "ADVICE_FIRST": 54, "WITHIN_RANGE": 36, "ALREADY_IN_PLACE": 24, "EXPLAIN_WHY": 16}


def test_every_five_question_result_opens_and_ends_as_the_rule_book_says():
    for given in all_five()[::7]:
        text = FIVE.result(given, AREAS["somerset"], "parent").as_text(*SAY.values())
        assert text.startswith("A guide to help you talk to the service. It is not a decision.")
        assert text.endswith(
            "You can still contact or refer to the service whatever you answered. If they say no, you can ask which reason, and what would "
            "change it. Would you like a person to help?"
        )


def test_not_sure_never_counts_against_a_family():
    for given in all_five():
        surer = {name: ("no" if name in ("q1", "q3", "q4") else "yes") if value == "unsure" else value for name, value in given.items()}
        assert set(FIVE.decide(given)[1]) - {"TALK_FIRST"} == set(FIVE.decide(surer)[1]) or FIVE.decide(given)[0] == "TALK_FIRST"


def rows_file():
    return read_yaml(ROOT / "data" / "policy" / "responsibility.yml")


def test_the_rows_that_an_answer_meets_have_one():
    for row, topics in RESPONSIBILITY.answered_by.items():
        assert topics and all(topic in TOPICS for topic in topics), row
    ids = {row.id for part in (RESPONSIBILITY.gates, RESPONSIBILITY.states, RESPONSIBILITY.also) for row in part} | set(RESPONSIBILITY.answered_by)
    assert {f"B{n}" for n in range(35)} <= ids


def test_a_row_that_needs_a_person_says_so():
    needs = {"B0", "B2", "B3", "B4", "B6", "B8", "B9", "B10", "B18", "ASK_OR_HAND_OFF"}
    rows = [*RESPONSIBILITY.gates, *RESPONSIBILITY.states]
    assert {row.id for row in rows if row["person"] == "yes"} == needs
    assert {row.id for row in rows if row["kind"] == "priority"} == {"B3"}


# Wordings that are filled in where they are used.
_RAW = (RESPONSIBILITY.name, FIVE.name)


@lru_cache(maxsize=1)
def reachable() -> list[tuple[str, str]]:
    """Every wording that the guides can show: questions, results with their additions, and the system's sentences about guides."""
    shown = [(f"system {key}", text) for key, text in read_yaml(ROOT / "data" / "answers" / "system.yml").items() if key.startswith("guide_")]
    areas = [*AREAS.values()]
    for role in ("parent", "school"):
        for guide in (RESPONSIBILITY, FIVE):
            shown.append((f"{guide.name} intro {role}", guide.intro(role)))
            shown.append((f"{guide.name} page", guide.page_intro))
            for asked in guide.inputs.values():
                shown += [(f"{guide.name} {asked.name} {key}", getattr(asked, key)) for key in ("ask", "school", "why", "where", "clear_up")]
                shown += [(f"{guide.name} {asked.name}", f"{v.title}. {v.told}") for v in asked.values.values()]
        for given in [*_representatives(), {"danger": "yes"}]:
            area = AREAS.get(given.get("area", ""), AREAS["somerset"])
            shown.append((str(given), RESPONSIBILITY.result(given, area, role).as_text(*SAY.values())))
        for area in areas:
            for given in [*all_five(), *({"instead": m} for m in ("REFER_DIRECTLY", "MEDICAL_ADVICE_TODAY"))]:
                shown.append((f"five {given}", FIVE.result(given, area, role).as_text(*SAY.values())))
            shown.append(("goal", FIVE.goal(role)))
    return list({text: (where, re.sub(r"\{\w+\}", "this", text) if where.startswith(("system", *_RAW)) else text) for where, text in shown if text}.values())


def test_a_person_is_needed_when_the_school_stops():
    given = facts(**IN_F, over_core="yes", provider="school has bought it in")
    assert RESPONSIBILITY.result(given, AREAS["somerset"], "parent").person == "offer"
    assert RESPONSIBILITY.result({**given, "stopping": "yes"}, AREAS["somerset"], "parent").person == "yes"


@lru_cache(maxsize=1)
def _representatives() -> list[dict[str, str]]:
    """One combination for each area and set of rows; the sentences of "You told us" are looked at one by one."""
    found = {}
    for combination in product("area", "bounced", "plan", "need_in_plan", "section", "disputed"):
        for over_core, assessed in (("yes", "no"), ("no", "yes"), ("unsure", "unsure")):
            for provider, discharged in (("we pay", "no"), ("school has bought it in", "yes"), ("nobody", "no")):
                given = {**combination, "over_core": over_core, "assessed": assessed, "provider": provider, "discharged": discharged}
                decision = RESPONSIBILITY.decide(given)
                rows = (decision.row, decision.state, *decision.also)
                found[(given["area"], *(row and row.id for row in rows))] = given
    return list(found.values())


NEVER = [
    *(r"NHS must provide", r"school must pay", r"entitled to a lead professional", r"\byou will win", r"don.t need to worry", r"\b\d+ sessions\b"),
    *(r"\b(in)?eligible\b", r"\bqualif(y|ies|ied)\b", r"\b(meets?|doesn.t meet|not meet) (the )?criteria\b", r"\baccepted\b", r"\brejected\b"),
    *(r"\bnormal\b", r"\babnormal\b", r"\bdelay(ed)?\b", r"\bdisorder\b", r"\bdiagnos", r"\b(your child|the pupil) needs\b", r"\bscore\b", r"\bper ?cent|%"),
    *(r"\byou will be seen\b", r"can.t refer until", r"\bnot ours\b", r"\bjust slow\b", r"\bwait and see\b", r"\bnothing is wrong\b", r"therapy won.t help your"),
    *(r"won.t be reviewed", r"\bthis is (over and )?above core\b", r"\btriage\b", r"suffering from", r"[{}]", r"\bwait(ing)? (time )?(is|of) (about )?\d+"),
]


@pytest.mark.parametrize("never", NEVER)
def test_nothing_on_the_never_say_lists_can_be_produced(never):
    assert [where for where, text in reachable() if re.search(never, text, re.IGNORECASE)][:3] == []


def test_not_responsible_is_never_the_last_word():
    for where, text in reachable():
        if "not that service's responsibility" in text or "not its responsibility" in text:
            assert "By law the council must make sure" in text, where


def test_the_row_that_takes_nothing_away_never_says_that_it_does():
    given = facts(**IN_F, over_core="no", assessed="yes")
    for role in ("parent", "school"):
        assert "not that service's responsibility" not in RESPONSIBILITY.result(given, AREAS["somerset"], role).as_text(*SAY.values())


def test_a_school_is_never_spoken_to_as_a_parent():
    for combination in _representatives():
        text = RESPONSIBILITY.result(combination, AREAS["somerset"], "school").as_text(*SAY.values())
        assert "your child" not in text.lower(), combination
    for given in all_five()[::11]:
        text = FIVE.result(given, AREAS["somerset"], "school").as_text(*SAY.values())
        assert "your child" not in text.lower(), given


def own_words(text: str) -> str:
    """Without quotations, names, addresses and the headings of lists: what we ourselves wrote."""
    text = re.sub(r'"[^"]*"', "this", text)
    text = re.sub(r"https?://\S+|\(checked [^)]*\)|\d{4} \d{3} \d{4}", "", text)
    return re.sub(r"(?m)^- .*$|^[^.\n]*:$", "", text)


def test_reading_age_alarm():
    """Nine to eleven year olds read about US grades 4 to 6; legal terms that cannot be avoided lift a text by two."""
    hard = {}
    for where, text in reachable():
        words = own_words(text)
        if len(words.split()) >= 30 and (grade := textstat.automated_readability_index(words)) > 7.5:
            hard[where] = grade
    assert hard == {}


def test_sentences_are_short():
    spec = "In Somerset, the therapy service's page says: if therapy in a plan"  # the rule book's own model answer
    long = set()
    for _, text in reachable():
        for sentence in re.split(r"(?<=[.!?])\s+|\n+", re.sub(r'"[^"]*"', "this", text)):
            if len(sentence.split()) > 26 and spec not in sentence and "http" not in sentence:
                long.add(sentence)
    assert long == set()


def test_no_table_row_is_without_its_sentences():
    for row in (*RESPONSIBILITY.gates, *RESPONSIBILITY.states):
        assert row["sources"] or row["law_sources"] or row.id in ("B0", "B2"), row.id
    for row in RESPONSIBILITY.also:
        assert row["sources"], row.id
    assert all(entry["sources"] for entry in FIVE.messages.values())


def test_conditions_name_values_that_exist():
    for row in (*RESPONSIBILITY.gates, *RESPONSIBILITY.states, *RESPONSIBILITY.also):
        for condition in row.when:
            for name, values in condition.items():
                if name in RESPONSIBILITY.inputs:
                    assert set(values) <= set(RESPONSIBILITY.inputs[name].values), row.id
    assert fits({}, {}) and isinstance(FIVE, FiveQuestions)
