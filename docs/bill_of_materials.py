"""Writes docs/sbom.json (CycloneDX 1.5) and docs/licences.md from the pinned requirements, package-lock.json and the installed packages.

`python -m docs.bill_of_materials`, with both environments installed.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bot.settings import ROOT

OUT = ROOT / "docs"
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?:[^\\\n]*)(?P<hashes>(?:\s*\\\n\s+--hash=sha256:[0-9a-f]{64})*)", re.MULTILINE)
_ASK = """
import json
from importlib.metadata import distributions
told = {}
for one in distributions():
    about = one.metadata
    classified = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License ::") and not c.endswith("OSI Approved")]
    said = about.get("License-Expression") or ", ".join(classified) or (about.get("License") or "").split("\\n")[0][:60]
    told[about["Name"].lower().replace("_", "-").replace(".", "-")] = said or "not said"
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Component:
    """A library: where it is used, its package address, hash and licence."""

    ecosystem: str
    name: str
    version: str
    used_in: str
    hashes: tuple[tuple[str, str], ...]
    licence: str

    @property
    def purl(self) -> str:
        """Its address (package-url)."""
        return f"pkg:{self.ecosystem}/{self.name.replace('@', '%40') if self.ecosystem == 'npm' else self.name.lower().replace('_', '-')}@{self.version}"


def pinned(path: Path, environment: str) -> list[Component]:
    """The packages of a requirements file, with the licences that the installed ones state."""
    python = ROOT / ".venv" / environment / "bin" / "python"
    licences = json.loads(subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=True).stdout) if python.exists() else {}
    found = []
    for pin in _PIN.finditer(path.read_text(encoding="utf-8")):
        name = pin["name"]
        hashes = tuple(("SHA-256", value) for value in re.findall(r"sha256:([0-9a-f]{64})", pin["hashes"]))
        found.append(Component("pypi", name, pin["version"], environment, hashes[:1], licences.get(name.lower().replace("_", "-").replace(".", "-"), "not installed here")))
    return found


def npm(path: Path) -> list[Component]:
    """The packages of package-lock.json."""
    locked = json.loads(path.read_text(encoding="utf-8"))["packages"]
    return [
        Component("npm", place.rpartition("node_modules/")[2], about["version"], "pages", (("SHA-512", about["integrity"]),), about.get("license", "not said"))
        for place, about in locked.items()
        if place and "integrity" in about
    ]


def components() -> list[Component]:
    """Every library of both environments and the pages."""
    folder = ROOT / "requirements"
    return [*pinned(folder / "app.txt", "app"), *pinned(folder / "engine.txt", "engine"), *npm(ROOT / "package-lock.json")]


def cyclone(found: list[Component]) -> dict:
    """The bill of materials. It holds no time, so that the same libraries give the same file."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "signpost", "bom-ref": "signpost"}},
        "components": [
            {
                "type": "library",
                "bom-ref": f"{one.purl}#{one.used_in}",
                "name": one.name,
                "version": one.version,
                "purl": one.purl,
                "properties": [{"name": "signpost:used_in", "value": one.used_in}],
                **({"licenses": [{"license": {"name": one.licence}}]} if not one.licence.startswith("not ") else {}),
                **({"hashes": [{"alg": name, "content": value} for name, value in one.hashes]} if one.ecosystem == "pypi" else {}),
            }
            for one in sorted(found, key=lambda one: (one.used_in, one.name))
        ],
    }


def licences(found: list[Component]) -> str:
    """The licences as a page."""
    rows = [f"| {one.name} | {one.version} | {one.used_in} | {one.licence} |" for one in sorted(found, key=lambda one: (one.used_in, one.name.lower()))]
    head = "# Licences of the libraries\n\nMade by `python -m docs.bill_of_materials` from what each package says of itself.\n\n| library | version | used in | licence |\n|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def main() -> None:
    """Write both files."""
    found = components()
    (OUT / "sbom.json").write_text(json.dumps(cyclone(found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (OUT / "licences.md").write_text(licences(found), encoding="utf-8")
    print(f"{len(found)} libraries")


if __name__ == "__main__":
    main()
