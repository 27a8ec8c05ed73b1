"""Fixtures of the engine's own tests, run under the engine's Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.engine import without_tensorflow

without_tensorflow.install()

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def encoder():
    from bot.nlu.embedding import SentenceEncoder

    folder = ROOT / "var" / "sentence-model"
    if not (folder / "model.onnx").exists():
        pytest.fail("the sentence model is not there: run `make test`, which converts it")
    return SentenceEncoder(folder, precision="full")
