"""What pages load of others' work, copied from node_modules: nhsuk-frontend without its remote fonts and without the NHS logo, and htmx.

`python -m bot.assets` after `npm ci`. The NHS fonts and logo may be used by the NHS only, and pages of ours load nothing from elsewhere.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from bot.settings import ROOT

PACKAGE = ROOT / "node_modules" / "nhsuk-frontend"
HTMX = ROOT / "node_modules" / "htmx.org"
VENDOR = ROOT / "bot" / "static" / "vendor"
TARGET = VENDOR / "nhsuk"

LICENCE = """\
nhsuk-frontend

The MIT License (MIT)

Copyright (c) 2025 NHS England

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files
(the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge,
publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do
so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE
FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

_FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")
_SOURCE_MAP = re.compile(r"/[*/][#@] sourceMappingURL=[^\s*]*(?:\s*\*/)?")
_IMAGE = re.compile(r"""url\((["']?)/assets/images/([\w.-]+)\1\)""")
_ELSEWHERE = re.compile(r"""(?:url\(|@import)\s*["']?\s*(?:[a-z]+:)?//""", re.IGNORECASE)


class AssetProblem(Exception):
    """The assets cannot be installed; the message says what to do."""


def install(target: Path = TARGET, package: Path = PACKAGE) -> None:
    """Copy style sheet, script and the images that the style sheet names into `target`. Raises AssetProblem."""
    built = package / "dist" / "nhsuk"
    if not built.is_dir():
        raise AssetProblem(f"{package} is missing: run `npm ci` first")
    css, images = own_css((built / "nhsuk-frontend.min.css").read_text(encoding="utf-8"))
    script = _SOURCE_MAP.sub("", (built / "nhsuk-frontend.min.js").read_text(encoding="utf-8"))
    shutil.rmtree(target, ignore_errors=True)
    (target / "images").mkdir(parents=True)
    for image in images:
        shutil.copyfile(built / "assets" / "images" / image, target / "images" / image)
    (target / "nhsuk-frontend.min.js").write_text(script, encoding="utf-8")
    (target / "LICENCE.txt").write_text(LICENCE, encoding="utf-8")
    (target / "nhsuk-frontend.min.css").write_text(css, encoding="utf-8")


def install_htmx(target: Path = VENDOR / "htmx", package: Path = HTMX) -> None:
    """Copy the script and its licence into `target`. Raises AssetProblem."""
    script = package / "dist" / "htmx.min.js"
    if not script.is_file():
        raise AssetProblem(f"{package} is missing: run `npm ci` first")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copyfile(script, target / "htmx.min.js")
    shutil.copyfile(package / "LICENSE", target / "LICENCE.txt")


def own_css(css: str) -> tuple[str, list[str]]:
    """The style sheet without fonts or source map and with images beside it, and those images. Raises AssetProblem."""
    css = _SOURCE_MAP.sub("", _FONT_FACE.sub("", css))
    images = sorted({found.group(2) for found in _IMAGE.finditer(css)})
    css = _IMAGE.sub(r"url(images/\2)", css)
    if _ELSEWHERE.search(css):
        raise AssetProblem("the style sheet loads something from another address; strip it in bot/assets.py")
    return css, images


if __name__ == "__main__":
    install()
    install_htmx()
