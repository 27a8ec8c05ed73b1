"""The engine starts without other people's warnings."""

from __future__ import annotations

import subprocess
import sys

STARTED = """
from bot.engine.quiet import keep_warnings_out
keep_warnings_out()
import sanic_cors
import warnings
warnings.warn("old", DeprecationWarning)
print("started")
"""


def test_nothing_is_warned_of():
    said = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True)
    assert (said.stdout, said.stderr) == ("started\n", "")
