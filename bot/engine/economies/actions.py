"""Calls of the app's actions: over a kept connection, with the recent part of the conversation, checked with a validator built once.

Checking Rasa's own fixed JSON schema for each answer took seven tenths of a turn, and every call opened a new HTTP session.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Dict, List, Optional, Text

import aiohttp
import rasa
import ujson
from jsonschema.validators import validator_for
from rasa.core.actions.action import RemoteAction
from rasa.core.constants import DEFAULT_REQUEST_TIMEOUT
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecutionRejected, BotUttered, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
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
    """Send an action the latest events only, and of these what actions read (`actions/`): what the user wrote, which topics the message
    before the latest was like, what was answered about which topic, and which action declined. What is older or longer is in the slots
    and in the app's own log.
    """

    def call(action: RemoteAction, tracker: DialogueStateTracker, domain: Domain) -> Dict[Text, Any]:
        told = {"next_action": action.name(), "sender_id": tracker.sender_id, "tracker": _state(tracker), "version": rasa.__version__}
        if not action._is_selective_domain_enabled() or domain.does_custom_action_explicitly_need_domain(action.name()):
            told["domain"] = domain.as_dict()
        return told

    RemoteAction._action_call_format = call


def _state(tracker: DialogueStateTracker) -> Dict[Text, Any]:
    """The conversation as `rasa_sdk.Tracker.from_dict` reads it."""
    guide = tracker.active_loop
    return {
        "sender_id": tracker.sender_id,
        "slots": tracker.current_slot_values(),
        "latest_message": {**tracker.latest_message.parse_data, "entities": tracker.latest_message.entities} if tracker.latest_message else {},
        "paused": tracker.is_paused(),
        "followup_action": tracker.followup_action,
        # without the whole message that began it
        "active_loop": {"name": guide.name, "is_interrupted": guide.is_interrupted, "rejected": guide.rejected} if guide else {},
        "latest_action_name": tracker.latest_action_name,
        "events": _recent(tracker),
    }


def _recent(tracker: DialogueStateTracker) -> List[Dict[Text, Any]]:
    """The latest events as actions need them, oldest first."""
    told: List[Dict[Text, Any]] = []
    messages = 0
    for event in islice(reversed(tracker.events), RECENT_EVENTS):
        kind = event.type_name
        if kind == UserUttered.type_name:
            messages += 1
            told.append(_message(event, messages))
        elif kind == BotUttered.type_name:
            said = event.data.get("custom") or {}
            told.append({"event": kind, "data": {"custom": {"outcome": said.get("outcome"), "topic": said.get("topic")}}})
        elif kind == ActionExecutionRejected.type_name:
            told.append(event.as_dict())
    return told[::-1]


def _message(event: UserUttered, place: int) -> Dict[Text, Any]:
    """A user's message; `place` counts from the latest, which is 1."""
    told = {"event": event.type_name, "text": event.text}
    if place == 1:
        told["metadata"] = event.metadata
    if place == 2:
        told["parse_data"] = {"intent_ranking": event.parse_data.get("intent_ranking", [])}
    return told
