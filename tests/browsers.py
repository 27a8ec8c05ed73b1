"""A real browser for tests, and what axe finds on one of its pages."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import Iterator

import pytest

from bot.settings import ROOT

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = """(tags) => axe.run(document, {runOnly: tags, rules: {'target-size': {enabled: true}}}).then((result) =>
  result.violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => `${node.target.join(' ')} ${node.failureSummary}`).join(' | ')}`))"""


@contextmanager
def launched() -> Iterator["Browser"]:  # noqa: F821 - Playwright is loaded only where there is a browser
    """Debian's Chromium; the test is skipped where it is not installed."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


def violations(page) -> list[str]:
    """What axe finds on a page against WCAG 2.2 AA and its own good practice, target size included; a line a rule."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(RUN_AXE, WCAG)
