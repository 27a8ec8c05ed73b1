"""Set-up: nothing twice, and stale or broken environments are noticed."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bot.setup import environments, model
from bot.setup.environments import APP, Environment, is_whole
from bot.settings import ROOT


@pytest.fixture
def small_environment(tmp_path, monkeypatch) -> Environment:
    """An environment with one package in it."""
    monkeypatch.setattr(environments, "HOME", tmp_path)
    made = Environment("small", "3", ("app",))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made.folder], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = made.folder / "lib" / version / "site-packages"
    (site / "thing").mkdir()
    (site / "thing" / "__init__.py").write_text("")
    (site / "thing-1.dist-info").mkdir()
    (site / "thing-1.dist-info" / "RECORD").write_text("thing/__init__.py,,\nthing/__pycache__/__init__.cpython-311.pyc,,\n../../../bin/thing,,\n")
    return made


def test_an_environment_with_all_its_files_is_whole(small_environment):
    assert is_whole(small_environment)


def test_an_environment_that_lost_a_file_is_broken(small_environment):
    next(small_environment.folder.rglob("thing/__init__.py")).unlink()
    assert not is_whole(small_environment)


def test_an_environment_whose_python_is_gone_is_broken(small_environment):
    small_environment.executable.unlink()
    assert not is_whole(small_environment)


def test_an_environment_that_is_current_is_left_alone():
    assert environments.ensure(APP, "app") is False


def test_the_models_fingerprint_changes_with_what_it_is_trained_from(tmp_path, monkeypatch):
    (tmp_path / "data" / "nlu").mkdir(parents=True)
    (tmp_path / "config.yml").write_text("a")
    example = tmp_path / "data" / "nlu" / "x.yml"
    example.write_text("one")
    monkeypatch.setattr(model, "ROOT", tmp_path)
    before = model.fingerprint()
    assert before == model.fingerprint()
    example.write_text("two")
    assert model.fingerprint() != before


def test_no_registry_host_or_machine_path_stands_in_a_committed_file():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in listed:
        path = ROOT / name
        if path.suffix in {".txt", ".json", ".in", ".toml", ".yml", ".md", ".py", ""} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not re.search(r'"resolved"\s*:', text), name
            assert not re.search(r"^--(extra-)?index-url", text, re.MULTILINE), name


def test_make_help_explains_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(re.search(rf"make {target}\s+\S", told) for target in targets)


def test_every_setting_is_listed_with_what_it_is_for():
    from dataclasses import fields

    from bot.settings import Settings, variable

    told = subprocess.run([sys.executable, "-m", "bot.cli", "settings"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(variable(f.name) in told and f.metadata["about"] in told for f in fields(Settings))
