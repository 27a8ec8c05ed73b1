"""The trained model, kept with a fingerprint of everything that it was trained from."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Iterator

from bot.setup.environments import ENGINE, ROOT, run, say

MODEL = ROOT / "var" / "models" / "signpost.tar.gz"
_TRAINED_FROM = (
    *("config.yml", "domain.yml", "data/glossary.yml", "data/entities.yml", "requirements/engine.txt", "bot/engine/train.py"),
    *("data/nlu/*.yml", "data/stories/*.yml", "data/policy/urgent.yml", "data/policy/urgent/*.yml", "bot/nlu/**/*.py"),
)


def fingerprint() -> str:
    """Changes when the data, the domain, the configuration or the code that trains does."""
    digest = hashlib.sha256()
    for path in _inputs():
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _inputs() -> Iterator[Path]:
    for pattern in _TRAINED_FROM:
        yield from sorted(ROOT.glob(pattern))


def is_current() -> bool:
    """Whether the model on disk was trained from what is there now."""
    stamp = MODEL.with_suffix(".fingerprint")
    return MODEL.exists() and stamp.exists() and stamp.read_text() == fingerprint()


def ensure(force: bool = False) -> bool:
    """Train if the model is not current; whether anything had to be done."""
    if not force and is_current():
        return False
    made_from = fingerprint()
    say("training the model (a few minutes)")
    run(
        [ENGINE.executable, "-m", "bot.engine.train", MODEL],
        "training",
        env={**os.environ, "SIGNPOST_ACTIONS_URL": "", "SIGNPOST_ENGINE_TOKEN": "", "PYTHONDONTWRITEBYTECODE": ""},
    )
    MODEL.with_suffix(".fingerprint").write_text(made_from)
    return True
