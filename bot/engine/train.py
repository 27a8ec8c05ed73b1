"""Train the model: `python -m bot.engine.train OUT.tar.gz`. Writes the model's SHA-256 beside it."""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import sys
import tempfile
from pathlib import Path

from bot.engine import without_tensorflow
from bot.engine.quiet import keep_warnings_out


class TrainingFailed(Exception):
    """Rasa refused the data; what it said is in the log above."""


def train(out: Path, config: str = "config.yml") -> Path:
    """Train on the project's data and put the model at `out`, its checksum at `out` + `.sha256`."""
    from rasa.model_training import train as rasa_train

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        result = rasa_train("domain.yml", config, ["data/nlu", "data/stories"], output=folder, fixed_model_name="model", force_training=True)
        if result.code != 0 or not result.model:
            raise TrainingFailed(f"training ended with code {result.code}")
        made = Path(result.model)
        checksum = hashlib.sha256(made.read_bytes()).hexdigest()
        made.replace(out)
    out.with_suffix(out.suffix + ".sha256").write_text(f"{checksum}  {out.name}\n")
    return out


def main(arguments: list[str] | None = None) -> None:
    """Train from the command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("out", type=Path)
    options.add_argument("--config", default="config.yml")
    given = options.parse_args(arguments)
    os.environ["RASA_TELEMETRY_ENABLED"] = "false"
    os.environ.setdefault("SQLALCHEMY_SILENCE_UBER_WARNING", "1")
    sys.path.insert(0, os.getcwd())
    without_tensorflow.install()
    keep_warnings_out()

    from rasa.utils.log_utils import configure_structlog

    configure_structlog(logging.WARNING)
    print(train(given.out, given.config))


if __name__ == "__main__":
    main()
