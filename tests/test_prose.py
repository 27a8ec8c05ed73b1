"""Plain text as paragraphs and lists."""

from __future__ import annotations

import pytest

from bot.pages.prose import Block, blocks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("one", [Block(False, ("one",))]),
        ("one\ntwo", [Block(False, ("one", "two"))]),
        ("one\n\ntwo", [Block(False, ("one",)), Block(False, ("two",))]),
        ("one\r\n \r\ntwo", [Block(False, ("one",)), Block(False, ("two",))]),
        ("so:\n- a\n- b\nend", [Block(False, ("so:",)), Block(True, ("a", "b")), Block(False, ("end",))]),
        ("-3 degrees\n-", [Block(False, ("-3 degrees", "-"))]),
    ],
)
def test_text_becomes_paragraphs_and_lists(text, expected):
    assert blocks(text) == expected
