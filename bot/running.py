"""A whole Signpost of its own for a while: on free ports, with its own data directory, for evaluation, benchmarks and tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import httpx

from bot.settings import ROOT

_LONGEST_START = 120.0


class DidNotStart(Exception):
    """The system did not become ready; the message holds what it printed."""


@dataclass
class Running:
    """A running system: where it answers, where its files are, and its supervisor's process."""

    url: str
    folder: Path
    process: subprocess.Popen
    output: Path

    def wait_until_ready(self, seconds: float = _LONGEST_START) -> None:
        """Return when the engine and the app answer. Raises DidNotStart."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise DidNotStart(self.output.read_text())

    def children(self) -> dict[str, int]:
        """Process ids of the supervisor's children by name: `engine`, `app`, `worker`."""
        names = {"bot.engine.serve": "engine", "bot.serve": "app", "worker": "worker"}
        return {names[part]: pid for pid, command in children_of(self.process.pid).items() for part in command if part in names}

    def stop(self) -> int:
        """Stop it as Ctrl-C does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(40)


def children_of(pid: int) -> dict[int, list[str]]:
    """The processes that one has started and that still are there: their ids, with the command of each."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found[int(entry.name)] = (entry / "cmdline").read_text().split("\0")
            except (OSError, ValueError):
                continue
    return found


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(**settings: str) -> Iterator[Running]:
    """Start a system with the given `SIGNPOST_*` settings (lower case, without the prefix) and stop it at the end."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIGNPOST_")},
            "SIGNPOST_PORT": str(port),
            "SIGNPOST_ENGINE_PORT": str(free_port()),
            "SIGNPOST_DATA_DIR": folder,
            "SIGNPOST_RATE_LIMITS": "off",
            **{f"SIGNPOST_{name.upper()}": value for name, value in settings.items()},
        }
        output = Path(folder) / "output.txt"
        with output.open("w") as written:
            process = subprocess.Popen([sys.executable, "-m", "bot.cli", "run"], cwd=ROOT, env=environment, stdout=written, stderr=subprocess.STDOUT)
        system = Running(f"http://127.0.0.1:{environment['SIGNPOST_PORT']}", Path(folder), process, output)
        try:
            system.wait_until_ready()
            yield system
        finally:
            system.stop()
