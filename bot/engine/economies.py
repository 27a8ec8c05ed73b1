"""Where Rasa does the same work again in every turn, it is done once.

Measured by sampling a loaded engine: checking its own fixed JSON schema for each answer of an action took seven tenths of a turn,
walking all subclasses for each event of a tracker a fifth of what was left; and every call of an action opened a new HTTP session.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, Optional, Text

import aiohttp
from jsonschema.validators import validator_for
from rasa.core.actions.action import RemoteAction
from rasa.core.constants import DEFAULT_REQUEST_TIMEOUT
from rasa.shared.core.events import Event
from rasa.utils.endpoints import ClientResponseError, EndpointConfig, concat_url


class KeptEndpoint(EndpointConfig):
    """An EndpointConfig that keeps its HTTP session between requests."""

    _kept: Optional[aiohttp.ClientSession] = None

    async def request(
        self,
        method: Text = "post",
        subpath: Optional[Text] = None,
        content_type: Optional[Text] = "application/json",
        compress: bool = False,
        **kwargs: Any,
    ) -> Optional[Any]:
        """Send a request to the endpoint and give back its JSON. Raises ClientResponseError on an error status."""
        headers: Dict[Text, Text] = {**self.headers, **(kwargs.pop("headers", None) or {})}
        if self._kept is None or self._kept.closed:
            # The app closes idle connections after 75 s (bot/serve.py): ours go well before, or one would break in the moment of use.
            self._kept = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=DEFAULT_REQUEST_TIMEOUT), connector=aiohttp.TCPConnector(keepalive_timeout=30)
            )
        async with self._kept.request(
            method, concat_url(self.url, subpath), headers=headers, params=self.combine_parameters(kwargs), **kwargs
        ) as answer:
            if answer.status >= 400:
                raise ClientResponseError(answer.status, answer.reason, await answer.content.read())
            return await answer.json()


def keep_connections(endpoint: Optional[EndpointConfig]) -> Optional[KeptEndpoint]:
    """The same endpoint with a kept connection."""
    if endpoint is None:
        return None
    return KeptEndpoint(
        url=endpoint.url, params=endpoint.params, headers=endpoint.headers, basic_auth=endpoint.basic_auth, token=endpoint.token, **endpoint.kwargs
    )


def check_schema_once() -> None:
    """Validate the actions' answers with a validator that is built once; what is refused stays the same."""
    schema = RemoteAction.action_response_format_spec()
    validator = validator_for(schema)(schema)

    def validate(_action: RemoteAction, result: Dict[Text, Any]) -> bool:
        validator.validate(result)
        return True

    RemoteAction._validate_action_result = validate


def look_events_up_once() -> None:
    """Remember which class stands for an event's name."""
    Event.resolve_by_type = staticmethod(lru_cache(maxsize=None)(Event.resolve_by_type))
