"""Recall and false masks of masking, by kind, on the written messages of tests/data/masking; `python -m benchmarks.masking` prints them."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from bot.privacy.masking import KINDS, Found, Masker
from bot.settings import ROOT

MESSAGES = ROOT / "tests" / "data" / "masking"
_MARK = re.compile(r"\{(?P<kind>[a-z_]+)\|(?P<it>[^}]*)\}")


@dataclass(frozen=True)
class Labelled:
    """A message and what must be masked in it."""

    text: str
    expected: tuple[Found, ...]


@dataclass
class Measure:
    """Counts by kind: items, items found whole, masks where nothing was to be masked; and what was missed and wrongly masked."""

    items: Counter
    found: Counter
    false: Counter
    messages: int
    missed: list[tuple[str, str, str]]
    wrong: list[tuple[str, str, str]]

    @property
    def recall(self) -> float:
        """Share of items masked whole, over all kinds."""
        return sum(self.found.values()) / sum(self.items.values())


def read(path: Path, changed: Callable[[str], str] = str) -> list[Labelled]:
    """The messages of a file, one a line, marked `{kind|text}`; each line `changed` first."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_labelled(changed(line)) for line in lines if line.strip() and not line.startswith("#")]


_STRANGERS = ("Zarvin", "Tolemka", "Quisandra", "Brenwick", "Odarsi", "Fenlo", "Ulmatha", "Kirvane")


def strangers(line: str) -> str:
    """A marked line with every name in it changed to made-up ones that are in no list, written as the name was."""
    made, at, used = "", 0, 0
    for mark in _MARK.finditer(line):
        it = mark["it"]
        if mark["kind"] == "name" and it.isascii():
            words = []
            for word in it.split():
                stranger = _STRANGERS[(used + len(line)) % len(_STRANGERS)]
                used += 1
                words.append(stranger.lower() if word.islower() else stranger.upper() if word.isupper() and len(word) > 1 else stranger)
            it = " ".join(words)
        made += f"{line[at : mark.start()]}{{{mark['kind']}|{it}}}"
        at = mark.end()
    return made + line[at:]


def _labelled(line: str) -> Labelled:
    text, expected, at = "", [], 0
    for mark in _MARK.finditer(line):
        text += line[at : mark.start()]
        expected.append(Found(len(text), len(text) + len(mark["it"]), mark["kind"]))
        text += mark["it"]
        at = mark.end()
    return Labelled(text + line[at:], tuple(expected))


def measure(masker: Masker, messages: list[Labelled]) -> Measure:
    """An item counts as found when no letter or figure of it is left, whatever kind it was taken for."""
    made = Measure(Counter(), Counter(), Counter(), len(messages), [], [])
    for message in messages:
        found = masker.find(message.text)
        covered = {at for one in found for at in range(one.start, one.end)}
        for item in message.expected:
            made.items[item.kind] += 1
            left = [at for at in range(item.start, item.end) if message.text[at].isalnum() and at not in covered]
            if left:
                made.missed.append((item.kind, message.text[item.start : item.end], message.text))
            else:
                made.found[item.kind] += 1
        for one in found:
            if not any(one.start < item.end and item.start < one.end for item in message.expected):
                made.false[one.kind] += 1
                made.wrong.append((one.kind, message.text[one.start : one.end], message.text))
    return made


def table(made: Measure) -> str:
    """The counts as a Markdown table."""
    rows = [f"| {kind} | {made.items[kind]} | {made.found[kind]} | {made.false[kind]} |" for kind in KINDS if made.items[kind] or made.false[kind]]
    total = f"| **all** | {sum(made.items.values())} | {sum(made.found.values())} ({made.recall:.1%}) | {sum(made.false.values())} in {made.messages} messages |"
    return "\n".join(["| kind | in the messages | masked whole | masked wrongly |", "|---|---|---|---|", *rows, total])


def usual_masker() -> Masker:
    """The masker with the names that come with the project, and no number known to be public but the helplines."""
    return Masker.load(ROOT / "data" / "policy" / "names.yml", ["0303 033 3002", "01749 836691", "0300 123 2224"])


def main(arguments: list[str]) -> None:
    """Print the tables; with `-v` also what was missed and what was masked wrongly, with names of files to look at only these."""
    masker = usual_masker()
    files = [MESSAGES / name for name in arguments if not name.startswith("-")] or sorted(MESSAGES.glob("*.txt"))
    for path in files:
        for title, messages in ((path.name, read(path)), (f"{path.name}, with names that are in no list", read(path, strangers))):
            began = time.process_time()
            made = measure(masker, messages)
            each = (time.process_time() - began) / len(messages) * 1000
            print(f"\n{title} ({each:.2f} ms a message)\n\n{table(made)}")
            if "-v" in arguments:
                for what, listed in (("missed", made.missed), ("wrong", made.wrong)):
                    for kind, it, text in listed:
                        print(f"{what:7} {kind:14} {it!r:40} {text}")


if __name__ == "__main__":
    main(sys.argv[1:])
