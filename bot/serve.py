"""Serve the app with uvicorn: `python -m bot.serve`."""

from __future__ import annotations

import gc

import uvicorn

from bot import metrics
from bot.app import create_app
from bot.logs import configure
from bot.settings import Settings
from bot.slow_clients import ImpatientProtocol


def main() -> None:
    """Listen where the settings say until stopped."""
    settings = Settings.from_environment()
    configure("app")
    metrics.count_security_events()
    app = create_app(settings)
    if settings.metrics_port:
        metrics.serve(app.state.signpost.database, app.state.signpost.clock, settings.metrics_port, settings.metrics_host)
    # What is loaded by now stays: the garbage collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=ImpatientProtocol,
        limit_concurrency=settings.most_connections,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=5,
        # longer than the engine keeps its connections (bot/engine/economies/actions.py)
        timeout_keep_alive=75,
    )


if __name__ == "__main__":
    main()
