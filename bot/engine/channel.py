"""The one way to talk to the engine: a Rasa channel that takes a turn and gives back what to say and what was understood.

Rasa's `rest` channel lets a client name anybody's conversation and reads "/intent" from user text; this one takes a token, and
user text can never be a command.
"""

from __future__ import annotations

import gc
import hmac
import logging
import re
from typing import Any, Awaitable, Callable, Dict, List, Optional, Text

from rasa.core.agent import Agent
from rasa.core.channels.channel import CollectingOutputChannel, InputChannel, UserMessage
from rasa.shared.core.events import ActiveLoop, BotUttered, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse

from bot.engine.forgetting import forget
from bot.engine.reader import Reader, read_in_a_process_of_its_own
from bot.logs import REQUEST_HEADER, request_id, valid_request

logger = logging.getLogger(__name__)

_TOLD = ("intent", "intent_ranking", "understanding", "entities")


class TurnChannel(InputChannel):
    """`POST /webhooks/turn/` with `Authorization: Bearer token` and
    `{"conversation", "message_id", "text" | "command", "metadata", "again", "guide"}` -> `{"messages": [...], "understanding": {...}}`.

    With `only_understand` the message is understood but no turn is taken: a person has the conversation.

    With `again`, a `message_id` that was answered before gives the same messages without a second turn, so that a caller who died
    may ask again. `guide` (`{"form", "slots"}`) is where the conversation's guide stood: an engine that has been restarted goes on from there.
    `DELETE /webhooks/turn/conversations/CONVERSATION` with the token has a conversation forgotten.
    """

    def __init__(self, token: Text) -> None:
        self._token = token
        self._reader: Optional[Reader] = None

    @classmethod
    def name(cls) -> Text:
        return "turn"

    @classmethod
    def from_credentials(cls, credentials: Optional[Dict[Text, Any]]) -> "TurnChannel":
        if not credentials or not credentials.get("token"):
            cls.raise_missing_credentials_exception()
        return cls(credentials["token"])

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        turn = Blueprint("turn_channel", __name__)

        @turn.listener("after_server_start")
        async def settle(app: Any, *_: Any) -> None:
            # The model's million objects stay: the garbage collector need not walk them again and again.
            gc.collect()
            gc.freeze()
            self._reader = read_in_a_process_of_its_own(app.ctx.agent.processor)

        @turn.listener("before_server_stop")
        async def stop_reading(*_: Any) -> None:
            if self._reader:
                self._reader.stop()

        @turn.route("/", methods=["GET"])
        async def ready(request: Request) -> HTTPResponse:
            agent = getattr(request.app.ctx, "agent", None)
            is_ready = agent is not None and agent.is_ready()
            return response.json({"ready": is_ready}, status=200 if is_ready else 503)

        @turn.route("/", methods=["POST"])
        async def take(request: Request) -> HTTPResponse:
            if not self._knows_token(request):
                return response.json({"error": "token"}, status=403)
            # the request of the app that this turn belongs to, for the logs here and for the actions that are called
            request_id.set(valid_request(request.headers.get(REQUEST_HEADER)))
            asked = request.json or {}
            agent = request.app.ctx.agent
            conversation, message_id = asked["conversation"], asked["message_id"]
            if asked.get("again"):
                before = await agent.tracker_store.retrieve(conversation)
                if before is not None and (said := _replies_to(before, message_id)):
                    return response.json(said)
            if asked.get("guide"):
                await _remember(agent, conversation, asked["guide"])
            message = UserMessage(
                text=_command(asked) or _plain(asked.get("text") or ""),
                output_channel=CollectingOutputChannel(),
                sender_id=conversation,
                input_channel=self.name(),
                message_id=message_id,
                metadata=asked.get("metadata"),
            )
            # Parsed here rather than in the turn, so that what was understood need not be read back from the tracker.
            message.parse_data = await agent.processor.parse_message(message)
            if asked.get("only_understand"):
                return response.json({"messages": [], "understanding": _told(message.parse_data)})
            await on_new_message(message)
            messages = [m.get("custom") or {"text": m.get("text")} for m in message.output_channel.messages]
            return response.json({"messages": messages, "understanding": _told(message.parse_data)})

        @turn.route("/conversations/<conversation:str>", methods=["DELETE"])
        async def drop(request: Request, conversation: Text) -> HTTPResponse:
            if not self._knows_token(request):
                return response.json({"error": "token"}, status=403)
            agent = request.app.ctx.agent
            await forget(agent.tracker_store, agent.lock_store, conversation)
            return response.json({"forgotten": True})

        return turn

    def _knows_token(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode())


async def _remember(agent: Agent, conversation: Text, guide: Dict[Text, Any]) -> None:
    """Put a guide back that this engine does not know of; a conversation that it knows is left as it is."""
    if await agent.tracker_store.retrieve(conversation) is not None:
        return
    tracker = await agent.processor.fetch_tracker_and_update_session(conversation)
    known = {slot.name for slot in agent.domain.slots}
    for name, value in guide.get("slots", {}).items():
        if name in known:
            tracker.update(SlotSet(name, value), agent.domain)
    if guide.get("form") in agent.domain.form_names:
        tracker.update(ActiveLoop(guide["form"]), agent.domain)
    await agent.processor.save_tracker(tracker)


def _plain(text: Text) -> Text:
    """User text that Rasa cannot read as a command: a message that starts with "/" is one to its message handler."""
    return (re.sub(r"^[\s/]+", "", text) or "?") if text.lstrip().startswith("/") else text


def _command(asked: Dict[Text, Any]) -> Optional[Text]:
    command = asked.get("command")
    return f"/{command}" if command else None


def _replies_to(tracker: DialogueStateTracker, message_id: Text) -> Optional[Dict[Text, Any]]:
    """What was said after the user message with this id, and what had been understood; nothing if the turn did not happen."""
    messages: List[Dict[Text, Any]] = []
    asked: Optional[UserUttered] = None
    for event in reversed(tracker.events):
        if isinstance(event, BotUttered):
            messages.insert(0, _message(event))
        elif isinstance(event, UserUttered):
            if event.message_id == message_id:
                asked = event
                break
            messages = []
    if asked is None or not messages:
        return None
    return {"messages": messages, "understanding": _told(asked.parse_data)}


def _told(parse_data: Dict[Text, Any]) -> Dict[Text, Any]:
    return {key: parse_data.get(key) for key in _TOLD}


def _message(event: BotUttered) -> Dict[Text, Any]:
    custom = event.data.get("custom")
    return dict(custom) if custom else {"text": event.text}
