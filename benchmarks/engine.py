"""Signpost against stock Rasa on the same data in one run: `python -m benchmarks.engine` in the app's environment writes benchmarks/engine.md.

Stock's 100 epochs on this data take hours on two cores. So stock is trained with one epoch and with two; the difference is what an
epoch takes, and the time for 100 is reckoned from it (`--all-epochs` trains them all). Memory and the cost of a turn are those of the
same network, whatever the number of epochs.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Iterator

import yaml

from benchmarks import load
from benchmarks.stock import make_project
from bot.running import children_of, free_port, running
from bot.settings import ROOT
from bot.setup.environments import ENGINE

CLIENTS = {1: 60, 16: 480}
# each round loads both systems; what is told is the median of the rounds
ROUNDS = 5
RASA = str(ENGINE.folder / "bin" / "rasa")
# clients and turns: every message is asked at least once
WARM_UP = (16, 112)


@dataclass
class Figures:
    """What was measured of one system."""

    train_seconds: float = 0.0
    epoch_seconds: float = 0.0
    start_seconds: float = 0.0
    memory_mb: float = 0.0
    loads: dict[int, list[load.Load]] = field(default_factory=dict)


def messages() -> list[str]:
    """One example from each intent: both systems are asked the same."""
    found = []
    for file in sorted((ROOT / "data" / "nlu").glob("*.yml")):
        for entry in yaml.safe_load(file.read_text())["nlu"]:
            if not entry["intent"].startswith("urgent"):
                found.append(entry["examples"].splitlines()[7].removeprefix("- "))
    return found


def held_mb(pid: int) -> float:
    """Memory that a process and those under it hold; a page that several share is counted once (PSS)."""
    pages = [line for each in (pid, *children_of(pid)) for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")]
    return sum(int(line.split()[1]) for line in pages) / 1024


def timed(command: list[str], cwd: Path, environment: dict[str, str]) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    return time.perf_counter() - began


def quiet_environment() -> dict[str, str]:
    """Telemetry off, bytecode read."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SIGNPOST_")}
    return {**kept, "RASA_TELEMETRY_ENABLED": "false", "SIGNPOST_ACTIONS_URL": "", "SIGNPOST_ENGINE_TOKEN": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def measure(asked: list[str], all_epochs: bool) -> tuple[Figures, Figures]:
    """Train and start both systems (Signpost, stock), then load them in turn, ROUNDS times."""
    ours, stock = Figures(), Figures()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as both:
        project = Path(folder) / "stock"
        project.mkdir()
        train_signpost(ours, Path(folder))
        train_stock(stock, project, all_epochs)
        sides = (
            (ours, load.signpost_begin, load.signpost_turn, *both.enter_context(signpost_started(ours, asked[0]))),
            (stock, load.stock_begin, load.stock_turn, *both.enter_context(stock_started(stock, asked[0], project))),
        )
        for figures, begin, turn, port, _ in sides:
            load.run(port, *WARM_UP, asked, begin, turn)
        for clients, turns in CLIENTS.items():
            for _ in range(ROUNDS):
                for figures, begin, turn, port, _ in sides:
                    figures.loads.setdefault(clients, []).append(load.run(port, clients, turns, asked, begin, turn))
        for figures, _, _, _, pid in sides:
            figures.memory_mb = held_mb(pid)
    return ours, stock


def train_signpost(figures: Figures, folder: Path) -> None:
    """Train the project's model."""
    command = [str(ENGINE.executable), "-m", "bot.engine.train", str(folder / "model.tar.gz")]
    figures.train_seconds = timed(command, ROOT, quiet_environment())


def train_stock(figures: Figures, project: Path, all_epochs: bool) -> None:
    """Train stock's model, with all its epochs or with one and with two."""

    def train(epochs: int) -> float:
        make_project(project, ENGINE.folder, epochs)
        return timed([RASA, "train", "--force", "--fixed-model-name", "stock"], project, quiet_environment())

    if all_epochs:
        figures.train_seconds = train(100)
    else:
        one, two = train(1), train(2)
        figures.epoch_seconds = two - one
        figures.train_seconds = one + 99 * figures.epoch_seconds


@contextmanager
def signpost_started(figures: Figures, first: str) -> Iterator[tuple[int, int]]:
    """The whole system: its port and its engine's process."""
    began = time.perf_counter()
    with running(train="off") as system:
        port = int(system.url.rpartition(":")[2])
        _first_answer(port, load.signpost_begin, load.signpost_turn, first)
        figures.start_seconds = time.perf_counter() - began
        yield port, system.children()["engine"]


@contextmanager
def stock_started(figures: Figures, first: str, project: Path) -> Iterator[tuple[int, int]]:
    """Stock Rasa behind its REST channel: its port and its process."""
    port, began = free_port(), time.perf_counter()
    with _serving([RASA, "run", "-p", str(port), "-i", "127.0.0.1", "--credentials", "credentials.yml"], project) as process:
        _first_answer(port, load.stock_begin, load.stock_turn, first)
        figures.start_seconds = time.perf_counter() - began
        yield port, process.pid


@contextmanager
def _serving(command: list[str], cwd: Path) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, cwd=cwd, env=quiet_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _first_answer(port: int, begin, turn, text: str) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            if turn(connection, begin(connection), text):
                return
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            pass
        time.sleep(0.1)
    raise SystemExit("no answer within five minutes")


def table(ours: Figures, stock: Figures) -> str:
    """The figures as Markdown, each with its ratio."""
    rows = [
        ("time to train, s", stock.train_seconds, ours.train_seconds, "times faster", stock.train_seconds / ours.train_seconds),
        ("start to first answer, s", stock.start_seconds, ours.start_seconds, "times sooner", stock.start_seconds / ours.start_seconds),
        ("engine's memory after the load, MB", stock.memory_mb, ours.memory_mb, "of stock's", ours.memory_mb / stock.memory_mb),
    ]
    told = (("p50 of a turn at {}, ms", "of stock's", lambda x: x.percentile(0.5)), ("p95 of a turn at {}, ms", "of stock's", lambda x: x.percentile(0.95)))
    for clients in CLIENTS:
        for name, word, figure in (*told, ("turns a second at {}", "times stock's", lambda x: x.rate)):
            a, b = [figure(x) for x in stock.loads[clients]], [figure(x) for x in ours.loads[clients]]
            rows.append((name.format(f"{clients} clients" if clients > 1 else "1 client"), median(a), median(b), word, median(y / x for x, y in zip(a, b))))
    lines = ["| | stock Rasa | Signpost | ratio |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {name} | {a:.1f} | {b:.1f} | **{ratio:.2f}** {word} |" for name, a, b, word, ratio in rows])


def main() -> None:
    """Measure both and write the page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "engine.md")
    options.add_argument("--all-epochs", action="store_true", help="train stock's 100 epochs instead of reckoning them from two")
    given = options.parse_args()
    asked = messages()
    ours, stock = measure(asked, given.all_epochs)
    reckoned = "" if given.all_epochs else (
        f"Stock's training time is reckoned: one epoch of everything took {stock.epoch_seconds:.0f} s (two epochs less one), and stock has 100. "
        "It was not waited for; `--all-epochs` does.\n\n"
    )
    failures = sum(x.failures for rounds in ours.loads.values() for x in rounds)
    most = max(CLIENTS)
    ratios = [b.rate / a.rate for a, b in zip(stock.loads[most], ours.loads[most])]
    page = (
        "# Signpost against stock Rasa\n\n"
        "`make benchmark` makes this page: both systems in one run, on the same examples, loaded in turn; each figure of the load is the median of\n"
        f"{ROUNDS} rounds, each ratio that of the rounds' ratios. Stock is what `rasa init`\n"
        "configures (DIET, ResponseSelector, TED and UnexpecTED, 100 epochs each, with the real TensorFlow) behind its\n"
        "REST channel with stored responses. Signpost is the whole system: chat API, message and answer on disk (SQLite, synchronous=FULL),\n"
        "engine, custom actions, sources. Before the load every message is asked once. The client runs on the same two cores. Single figures vary with the machine; the ratios are the claim.\n\n"
        f"{table(ours, stock)}\n\n{reckoned}"
        f"Turns a second at {most} clients, round by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)} times stock's.\n\n"
        f"{len(asked)} different messages; turns of Signpost that the engine did not answer: {failures}. Python {sys.version.split()[0]}, {os.cpu_count()} cores.\n"
    )
    # what was written by hand below the figures stays
    _, heading, notes = (given.out.read_text() if given.out.exists() else "").partition("\n## ")
    given.out.write_text(page + heading + notes)
    print(page)


if __name__ == "__main__":
    main()
