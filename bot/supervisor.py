"""Engine and app under one parent that restarts what dies and stops both together."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Mapping, Sequence

logger = logging.getLogger(__name__)

_STEADY = 30.0
_LONGEST_PAUSE = 30.0
_GRACE = 10.0


class PortTaken(Exception):
    """Something else listens on a port that we need."""


def check_port(host: str, port: int, setting: str) -> None:
    """Raise PortTaken if nothing of ours could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            raise PortTaken(f"port {port} on {host} is in use ({problem.strerror}); set {setting} to another") from problem


@dataclass
class Child:
    """A process that is kept running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen | None = None
    started: float = 0.0
    failures: int = 0
    resume_at: float = field(default=0.0)

    def start(self) -> None:
        """Start it, in a group of its own so that Ctrl-C reaches only the supervisor."""
        self.process = subprocess.Popen(list(self.command), env=dict(self.environment), start_new_session=True)
        self.started = time.monotonic()

    def tend(self) -> None:
        """Restart it if it died: at once the first time, then after longer and longer pauses."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.resume_at:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        self.failures = 1 if now - self.started > _STEADY else self.failures + 1
        pause = min(_LONGEST_PAUSE, 0.0 if self.failures == 1 else 2.0 ** (self.failures - 1))
        logger.warning("the %s ended (exit %s); starting it again%s", self.name, code, f" in {pause:.0f} s" if pause else "")
        self.process, self.resume_at = None, now + pause
        if not pause:
            self.start()

    def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Keeps its children running until it is told to stop."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = list(children)
        self._stopping = threading.Event()

    def stop_on_signals(self) -> None:
        """Ctrl-C and SIGTERM stop everything."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._stopping.set())

    def start(self) -> None:
        """Start every child."""
        for child in self.children:
            if child.process is None:
                child.start()

    def watch(self) -> None:
        """Restart what dies until told to stop, then stop all, the last started first."""
        try:
            while not self._stopping.wait(0.25):
                for child in self.children:
                    child.tend()
        finally:
            for child in reversed(self.children):
                child.stop()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()


def child_environment(**extra: str) -> dict[str, str]:
    """This process's environment with telemetry and library warnings off and `extra` set."""
    return {**os.environ, "RASA_TELEMETRY_ENABLED": "false", "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore", **extra}


def python() -> str:
    """The interpreter that runs this."""
    return sys.executable
