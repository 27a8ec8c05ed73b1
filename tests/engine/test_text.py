"""Text made ready: cleaned, spelt out, mended, cut."""

from __future__ import annotations

import pytest

from bot.nlu.text import Glossary, TypingMender, clean, sentences

GLOSSARY = Glossary({"ehcp": "education health and care plan", "senco": "special needs coordinator in school"}, {"SEND": "special educational needs", "ITS": "integrated therapy service"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two   spaces\n and lines ", "two spaces and lines"),
        ("<b>bold</b> <script>alert(1)</script>", "bold alert(1)"),
        ("a\x00b\x07c", "a b c"),
        ("left\u202eright\u200bjoined", "leftrightjoined"),
        ("ＥＨＣＰ", "EHCP"),
        ("x" * 5000, "x" * 4000),
        ("", ""),
    ],
)
def test_clean(text, expected):
    assert clean(text) == expected


def test_abbreviations_are_spelt_out_in_any_case():
    assert GLOSSARY.spell_out("the EHCP, his ehcp") == "the education health and care plan, his education health and care plan"


def test_words_that_only_look_like_abbreviations_are_left_alone():
    assert GLOSSARY.spell_out("can you send its form") == "can you send its form"
    assert GLOSSARY.spell_out("the SEND team of ITS") == "the special educational needs team of integrated therapy service"


def test_typing_errors_are_mended_and_the_fields_own_words_are_not_touched():
    mender = TypingMender({"makaton", "camhs", "dyspraxia"})
    assert mender.mend("she has a theraphy appointmnt") == "she has a therapy appointment"
    assert mender.mend("makaton and camhs for dyspraxia") == "makaton and camhs for dyspraxia"
    assert mender.mend("dyspraxa") == "dyspraxia"


def test_sentences_are_cut_at_their_ends_and_single_words_stay_with_their_sentence():
    assert sentences("He was discharged. Why? Can we come back! also who pays") == ["He was discharged. Why?", "Can we come back!", "also who pays"]
    assert sentences("one line\nanother line") == ["one line", "another line"]
    assert sentences("") == []


def test_a_rare_word_is_a_word_and_a_name_is_a_name():
    mender = TypingMender({"physio", "makaton"})
    assert mender.mend("panting and lumpy, both forearms") == "panting and lumpy, both forearms"
    assert mender.mend("Idris and Marnie") == "Idris and Marnie"
    assert mender.mend("Makatn") == "makaton"
