"""Danger words: found in plain, broken and misspelt English and in the area's other languages; figures of speech left alone."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import yaml

from bot.nlu.urgent import UrgentPatterns


POLICY = Path(__file__).resolve().parents[2] / "data" / "policy" / "urgent.yml"


@pytest.fixture(scope="module")
def patterns():
    return UrgentPatterns.load(POLICY)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("my son is choking", "urgent_medical"),
        ("she isnt breathing!!", "urgent_medical"),
        ("baby lips gone blue", "urgent_medical"),
        ("he swallowed a button battery", "urgent_medical"),
        ("shes having a fit right now and wont wake up", "urgent_medical"),
        ("her dad hits her with a belt", "urgent_safeguarding"),
        ("i am scared i am going to hurt my baby", "urgent_safeguarding"),
        ("my daughter says she wants to die", "urgent_mental_health"),
        ("hes been cutting his arms", "urgent_mental_health"),
        ("i want to kill myself", "urgent_mental_health"),
        ("he keeps saying what's the point of me", "urgent_mental_health"),
        ("my boy says we'd be happier without him", "urgent_mental_health"),
        ("i've had thoughts of not being here", "urgent_mental_health"),
        ("a boy in year 10 has got a plan of when and how he'd do it", "urgent_mental_health"),
        ("she's made a plan how she will end it", "urgent_mental_health"),
        ("no point booking anything, i wont be around for my birthday", "urgent_mental_health"),
        ("mum says their takin me over there to get maried", "urgent_safeguarding"),
        ("my partner scares us", "urgent_safeguarding"),
        ("he was left on his own all night", "urgent_safeguarding"),
        ("I am worried about what goes on at home", "urgent_safeguarding"),
        ("she choked at tea and hasn't been right since", "urgent_medical"),
        ("the plaster has gone cold and he can't feel his toes", "urgent_medical"),
    ],
)
def test_danger_is_found(patterns, text, topic):
    assert topic in [d.topic for d in patterns.find(text)]


@pytest.mark.parametrize(
    "text",
    [
        "the wait is killing me",
        "I'm dying to know what happens next",
        "we are drowning in paperwork",
        "he had a seizure as a baby, is that why he talks late",
        "he hits other children at school when he can't get his words out",
        "school wants safeguarding training for staff",
        "who pays for the speech therapy",
        "this is doing my head in",
        "what's the point of me filling it in again",
        "they think the class would be happier without him",
        "who looks after him when I'm dead",
        "she chokes up when she has to read aloud",
        "we moved two years ago after domestic abuse",
        "he self-harmed three years ago and is well now, my question is about his stammer",
        "I won't be here for the visit on Tuesday",
        "i wont be around for the meeting",
        "hell be dead and buried before we get to the top of that list",
        "a suicidal decision by the council",
    ],
)
def test_a_figure_of_speech_or_the_past_is_no_alarm(patterns, text):
    assert patterns.find(text) == []


def test_one_danger_beside_a_figure_of_speech_still_counts(patterns):
    assert [d.topic for d in patterns.find("the wait is killing me and now my son says he wants to kill himself")] == ["urgent_mental_health"]


@pytest.mark.parametrize("file", sorted(POLICY.with_suffix("").glob("*.yml")), ids=lambda file: file.stem)
def test_every_phrase_of_the_other_languages_is_found(patterns, file):
    for topic, entry in yaml.safe_load(file.read_text(encoding="utf-8"))["topics"].items():
        for phrase in entry.get("phrases", ()):
            assert topic in [d.topic for d in patterns.find(phrase)], phrase


@pytest.mark.parametrize("language", sorted(file.stem for file in POLICY.with_suffix("").glob("*.yml")))
def test_messages_in_another_language_raise_the_alarm_where_they_should_and_only_there(patterns, language):
    with (Path(__file__).parents[1] / "data" / "urgent-languages.tsv").open(encoding="utf-8") as lines:
        told = [(topic, text) for topic, code, text in csv.reader(lines, delimiter="\t") if code == language]
    assert len(told) > 20
    found = [(topic, text, [d.topic for d in patterns.find(text)]) for topic, text in told]
    assert [(topic, text, topics) for topic, text, topics in found if (bool(topics) if topic == "none" else topic not in topics)] == []


def test_the_topic_of_the_classifier_and_those_of_the_patterns_are_both_answered():
    from bot.nlu.graph.urgent_guard import _urgent_first

    urgent = {"urgent_medical", "urgent_mental_health"}
    assert _urgent_first(["urgent_medical"], ["urgent_mental_health"], urgent) == ["urgent_mental_health", "urgent_medical"]
    assert _urgent_first(["urgent_medical"], ["waiting_time"], urgent) == ["urgent_medical", "waiting_time"]


def test_curly_apostrophes_are_apostrophes(patterns):
    assert [d.topic for d in patterns.find("he won’t wake up")] == [d.topic for d in patterns.find("he won't wake up")] != []


@pytest.mark.parametrize("said", ["she struggles for air", "he is strugling for air", "they struggled for air", "he's struggling for air"])
def test_a_lemma_is_found_in_every_form_and_misspelling(patterns, said):
    assert [d.topic for d in patterns.find(said)] == ["urgent_medical"]


def test_every_lemma_is_used_and_every_one_used_is_listed():
    text = POLICY.read_text(encoding="utf-8")
    listed = yaml.safe_load(text)["words"]
    assert set(re.findall(r"~([a-z]+)", text.split("topics:\n", 1)[1])) == set(listed)
    assert all(lemma in forms.split() for lemma, forms in listed.items())


def test_a_lemma_that_is_not_listed_is_refused():
    policy = {"words": {}, "topics": {"urgent_medical": {"patterns": [["~choke", "now"]]}}, "not_urgent": {}}
    with pytest.raises(ValueError, match="~choke"):
        UrgentPatterns(policy)
