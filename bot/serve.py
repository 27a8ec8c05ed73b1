"""Serve the app with uvicorn: `python -m bot.serve`."""

from __future__ import annotations

import gc
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
    app = create_app(settings)
    # What is loaded by now stays: the garbage collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
        # longer than the engine keeps its connections (bot/engine/economies/actions.py)
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
