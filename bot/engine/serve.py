"""Start the engine: `python -m bot.engine.serve MODEL --port N`. Rasa's own server, without TensorFlow, on loopback."""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import sys
from pathlib import Path

from bot.engine import without_tensorflow
from bot.engine.quiet import keep_warnings_out
from bot.logs import configure


class WrongModel(Exception):
    """The model file is not the one that training recorded; it is not loaded."""


def check_model(model: Path) -> None:
    """Compare the model with the SHA-256 that training wrote beside it. Raises WrongModel."""
    recorded = model.with_suffix(model.suffix + ".sha256").read_text().split()[0]
    found = hashlib.sha256(model.read_bytes()).hexdigest()
    if found != recorded:
        raise WrongModel(f"{model.name} has SHA-256 {found}, training recorded {recorded}: train again")


def main(arguments: list[str] | None = None) -> None:
    """Serve one model until stopped."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model", type=Path)
    options.add_argument("--port", type=int, default=5005)
    options.add_argument("--interface", default="127.0.0.1")
    given = options.parse_args(arguments)

    os.environ.setdefault("RASA_TELEMETRY_ENABLED", "false")
    os.environ.setdefault("SQLALCHEMY_SILENCE_UBER_WARNING", "1")
    os.environ.setdefault("SANIC_WORKERS", "1")
    # One message's matrices are small: more threads only wait for each other, and take the app's core.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    check_model(given.model)
    without_tensorflow.install()
    sys.path.insert(0, os.getcwd())
    configure("engine")
    logging.getLogger().setLevel(logging.WARNING)
    keep_warnings_out()

    from rasa.core.run import serve_application
    from rasa.core.utils import AvailableEndpoints
    from rasa.utils.log_utils import configure_structlog

    from bot.engine import economies

    # Without this Rasa writes every turn's text to its log, at a cost of several milliseconds.
    configure_structlog(logging.WARNING)
    endpoints = AvailableEndpoints.read_endpoints("endpoints.yml")
    economies.install(endpoints)
    serve_application(
        str(given.model),
        interface=given.interface,
        port=given.port,
        credentials="credentials.yml",
        endpoints=endpoints,
        enable_api=False,
    )


if __name__ == "__main__":
    main()
