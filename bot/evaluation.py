"""`signpost evaluate`: messages put to the running system one conversation each, and what came back counted (contract 3)."""

from __future__ import annotations

import csv
import math
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Sequence

import httpx

from bot.running import running
from bot.settings import Settings

URGENT = frozenset({"urgent_medical", "urgent_safeguarding", "urgent_mental_health"})
_CLIENTS = 2


class FileProblem(Exception):
    """The CSV cannot be used; the message says why."""


@dataclass(frozen=True)
class Row:
    """One message and the topics that are right for it. `clarify` means that asking back is right."""

    text: str
    expect: str
    accept: frozenset[str]
    second: frozenset[str]
    role: str
    extra: dict[str, str]


@dataclass(frozen=True)
class Judged:
    """What the system made of a row."""

    row: Row
    verdict: str
    topics: tuple[str, ...]
    choices: tuple[str, ...]
    outcomes: tuple[str, ...]
    milliseconds: float
    second_answered: bool
    urgent_shown: bool

    @property
    def is_urgent(self) -> bool:
        """Whether the row is an emergency."""
        return self.row.expect in URGENT

    @property
    def false_alarm(self) -> bool:
        """Emergency lines for a message that is none."""
        return self.urgent_shown and not ({self.row.expect, *self.row.accept} & URGENT)


def read_rows(file: Path) -> list[Row]:
    """Rows of a CSV with the columns text, expect and optionally accept, second, role. Raises FileProblem."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            table = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise FileProblem(f"{file} cannot be read: {problem}") from problem
    if not table or not {"text", "expect"} <= set(table[0]):
        raise FileProblem(f"{file} needs the columns text and expect, and at least one row")
    return [
        Row(
            text=line["text"],
            expect=(line["expect"] or "").strip(),
            accept=_ids(line.get("accept")),
            second=_ids(line.get("second")),
            role="school" if line.get("role") in ("senco", "school") else "parent",
            extra=line,
        )
        for line in table
    ]


def _ids(value: str | None) -> frozenset[str]:
    return frozenset(part.strip() for part in (value or "").split("|") if part.strip())


def judge(row: Row, messages: Sequence[dict[str, Any]], milliseconds: float) -> Judged:
    """Hold the messages that came back against a row.

    right: an answer on a right topic. asked: a question back that offers a right topic (or any, where asking back is right).
    asked_wrong: a question back without one. handed: passed to a person. wrong: an answer on another topic.
    """
    said = [m for m in messages if m["author"] == "assistant"]
    answered = [m for m in said if m["outcome"] not in ("clarify", None) and m["topic"]]
    topics = tuple(m["topic"] for m in answered)
    choices = tuple(c["topic"] for m in said if m["outcome"] == "clarify" for c in m["choices"] if c.get("topic"))
    right = {row.expect, *row.accept}
    asked = any(m["outcome"] == "clarify" for m in said)
    if right & set(topics):
        verdict = "right"
    elif asked and "clarify" in right:
        verdict = "right"
    elif topics:
        verdict = "wrong"
    elif asked:
        verdict = "asked" if right & set(choices) else "asked_wrong"
    else:
        verdict = "handed"
    return Judged(
        row,
        verdict,
        topics,
        choices,
        tuple(m["outcome"] or "" for m in said),
        milliseconds,
        bool(row.second & set(topics)),
        any(m["outcome"] == "urgent" for m in said),
    )


def ask(client: httpx.Client, row: Row) -> Judged:
    """Put a row to the system as a conversation of its own."""
    session = client.post("/api/chat/sessions", json={"role": row.role}).json()
    headers = {"Authorization": f"Bearer {session['token']}"}
    began = time.perf_counter()
    answer = client.post("/api/chat/messages", headers=headers, json={"client_id": uuid.uuid4().hex, "text": row.text})
    if answer.status_code >= 400:
        return judge(row, [], 0.0)
    body = answer.json()
    messages = body["messages"]
    while not messages:
        messages = client.get("/api/chat/messages", headers=headers, params={"after": body["accepted"], "wait": 25}).json()["messages"]
    return judge(row, messages, (time.perf_counter() - began) * 1000)


def interval(hits: int, total: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    if total == 0:
        return 0.0, 1.0
    z, share = 1.96, hits / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def summary(judged: Sequence[Judged]) -> dict[str, tuple[int, int]]:
    """Each figure as (count, out of)."""
    count = {v: sum(j.verdict == v for j in judged) for v in ("right", "wrong", "asked", "asked_wrong", "handed")}
    urgent = [j for j in judged if j.is_urgent]
    english = [j for j in urgent if j.row.extra.get("lang", "en") in ("", "en")]
    calm = [j for j in judged if not ({j.row.expect, *j.row.accept} & URGENT)]
    double = [j for j in judged if j.row.second]
    total = len(judged)
    return {
        "right at the first reply": (count["right"], total),
        "right, or asked back with the right topic": (count["right"] + count["asked"], total),
        "wrong": (count["wrong"], total),
        "asked back without the right topic": (count["asked_wrong"], total),
        "handed over": (count["handed"], total),
        "urgent recognised": (sum(j.urgent_shown for j in urgent), len(urgent)),
        "urgent recognised, English": (sum(j.urgent_shown for j in english), len(english)),
        "false alarms": (sum(j.false_alarm for j in calm), len(calm)),
        "both questions answered": (sum(j.verdict == "right" and j.second_answered for j in double), len(double)),
    }


def print_summary(judged: Sequence[Judged]) -> None:
    """The figures with their intervals, and latency."""
    for name, (hits, total) in summary(judged).items():
        low, high = interval(hits, total)
        share = hits / total if total else 0.0
        print(f"{name:44} {hits:4} of {total:4}  {share:6.1%}  ({low:.1%} to {high:.1%})")
    times = sorted(j.milliseconds for j in judged)
    if times:
        print(f"{'latency of a turn, median and 95th':44} {times[len(times) // 2]:.0f} ms, {times[int(len(times) * 0.95)]:.0f} ms")


def write_rows(out: Path, judged: Iterable[Judged]) -> None:
    """A CSV row for each message."""
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "expect", "accept", "second", "verdict", "topics", "choices", "outcomes", "milliseconds"])
        for j in judged:
            row = j.row
            writer.writerow(
                [row.text, row.expect, "|".join(sorted(row.accept)), "|".join(sorted(row.second)), j.verdict]
                + ["|".join(j.topics), "|".join(j.choices), "|".join(j.outcomes), f"{j.milliseconds:.0f}"]
            )


def evaluate(rows: Sequence[Row], url: str) -> list[Judged]:
    """Put every row to a running system, two at a time."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client, ThreadPoolExecutor(_CLIENTS) as pool:
        return list(pool.map(lambda row: ask(client, row), rows))


def run_file(file: Path, out: Path | None, url: str, settings: Settings) -> None:
    """The command: read, ask, print, write."""
    try:
        rows = read_rows(file)
    except FileProblem as problem:
        raise SystemExit(str(problem)) from problem
    with nullcontext() if url else running(area=settings.area) as system:
        judged = evaluate(rows, url or system.url)
    print_summary(judged)
    if out:
        write_rows(out, judged)
