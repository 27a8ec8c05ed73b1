"""Answers that are live as a change of `data/answers/`: a diff that `git apply` takes. Lines that say the same stay as they are."""

from __future__ import annotations

import json
import re
import textwrap
from datetime import date
from difflib import unified_diff
from pathlib import Path
from typing import Mapping

WIDTH = 120
_PLAIN = re.compile(r"[A-Za-z][\w ,.'’()/-]*")
_ORDER = ("text", "short", "school")


class Unknown(Exception):
    """A topic stands in no file."""


def diff(folder: Path, changes: Mapping[str, tuple[Mapping[str, str], date]], prefix: str = "data/answers") -> str:
    """The change of the files in `folder` that makes them say what `changes` has (fields and day of review by topic); nothing if none.

    Raises Unknown.
    """
    files = {path: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yml"))}
    written = dict(files)
    for topic, (fields, reviewed_on) in sorted(changes.items()):
        path = next((p for p, text in files.items() if re.search(rf"^{re.escape(topic)}:$", text, re.MULTILINE)), None)
        if path is None:
            raise Unknown(topic)
        written[path] = rewritten(written[path], topic, fields, reviewed_on)
    parts = []
    for path in files:
        name = f"{prefix}/{path.name}"
        parts += unified_diff(files[path].splitlines(True), written[path].splitlines(True), f"a/{name}", f"b/{name}")
    return "".join(parts)


def rewritten(text: str, topic: str, fields: Mapping[str, str], reviewed_on: date) -> str:
    """A file's text with other fields of one topic and its day of review."""
    lines = text.split("\n")
    start = lines.index(f"{topic}:")
    end = next((i for i in range(start + 1, len(lines)) if lines[i] and not lines[i].startswith((" ", "#"))), len(lines))
    entry = lines[start:end]
    for name in _ORDER:
        if name in fields:
            entry = _with_block(entry, name, fields[name])
    if "owner" in fields:
        entry = _with_line(entry, "owner", fields["owner"] if _PLAIN.fullmatch(fields["owner"]) else json.dumps(fields["owner"], ensure_ascii=False))
    entry = _with_line(entry, "reviewed_on", reviewed_on.isoformat())
    return "\n".join([*lines[:start], *entry, *lines[end:]])


def _with_line(entry: list[str], name: str, value: str) -> list[str]:
    return [f"  {name}: {value}" if line.startswith(f"  {name}:") else line for line in entry]


def _with_block(entry: list[str], name: str, text: str) -> list[str]:
    at = next((i for i, line in enumerate(entry) if re.match(rf"  {name}:", line)), None)
    block = _block(name, text) if text else []
    if at is None:
        after = next(i for i, line in enumerate(entry) if line.startswith("  sources:"))
        return [*entry[:after], *block, *entry[after:]]
    end = next((i for i in range(at + 1, len(entry)) if entry[i].strip() and not entry[i].startswith("    ")), len(entry))
    while end > at + 1 and not entry[end - 1].strip():
        end -= 1
    return [*entry[:at], *block, *entry[end:]]


def _block(name: str, text: str) -> list[str]:
    made = [f"  {name}: |"]
    for paragraph in re.split(r"\n\s*\n", text):
        if len(made) > 1:
            made.append("")
        for line in paragraph.split("\n"):
            is_item = line.startswith("- ")
            wrapped = [line] if is_item else textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
            made += [f"    {part}" for part in wrapped]
    return made
