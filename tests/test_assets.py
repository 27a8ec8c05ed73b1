"""The look of the pages: nothing from elsewhere, and no font or logo that is not ours to use."""

from __future__ import annotations

import json

import pytest

from bot.assets import AssetProblem, install, install_htmx, own_css
from bot.settings import ROOT

FONT = '@font-face{font-family:F;src:url(https://assets.example/f.woff2) format("woff2")}'


@pytest.fixture
def package(tmp_path):
    built = tmp_path / "nhsuk-frontend" / "dist" / "nhsuk"
    (built / "assets" / "images").mkdir(parents=True)
    for name in ("cross.svg", "favicon.svg"):
        (built / "assets" / "images" / name).write_text("<svg/>")
    (built / "nhsuk-frontend.min.css").write_text(f"{FONT}a{{background:url(/assets/images/cross.svg)}}/*# sourceMappingURL=x.map */")
    (built / "nhsuk-frontend.min.js").write_text("export{};//# sourceMappingURL=x.map\n")
    return tmp_path / "nhsuk-frontend"


def test_fonts_are_stripped_and_images_lie_beside_the_style_sheet():
    assert own_css(f"{FONT}a{{background:url(/assets/images/x.svg)}}") == ("a{background:url(images/x.svg)}", ["x.svg"])


@pytest.mark.parametrize("css", ["a{background:url(https://e.example/x)}", 'a{background:url("//e.example/x")}', '@import "https://e.example/x.css";'])
def test_a_style_sheet_that_loads_from_elsewhere_is_refused(css):
    with pytest.raises(AssetProblem):
        own_css(css)


def test_only_what_the_style_sheet_needs_is_installed(package, tmp_path):
    target = tmp_path / "static"
    install(target, package)
    install(target, package)
    assert sorted(p.name for p in target.rglob("*") if p.is_file()) == [
        "LICENCE.txt", "cross.svg", "nhsuk-frontend.min.css", "nhsuk-frontend.min.js",
    ]  # fmt: skip
    assert "sourceMappingURL" not in (target / "nhsuk-frontend.min.css").read_text() + (target / "nhsuk-frontend.min.js").read_text()


def test_a_package_that_is_missing_is_told(tmp_path):
    with pytest.raises(AssetProblem, match="npm ci"):
        install(tmp_path / "static", tmp_path / "nothing")


def test_htmx_is_installed_with_its_licence_and_nothing_else(tmp_path):
    package, target = tmp_path / "htmx.org", tmp_path / "static"
    (package / "dist").mkdir(parents=True)
    for name in ("dist/htmx.min.js", "dist/htmx.js", "LICENSE"):
        (package / name).write_text(name)
    install_htmx(target, package)
    install_htmx(target, package)
    assert {p.name: p.read_text() for p in target.iterdir()} == {"htmx.min.js": "dist/htmx.min.js", "LICENCE.txt": "LICENSE"}
    with pytest.raises(AssetProblem, match="npm ci"):
        install_htmx(target, tmp_path / "nothing")
    assert (target / "htmx.min.js").exists(), "what was there stays"


def test_the_lock_file_names_no_registry():
    locked = json.loads((ROOT / "package-lock.json").read_text())
    assert all(locked["packages"][f"node_modules/{name}"]["integrity"] for name in ("nhsuk-frontend", "htmx.org"))
    assert not any("resolved" in package for package in locked["packages"].values())
