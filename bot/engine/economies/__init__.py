"""Where Rasa does the same work again in every turn, it is done once.

Measured by sampling a loaded engine; `benchmarks/engine.md` has the figures. Nothing here changes what Rasa decides or says, and each
module's functions can be left out one by one.
"""

from __future__ import annotations

from rasa.core.utils import AvailableEndpoints

from bot.engine.economies.actions import check_schema_once, keep_connections, send_recent_events
from bot.engine.economies.predictions import ask_only_what_decides, remember_rules, trust_the_model
from bot.engine.economies.runner import run_without_dask
from bot.engine.economies.trackers import copy_without_replay, go_on_without_replay, look_events_up_once


def install(endpoints: AvailableEndpoints) -> None:
    """Put all of them in place, before Rasa loads the model."""
    endpoints.action = keep_connections(endpoints.action)
    check_schema_once()
    send_recent_events()
    look_events_up_once()
    copy_without_replay()
    go_on_without_replay()
    run_without_dask()
    ask_only_what_decides()
    remember_rules()
    trust_the_model()
