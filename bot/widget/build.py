"""The component as one minified script, made by esbuild from `bot/widget/src/`: `python -m bot.widget.build` after `npm ci`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from zopfli.gzip import compress as gzip_compress

from bot.settings import ROOT
from bot.widget.words import USUAL, all_words

SOURCES = Path(__file__).parent / "src"
ESBUILD = ROOT / "node_modules" / "esbuild" / "bin" / "esbuild"
TARGET = ROOT / "bot" / "static" / "vendor" / "widget" / "signpost-chat.js"
OLDEST_BROWSERS = "es2022"
# said in the other languages only
OF_TRANSLATIONS = ("answers_in_english", "unchecked", "checked_by")


class BuildProblem(Exception):
    """The script could not be made; the message says what to do."""


def build(target: Path = TARGET) -> Path:
    """Write the script and its gzipped form beside it. Raises BuildProblem."""
    if not ESBUILD.exists():
        raise BuildProblem("esbuild is missing: run `npm ci` first")
    style = _esbuild("--loader=css", "--minify", given=(SOURCES / "style.css").read_bytes()).decode().strip()
    words = {name: text for name, text in all_words()[USUAL].for_script().items() if name not in OF_TRANSLATIONS}
    english = json.dumps(words, ensure_ascii=False)
    script = _esbuild(
        *(SOURCES / "element.js", "--bundle", "--minify", "--charset=utf8", "--format=iife", f"--target={OLDEST_BROWSERS}"),
        *(f"--define:STYLE={json.dumps(style)}", f"--define:ENGLISH={english}"),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(script)
    packed(target).write_bytes(gzip_compress(script))
    return target


def _esbuild(*arguments: str | Path, given: bytes = b"") -> bytes:
    made = subprocess.run([ESBUILD, *arguments, "--log-level=warning"], input=given, capture_output=True)
    if made.returncode != 0:
        raise BuildProblem(f"esbuild said: {made.stderr.decode(errors='replace')}")
    return made.stdout


def packed(script: Path) -> Path:
    """Where the gzipped form of a script lies."""
    return script.with_name(f"{script.name}.gz")


if __name__ == "__main__":
    build()
