"""Entities: therapies in their many spellings, sections, ages, areas, references."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.nlu.entities import EntityFinder


@pytest.fixture(scope="module")
def finder():
    return EntityFinder.load(Path(__file__).resolve().parents[2] / "data" / "entities.yml")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("the SALT has left", "therapy", "speech and language therapy"),
        ("who provides his OT", "therapy", "occupational therapy"),
        ("physio stopped", "therapy", "physiotherapy"),
        ("it is in Section F", "section", "F"),
        ("he is at a special school", "setting", "special school"),
        ("my 4 year old", "age", "4 year old"),
        ("she is 9yo", "age", "9yo"),
        ("we live in Bristol", "area", "elsewhere"),
        ("in Hampshire now", "area", "hampshire"),
        ("ref SP-7A3K9M4T please", "reference", "SP-7A3K9M4T"),
        ("ref sp 7a3k9m4t please", "reference", "sp 7a3k9m4t"),
        ("foster carer here", "role", "foster carer"),
    ],
)
def test_what_is_named_is_found(finder, text, kind, value):
    assert (kind, value) in [(e.kind, e.value) for e in finder.find(text)]


def test_ordinary_words_are_not_places_or_references(finder):
    assert finder.find("all is well on our street, he is reading now and got spirit") == []
