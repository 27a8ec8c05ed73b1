"""What is looked at without running: the code by bandit, secrets in files, the papers against what they describe."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter

from starlette.testclient import TestClient

from bot.app import create_app
from bot.settings import ROOT
from docs.bill_of_materials import components, cyclone

TRACKED = [ROOT / name for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()]


def test_bandit_finds_nothing_that_is_not_explained():
    command = [sys.executable, "-m", "bandit", "-q", "-ll", "-r", "bot", "actions", "-f", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = [(issue["test_id"], issue["filename"], issue["line_number"]) for issue in json.loads(done.stdout)["results"]]
    assert found == []


def test_every_exception_for_bandit_says_why():
    bare = [(path.name, line) for path in (ROOT / "bot").rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines() if re.search(r"# nosec(?! B\d+ - \w)", line)]
    assert bare == []


def test_no_secret_is_in_a_tracked_file():
    looks = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|\b\d{8,10}:AA[\w-]{33}\b|\bsk_live_|\bAKIA[0-9A-Z]{16}\b|\b[0-9a-f]{8}:[A-Za-z0-9+/]{43}=")
    found = [path.relative_to(ROOT) for path in TRACKED if path.is_file() and path.suffix not in (".png", ".svg") and looks.search(path.read_text(encoding="utf-8", errors="ignore"))]
    assert found == []


def test_the_bill_of_materials_is_that_of_the_pins():
    kept = json.loads((ROOT / "docs" / "sbom.json").read_text(encoding="utf-8"))
    made = cyclone(components())

    def named(bill):
        return {(one["purl"], json.dumps(one.get("hashes", []))) for one in bill["components"]}

    assert named(kept) == named(made), "run python -m docs.bill_of_materials"


def test_the_checklist_counts_what_it_holds_and_names_tests_that_exist():
    text = (ROOT / "docs" / "asvs.md").read_text(encoding="utf-8")
    counted = Counter(re.findall(r"^\| \d[^|]* \| [^|]* \| (yes|no|partly|operator|n/a) \|", text, re.MULTILINE))
    told = re.search(r"Lines below: (\d+) yes, (\d+) partly, (\d+) no, (\d+) operator, (\d+) n/a", text)
    assert [int(number) for number in told.groups()] == [counted[word] for word in ("yes", "partly", "no", "operator", "n/a")]
    for paper in ("asvs.md", "security.md"):
        for name in set(re.findall(r"`(test_[a-z_]+)`", (ROOT / "docs" / paper).read_text(encoding="utf-8"))):
            assert list((ROOT / "tests").rglob(f"{name}.py")), (paper, name)


def test_the_privacy_page_says_what_the_areas_files_set(settings, signpost):
    with TestClient(create_app(settings)) as client:
        told = client.get("/privacy").text
    for area in signpost.areas.values():
        assert area.name in told and f"{area.kept_days['confirmed']} days" in told
        assert (area.privacy.get("controller") or "has not filled this in yet") in told
