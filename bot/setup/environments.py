"""The two Python environments, made from pinned requirements, checked at every start and rebuilt when stale or broken."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv"
UV_VERSION = "0.13.9"


class SetupFailed(Exception):
    """Set-up cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Environment:
    """One environment: where it is, which Python it runs, and the requirement sets that may be installed (each holds those before it)."""

    name: str
    python: str
    sets: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Its folder."""
        return HOME / self.name

    @property
    def executable(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"


ENGINE = Environment("engine", "3.10", ("engine",))
APP = Environment("app", ">=3.11,<3.14", ("app", "app-test"))


def say(text: str) -> None:
    """A line of progress."""
    print(f"  {text}", flush=True)


def run(command: list[str | Path], what: str, **options) -> None:
    """Run a command whose output people see. Raises SetupFailed."""
    ended = subprocess.run([str(part) for part in command], cwd=ROOT, **options)
    if ended.returncode != 0:
        raise SetupFailed(f"{what} failed (exit {ended.returncode}); what it said is above. Mend that and run the same command again.")


def uv() -> Path:
    """uv from PyPI in an environment of its own."""
    program = HOME / "tools" / "bin" / "uv"
    stamp = HOME / "tools" / "uv.version"
    if not (program.exists() and stamp.exists() and stamp.read_text() == UV_VERSION):
        say(f"installing uv {UV_VERSION}")
        venv.create(HOME / "tools", with_pip=True, clear=True)
        run([HOME / "tools" / "bin" / "python", "-m", "pip", "install", "--quiet", f"uv=={UV_VERSION}"], "installing uv")
        stamp.write_text(UV_VERSION)
    return program


def ensure(environment: Environment, wanted: str) -> bool:
    """Make sure that `environment` holds the requirement set `wanted`; whether anything had to be done."""
    stamp = environment.folder / "signpost.json"
    known = _read(stamp)
    enough = known.get("set") in environment.sets[environment.sets.index(wanted) :]
    if enough and known.get("fingerprint") == fingerprint(known["set"]) and is_whole(environment):
        return False
    # A set that was installed stays installed: tests need more than running does, and `make run` does not take it away.
    chosen = known["set"] if enough else wanted
    grows = bool(known) and not enough and known.get("fingerprint") == fingerprint(known["set"]) and is_whole(environment)
    if not grows:
        say(f"making the {environment.name} environment (Python {environment.python}); this takes a minute or two the first time")
        # the shims of a Python manager need a place that names versions: ROOT holds .python-version
        run([uv(), "venv", "--quiet", "--clear", "--python", environment.python, environment.folder], f"finding Python {environment.python}")
    requirements = ROOT / "requirements" / f"{chosen}.txt"
    say(f"installing {requirements.name} into the {environment.name} environment")
    run(
        [
            *(uv(), "pip", "install", "--python", environment.executable, "--no-deps", "--require-hashes"),
            *("--compile-bytecode", "--quiet", "-r", requirements),
        ],
        f"installing {requirements.name}",
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
    )
    stamp.write_text(json.dumps({"set": chosen, "fingerprint": fingerprint(chosen)}))
    return True


def fingerprint(requirement_set: str) -> str:
    """Changes when the pinned requirements of a set do."""
    return hashlib.sha256((ROOT / "requirements" / f"{requirement_set}.txt").read_bytes()).hexdigest()


def is_whole(environment: Environment) -> bool:
    """Whether the interpreter runs and every file that the installed packages list is there."""
    try:
        asked = subprocess.run(
            [environment.executable, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], capture_output=True, text=True, timeout=60
        )
    except OSError:
        return False
    if asked.returncode != 0:
        return False
    site = Path(asked.stdout.strip())
    records = list(site.glob("*.dist-info/RECORD"))
    return bool(records) and all(_files_exist(site, record) for record in records)


def _files_exist(site: Path, record: Path) -> bool:
    present: dict[str, set[str]] = {}
    for line in record.read_text(encoding="utf-8").splitlines():
        name = line.rsplit(",", 2)[0].strip('"')
        if name.endswith(".pyc") or name.startswith(".."):
            continue
        folder, _, file = name.rpartition("/")
        if folder not in present:
            try:
                present[folder] = set(os.listdir(site / folder))
            except OSError:
                return False
        if file not in present[folder]:
            return False
    return True


def _read(stamp: Path) -> dict:
    try:
        return json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}


def check_python() -> None:
    """Raise SetupFailed on a Python that is too old to go on with."""
    if sys.version_info < (3, 11):
        raise SetupFailed(f"Signpost needs Python 3.11 or newer to start; this is {sys.version.split()[0]}")
