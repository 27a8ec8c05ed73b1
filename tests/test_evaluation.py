"""`signpost evaluate`: what counts as right, and the gate that results may not fall below what was last committed."""

from __future__ import annotations

import json

import pytest

from bot.evaluation import FileProblem, Judged, Row, evaluate, interval, judge, read_rows, summary
from bot.settings import ROOT

DEV = ROOT / "benchmarks" / "data" / "dev.csv"
FLOOR = ROOT / "benchmarks" / "data" / "dev-results.json"


def row(expect: str, accept: str = "", second: str = "") -> Row:
    return Row("text", expect, frozenset(accept.split("|")) - {""}, frozenset(second.split("|")) - {""}, "parent", {})


def said(outcome: str, topic: str | None = None, choices=()) -> dict:
    return {"author": "assistant", "outcome": outcome, "topic": topic, "choices": [{"topic": c} for c in choices]}


@pytest.mark.parametrize(
    ("expected", "messages", "verdict"),
    [
        (row("a"), [said("answer", "a")], "right"),
        (row("a", "b|c"), [said("answer", "c")], "right"),
        (row("a"), [said("answer", "b")], "wrong"),
        (row("a"), [said("answer", "b"), said("answer", "a")], "right"),
        (row("a"), [said("clarify", None, ["b", "a"])], "asked"),
        (row("a"), [said("clarify", None, ["b"])], "asked_wrong"),
        (row("a"), [said("handoff")], "handed"),
        (row("talk_to_person"), [said("handoff", "talk_to_person")], "right"),
        (row("clarify"), [said("clarify", None, ["b"])], "right"),
        (row("clarify", "b"), [said("answer", "b")], "right"),
        (row("clarify"), [said("answer", "b")], "wrong"),
    ],
)
def test_what_counts_as_right(expected, messages, verdict):
    assert judge(expected, messages, 1.0).verdict == verdict


def test_both_questions_count_only_when_both_are_answered():
    both = judge(row("a", second="b"), [said("answer", "a"), said("answer", "b")], 1.0)
    one = judge(row("a", second="b"), [said("answer", "a")], 1.0)
    assert summary([both, one])["both questions answered"] == (1, 2)


def test_emergency_lines_for_a_calm_message_are_a_false_alarm():
    alarm = judge(row("waiting_time"), [said("urgent", "urgent_medical")], 1.0)
    other = judge(row("urgent_medical"), [said("urgent", "urgent_safeguarding")], 1.0)
    counted = summary([alarm, other])
    assert counted["false alarms"] == (1, 1) and counted["urgent recognised"] == (1, 1)


@pytest.mark.parametrize(("hits", "total", "low", "high"), [(90, 100, 0.826, 0.945), (0, 100, 0.0, 0.037), (0, 0, 0.0, 1.0), (5, 5, 0.566, 1.0)])
def test_wilsons_interval(hits, total, low, high):
    assert interval(hits, total) == pytest.approx((low, high), abs=0.002)


def test_a_file_without_the_columns_is_refused_in_words(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("message,topic\nx,y\n")
    with pytest.raises(FileProblem, match="columns text and expect"):
        read_rows(bad)
    with pytest.raises(FileProblem, match="cannot be read"):
        read_rows(tmp_path / "none.csv")


def test_accept_and_second_may_be_missing(tmp_path):
    plain = tmp_path / "plain.csv"
    plain.write_text("text,expect\nhello,greet\n")
    assert read_rows(plain)[0].accept == frozenset()


@pytest.fixture(scope="module")
def judged(system) -> list[Judged]:
    return evaluate(read_rows(DEV), system.url)


@pytest.mark.engine
@pytest.mark.parametrize("figure", json.loads(FLOOR.read_text()) if FLOOR.exists() else [])
def test_results_on_the_development_messages_are_not_below_what_was_last_committed(judged, figure):
    committed = json.loads(FLOOR.read_text())[figure]
    hits, total = summary(judged)[figure]
    if committed["better"] == "more":
        assert hits >= committed["count"] - committed["slack"], (hits, total)
    else:
        assert hits <= committed["count"] + committed["slack"], (hits, total)
