"""Serve the app with uvicorn: `python -m bot.serve`."""

from __future__ import annotations

import logging
import os

import uvicorn

from bot.app import create_app
from bot.settings import Settings


def main() -> None:
    """Listen where the settings say until stopped."""
    settings = Settings.from_environment()
    logging.basicConfig(level=os.environ.get("SIGNPOST_LOG_LEVEL", "WARNING"), format="%(asctime)s app %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
        # longer than the engine keeps its connections (bot/engine/economies.py)
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
