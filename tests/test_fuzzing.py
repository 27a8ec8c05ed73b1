"""A short run of every fuzzing target (`python -m tests.fuzzing`), and of one with a fault in it, which has to be found."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest

from bot.settings import ROOT

pytestmark = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has wheels for Linux on x86-64 only")


def fuzz(target: str, runs: int, folder) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzzing", target, f"-runs={runs}", "-seed=11", f"-artifact_prefix={folder}/"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(("target", "runs"), [("masking", 3000), ("chat", 900), ("telegram", 1200)])
def test_nothing_breaks_in_a_short_run(target, runs, tmp_path):
    done = fuzz(target, runs, tmp_path)
    counted = re.search(r"Done (\d+) runs", done.stderr)
    # libFuzzer looks at its count between inputs, and now and then makes one more.
    assert done.returncode == 0 and counted and int(counted[1]) >= runs, done.stderr[-3000:]
    assert not list(tmp_path.iterdir())


def test_a_fault_that_is_there_is_found(tmp_path):
    done = fuzz("planted", 200_000, tmp_path)
    assert done.returncode != 0 and "ValueError: found" in done.stdout + done.stderr
    [kept] = tmp_path.iterdir()
    assert kept.read_bytes().startswith(b"{!"), "what did it is kept"
