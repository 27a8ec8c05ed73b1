"""Imports point one way: channels, console, actions -> conversations, casework -> knowledge, privacy -> store."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bot.settings import ROOT

LAYERS = {
    "store": {"store"},
    "knowledge": {"knowledge"},
    "nlu": {"nlu"},
    "engine": {"engine", "nlu"},
    "setup": {"setup"},
    "privacy": {"privacy", "store"},
    "casework": {"casework", "conversations", "knowledge", "privacy", "store"},
    "conversations": {"conversations", "metrics", "casework", "knowledge", "privacy", "store", "nlu"},
    "pages": {"pages"},
    "widget": {"widget", "pages", "knowledge"},
    "channels": {"channels", "metrics", "widget", "pages", "conversations", "casework", "knowledge", "privacy", "store"},
    "console": {"console", "channels", "pages", "conversations", "casework", "knowledge", "privacy", "store"},
    "actions": {"actions", "conversations", "casework", "knowledge", "privacy"},
}
_ANYWHERE = {"clock", "logs", "settings"}
_WITHOUT_DATABASE = ("nlu", "knowledge")


def modules() -> list[Path]:
    return [p for folder in ("bot", "actions") for p in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names if node.module == "bot"}
    return found


def layer(dotted: str) -> str | None:
    parts = dotted.split(".")
    if parts[0] == "actions":
        return "actions"
    return parts[1] if parts[0] == "bot" and len(parts) > 1 else None


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_what_lies_below_it(path):
    relative = path.relative_to(ROOT)
    own = "actions" if relative.parts[0] == "actions" else relative.parts[1]
    if own not in LAYERS:
        return
    wrong = {name for name in imported(path) if (to := layer(name)) and to not in LAYERS[own] | _ANYWHERE}
    # the console is handed all the parts
    wrong -= {"bot.parts", "bot.parts.Signpost"} if own == "console" else set()
    assert not wrong
    if own in _WITHOUT_DATABASE:
        assert not any(name.split(".")[0] in ("sqlalchemy", "alembic") for name in imported(path))
