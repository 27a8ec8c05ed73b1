"""README and docs against what they describe: links, settings, targets, verbs, addresses, files, results."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Iterator

import pytest
from typer.main import get_command

from bot.app import create_app
from bot.cli import app as cli
from bot.evaluation import interval
from bot.settings import ROOT, Settings, variable

README = ROOT / "README.md"
PAPERS = [README, ROOT / "SECURITY.md", ROOT / "requirements" / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]
# Papers of a folder that has a page of its own, which README links instead.
BELOW = {"docs/privacy/dpia.md", "docs/privacy/records.md"}
every_paper = pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))


def links(paper: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", paper.read_text(encoding="utf-8"))


def code(paper: Path) -> Iterator[str]:
    """What stands in code: each line of a block, each span."""
    blocks = paper.read_text(encoding="utf-8").split("```")
    for number, part in enumerate(blocks):
        yield from part.splitlines() if number % 2 else re.findall(r"`([^`\n]+)`", part)


@lru_cache
def anchors(paper: Path) -> frozenset[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", paper.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def verbs() -> frozenset[str]:
    """`run`, `staff add` …"""
    commands = get_command(cli).commands
    return frozenset(f"{name} {below}" if below else name for name, one in commands.items() for below in getattr(one, "commands", [""]))


@every_paper
def test_links_point_at_what_exists(paper):
    for link in links(paper):
        target, _, anchor = link.partition("#")
        if target.startswith("https://"):
            continue
        path = (paper.parent / target) if target else paper
        assert path.exists(), link
        assert not anchor or anchor in anchors(path.resolve()), link


def test_readme_links_every_paper_once():
    linked = Counter((ROOT / link).resolve() for link in links(README))
    wanted = {*PAPERS, ROOT / "docs" / "openapi.json", ROOT / "docs" / "sbom.json"} - {README} - {ROOT / name for name in BELOW}
    assert {str(path.relative_to(ROOT)): linked[path] for path in wanted if linked[path] != 1} == {}
    folder = Counter((ROOT / "docs" / "privacy" / link).resolve() for link in links(ROOT / "docs" / "privacy" / "README.md"))
    assert [name for name in BELOW if folder[ROOT / name] != 1] == []


@every_paper
def test_settings_that_are_named_exist(paper):
    known = {variable(entry.name) for entry in fields(Settings)}
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    for name in set(re.findall(r"SIGNPOST_[A-Z_]+", paper.read_text(encoding="utf-8"))):
        is_family = name.endswith("_") and any(one.startswith(name) for one in known)
        assert name in known or is_family or f'environ.get("{name}"' in tests, name


def test_what_an_operator_must_set_is_explained():
    told = "".join(paper.read_text(encoding="utf-8") for paper in PAPERS)
    needed = ["data_dir", "database_url", "keys", "key_file", "secure_cookies", "public_url", "embed_origins", "area", "smtp_host", "second_step", "worker", "telegram_token"]
    assert [name for name in needed if variable(name) not in told] == []
    assert "./signpost settings" in README.read_text(encoding="utf-8")


@every_paper
def test_make_targets_that_are_named_exist(paper):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {found for span in code(paper) for found in re.findall(r"\bmake ([a-z-]+)", span)} <= targets


@every_paper
def test_verbs_that_are_named_exist(paper):
    named = [found for span in code(paper) for found in re.findall(r"(?:^|\s)(?:\./)?signpost (-{0,2}[a-z]+)(?: ([a-z]+)\b)?", span)]
    for first, second in named:
        assert first == "--help" or first in verbs() or f"{first} {second}" in verbs(), (first, second)


def test_every_verb_is_explained():
    table = {span for span in code(ROOT / "docs" / "operating.md")}
    assert verbs() - table == set()


@every_paper
def test_files_that_are_named_exist(paper):
    for span in code(paper):
        for name in re.findall(r"(?:^|\s)((?:actions|benchmarks|bot|data|docs|requirements|tests)/[\w./*-]*\w)", span):
            assert list(ROOT.glob(name)), name


def test_addresses_that_readme_names_are_served(settings):
    served = {route.path for route in create_app(settings).routes}
    told = README.read_text(encoding="utf-8")
    addresses = {one for row in re.findall(r"^\| (`/.*?) \|", told, re.MULTILINE) for one in re.findall(r"`(/[^`]*)`", row)}
    assert {"/", "/chat", "/console"} <= addresses
    assert {one for one in addresses if not one.endswith("…")} <= served
    api = {path for path in served if path.startswith("/api/chat/")}
    assert set(re.findall(r"^(?:POST|GET) +(/api/chat/\w+)", told, re.MULTILINE)) == api
    assert set(json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]) == api


def test_the_results_that_are_told_are_those_that_are_kept():
    kept = json.loads((ROOT / "benchmarks" / "data" / "dev-results.json").read_text(encoding="utf-8"))
    told = (ROOT / "docs" / "understanding.md").read_text(encoding="utf-8")
    for name in ("right at the first reply", "right, or asked back with the right topic", "wrong"):
        count, of = kept[name]["count"], kept[name]["of"]
        low, high = interval(count, of)
        assert f"| {name} | {count / of:.1%} | {low * 100:.1f} to {high * 100:.1f} |" in told
    right, either, wrong = (kept[name]["count"] / kept[name]["of"] for name in ("right at the first reply", "right, or asked back with the right topic", "wrong"))
    limits = " ".join(README.read_text(encoding="utf-8").split())
    assert f"{right:.0%} were right at the first reply, {either - right:.0%} asked back with the right topic, {wrong:.0%} were answered wrongly" in limits
