"""The supervisor restarts what dies and stops everything together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from bot.settings import ROOT
from bot.supervisor import Child, PortTaken, Supervisor, check_port

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def child(command=SLEEP) -> Child:
    return Child("child", command, dict(os.environ))


def test_a_child_that_dies_is_started_again_at_once():
    one = child()
    one.start()
    first = one.process.pid
    one.process.kill()
    one.process.wait()
    one.tend()
    assert one.process.pid != first and one.process.poll() is None
    one.stop()


def test_a_child_that_dies_again_and_again_is_given_longer_and_longer_pauses():
    one = child([sys.executable, "-c", "raise SystemExit(3)"])
    one.start()
    one.process.wait()
    one.tend()
    one.process.wait()
    one.tend()
    assert one.process is None and one.resume_at > time.monotonic() + 1
    one.tend()
    assert one.process is None


def test_stopping_ends_a_child_that_will_not_end(monkeypatch):
    monkeypatch.setattr("bot.supervisor._GRACE", 0.3)
    stubborn = child([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"])
    stubborn.start()
    time.sleep(0.5)
    stubborn.stop()
    assert stubborn.process.returncode in (-signal.SIGKILL, -signal.SIGTERM)


def test_ctrl_c_stops_all_children():
    script = (
        "import os, sys\n"
        "from bot.supervisor import Child, Supervisor\n"
        f"children = [Child(str(n), {SLEEP!r}, dict(os.environ)) for n in range(2)]\n"
        "s = Supervisor(children); s.stop_on_signals(); s.start()\n"
        "print(*[c.process.pid for c in children], flush=True)\n"
        "s.watch()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pids = [int(p) for p in parent.stdout.readline().split()]
    parent.send_signal(signal.SIGINT)
    assert parent.wait(20) == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_port_in_use_is_told_with_the_setting_that_changes_it():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortTaken, match="SIGNPOST_PORT"):
            check_port("127.0.0.1", taken.getsockname()[1], "SIGNPOST_PORT")


def test_nothing_is_restarted_after_stopping():
    supervisor = Supervisor([child()])
    supervisor.start()
    supervisor._stopping.set()
    supervisor.watch()
    assert supervisor.children[0].process.poll() is not None
