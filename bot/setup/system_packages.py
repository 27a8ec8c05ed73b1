"""What the tests use of Debian: a browser, PostgreSQL and Redis."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bot.setup.environments import say


def _postgresql() -> bool:
    return any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


WANTED = {
    "chromium": lambda: bool(shutil.which("chromium")),
    "postgresql": _postgresql,
    "redis-server": lambda: bool(shutil.which("redis-server")),
}


def ensure() -> list[str]:
    """Install what is missing, as root on Debian only; the packages that are still missing."""
    missing = [package for package, is_there in WANTED.items() if not is_there()]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {', '.join(missing)}")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=quiet, check=False, stdout=subprocess.DEVNULL)
        missing = [package for package, is_there in WANTED.items() if not is_there()]
    for package in missing:
        say(f"MISSING: {package}. The tests that need it are skipped or fail and say so. As root: apt-get install {package}")
    return missing
