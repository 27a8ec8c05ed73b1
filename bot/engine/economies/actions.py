"""Calls of the app's actions: over a kept connection, with the recent part of the conversation, checked with a validator built once.

Checking Rasa's own fixed JSON schema for each answer took seven tenths of a turn, and every call opened a new HTTP session.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Dict, Optional, Text

import aiohttp
import rasa
import ujson
from jsonschema.validators import validator_for
from rasa.core.actions.action import RemoteAction
from rasa.core.constants import DEFAULT_REQUEST_TIMEOUT
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecutionRejected, BotUttered, Event, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker, EventVerbosity
from rasa.shared.utils.schemas.events import EVENTS_SCHEMA
from rasa.utils.endpoints import ClientResponseError, EndpointConfig, concat_url

from bot.logs import REQUEST_HEADER, request_id

RECENT_EVENTS = 40


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
        headers: Dict[Text, Text] = {**self.headers, "Content-Type": content_type, **(kwargs.pop("headers", None) or {})}
        if belongs_to := request_id.get():
            headers[REQUEST_HEADER] = belongs_to
        if "json" in kwargs:
            kwargs["data"] = ujson.dumps(kwargs.pop("json"), ensure_ascii=False).encode()
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
            return ujson.loads(await answer.read())


def keep_connections(endpoint: Optional[EndpointConfig]) -> Optional[KeptEndpoint]:
    """The same endpoint with a kept connection."""
    if endpoint is None:
        return None
    return KeptEndpoint(
        url=endpoint.url, params=endpoint.params, headers=endpoint.headers, basic_auth=endpoint.basic_auth, token=endpoint.token, **endpoint.kwargs
    )


def check_schema_once() -> None:
    """Validate the actions' answers with validators that are built once, each event against its own kind; what is refused stays the same."""
    kinds = {kind["properties"]["event"]["const"]: _validator(kind) for kind in EVENTS_SCHEMA["items"]["oneOf"]}
    any_event = _validator({key: value for key, value in EVENTS_SCHEMA["items"].items() if key != "oneOf"})
    whole = RemoteAction.action_response_format_spec()
    but_events = _validator({**whole, "properties": {**whole["properties"], "events": {"type": "array"}}})
    full = _validator(whole)

    def validate(_action: RemoteAction, result: Dict[Text, Any]) -> bool:
        but_events.validate(result)
        for event in result.get("events", ()):
            kind = kinds.get(event.get("event")) if isinstance(event, dict) else None
            if kind is None or not (any_event.is_valid(event) and kind.is_valid(event)):
                full.validate(result)
        return True

    RemoteAction._validate_action_result = validate


def _validator(schema: Dict[Text, Any]) -> Any:
    return validator_for(schema)(schema)


def send_recent_events() -> None:
    """Send an action the latest events only, and of these what actions read (`actions/`): what the user wrote and which topics it was
    like, what was answered about which topic, and which action declined. What is older or longer is in the slots and in the app's own log.
    """

    def call(action: RemoteAction, tracker: DialogueStateTracker, domain: Domain) -> Dict[Text, Any]:
        state = tracker.current_state(EventVerbosity.NONE)
        latest = map(_told, islice(reversed(tracker.events), RECENT_EVENTS))
        state["events"] = [event for event in latest if event][::-1]
        told = {"next_action": action.name(), "sender_id": tracker.sender_id, "tracker": state, "version": rasa.__version__}
        if not action._is_selective_domain_enabled() or domain.does_custom_action_explicitly_need_domain(action.name()):
            told["domain"] = domain.as_dict()
        return told

    RemoteAction._action_call_format = call


def _told(event: Event) -> Optional[Dict[Text, Any]]:
    """An event as actions need it; the same object each time, for the same few events go out in every call."""
    if not hasattr(event, "told"):
        event.told = _as_told(event)
    return event.told


def _as_told(event: Event) -> Optional[Dict[Text, Any]]:
    if isinstance(event, UserUttered):
        understood = {"intent_ranking": event.parse_data.get("intent_ranking", [])}
        return {"event": event.type_name, "text": event.text, "metadata": event.metadata, "parse_data": understood}
    if isinstance(event, BotUttered):
        said = event.data.get("custom") or {}
        return {"event": event.type_name, "data": {"custom": {"outcome": said.get("outcome"), "topic": said.get("topic")}}}
    return event.as_dict() if isinstance(event, ActionExecutionRejected) else None
