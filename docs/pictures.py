"""The pictures of README.md and console.md, taken from running systems: `make pictures`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from bot.running import Running, running
from bot.settings import ROOT

IMAGES = Path(__file__).parent / "images"
QUESTIONS = [
    "He was discharged last year and has got worse again. Can we come back to the service?",
    "I want to speak to a real person please",
]


def chat(page: Page, system: Running) -> str:
    """Ask both questions on the chat page and take its picture; the lead who has the second."""
    page.goto(f"{system.url}/chat")
    page.locator("signpost-chat section").wait_for()
    ask(page, QUESTIONS)
    page.get_by_text("Where this comes from").first.click()
    page.screenshot(path=IMAGES / "conversation.png", full_page=True)
    return page.locator(".query dd").nth(1).inner_text()


def ask(page: Page, questions: list[str]) -> None:
    """Ask in the open chat, and wait for each answer."""
    for question in questions:
        page.get_by_label("Your message").fill(question)
        page.get_by_role("button", name="Send").click()
        asked = page.locator(".message.parent", has_text=question)
        asked.locator("xpath=following-sibling::li[contains(@class, 'assistant')]").first.wait_for()


def widget(page: Page, system: Running) -> None:
    """The chat on a website: the demo page with it open."""
    page.goto(f"{system.url}/")
    page.get_by_role("button", name="Ask about children's therapy").click()
    ask(page, QUESTIONS[:1])
    page.screenshot(path=IMAGES / "widget.png")


def sign_in(page: Page, url: str, sign_ins: str, name: str) -> None:
    """Sign in as somebody, with what was printed for them."""
    line = next(line for line in sign_ins.splitlines() if line.rstrip().endswith(name))
    email, password = line.split()[:2]
    page.goto(f"{url}/console/sign-in")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console")


def console(page: Page, system: Running, lead: str) -> None:
    """Sign in as the lead and take the picture of the query."""
    sign_in(page, system.url, system.output.read_text(), lead)
    page.locator('a[href^="/console/queries/"]').first.click()
    page.get_by_text("The promise").first.wait_for()
    page.screenshot(path=IMAGES / "console.png", full_page=True, clip={"x": 0, "y": 0, "width": 1280, "height": 2000})


def busy_console(browser: Browser) -> None:
    """The console of a made-up past: the inbox, wide and narrow, and the reports."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "SIGNPOST_DATA_DIR": folder}
        made = subprocess.run([sys.executable, "-m", "bot.cli", "demo"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        with running(data_dir=folder) as system:
            for name, width, height in (("inbox", 1280, 1250), ("inbox-narrow", 320, 800)):
                page = browser.new_context(viewport={"width": width, "height": height}).new_page()
                sign_in(page, system.url, made.stdout, "Hazel Oakenfold")
                page.screenshot(path=IMAGES / f"{name}.png")
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            sign_in(page, system.url, made.stdout, "Tansy Goldfinch")
            page.goto(f"{system.url}/console/reports")
            page.locator("section.app-figure", has=page.get_by_role("heading", name="What is asked")).screenshot(path=IMAGES / "reports.png")


def main() -> None:
    """Take all pictures."""
    executable = shutil.which("chromium")
    if executable is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        with running() as system:
            lead = chat(browser.new_context(viewport={"width": 640, "height": 900}).new_page(), system)
            widget(browser.new_context(viewport={"width": 1280, "height": 860}).new_page(), system)
            console(browser.new_context(viewport={"width": 1280, "height": 900}).new_page(), system, lead)
        busy_console(browser)
        browser.close()


if __name__ == "__main__":
    main()
