"""The sentence model, converted once from the weights in the engine's environment."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bot.setup.environments import ENGINE, ROOT, run, say

FOLDER = ROOT / "var" / "sentence-model"


def ensure() -> bool:
    """Convert the model unless it is there and came from the converter as it is now; whether anything had to be done."""
    stamp = FOLDER / "converter.sha256"
    converter = hashlib.sha256((ROOT / "bot" / "nlu" / "convert.py").read_bytes()).hexdigest()
    if (FOLDER / "model.onnx").exists() and stamp.exists() and stamp.read_text() == converter:
        return False
    say("converting the sentence model")
    run([ENGINE.executable, "-m", "bot.nlu.convert", FOLDER], "converting the sentence model")
    Path(stamp).write_text(converter)
    return True
