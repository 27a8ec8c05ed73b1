"""The way out of a guide and back: left for something urgent or for a person, gone on with, or corrected after its result."""

from __future__ import annotations

from typing import Any

from rasa_sdk.events import ActiveLoop, FollowupAction, SlotSet

from actions.speaking import Services, Turn
from bot.conversations.outbound import OfferedChoice
from bot.knowledge.guide_book import SLOT
from bot.knowledge.guides import Guide

# Topics that a question about responsibility may be taken for.
_NEAR = frozenset(
    "ehcp_over_core ehcp_not_assessed_by_service ehcp_not_delivered ehcp_sections core_offer_discharge core_offer_limits "
    "school_bought_therapy private_report private_therapy".split()
)

ASKING, LEFT, DONE = "asking", "left", "done"
# A message's number and the next message of the same person lie two apart, with one answer between; a little more with two.
_NEXT = 3


def form_of(guide: Guide) -> str:
    """The Rasa form that drives a guide."""
    return f"{guide.name}_form"


def guide_left(turn: Turn) -> list[dict[str, Any]]:
    """Events that leave the guide under way with its answers kept, if there is one."""
    state = turn.slots.get(SLOT) or {}
    if not turn.active_form or state.get("state") != ASKING:
        return []
    return [ActiveLoop(None), SlotSet("requested_slot", None), SlotSet(SLOT, {**state, "state": LEFT})]


def as_left(services: Services, turn: Turn) -> dict[str, Any] | None:
    """Where the guide under way stands once it is left, to go with the message that leaves it."""
    state = turn.slots.get(SLOT) or {}
    guide = services.guides.named(state.get("name"))
    if guide is None or not guide_left(turn):
        return None
    slots = {**services.guides.facts(guide, turn.slots), SLOT: {**state, "state": LEFT}, "last_topic": turn.last_topic}
    return {"form": None, "slots": slots}


def resume_choices(services: Services, turn: Turn) -> tuple[OfferedChoice, ...]:
    """The button that goes on with the guide that is being left."""
    guide = services.guides.named((turn.slots.get(SLOT) or {}).get("name"))
    if guide is None or turn.active_form != form_of(guide):
        return ()
    return (OfferedChoice(services.answers.say("guide_resume"), guide.topic, topic=guide.topic),)


def back_to_guide(services: Services, turn: Turn) -> list[dict[str, Any]]:
    """The event that goes back to a guide, where a message that no guide was waiting for belongs to one.

    That is "carry on" after it was left, and a correction ("no wait, it is section G") after its result.
    """
    state = turn.slots.get(SLOT) or {}
    guide = services.guides.named(state.get("name"))
    if guide is None or turn.active_form or not turn.text or turn.text.startswith("/"):
        return []
    hearing = services.guides.hearing
    if state.get("state") == LEFT and hearing.wish(turn.text) == "resume":
        return [FollowupAction(form_of(guide))]
    if state.get("state") == DONE and (hearing.wish(turn.text) == "back" or is_correction(services, guide, turn)):
        return [FollowupAction(form_of(guide))]
    return []


def is_offered(turn: Turn) -> bool:
    """Whether the message before was a guide's result, which offers a person."""
    state = turn.slots.get(SLOT) or {}
    return not turn.active_form and state.get("state") == DONE and 0 < turn.seq - state.get("offered", turn.seq) <= _NEXT


def on_to_guide(services: Services, turn: Turn) -> list[dict[str, Any]]:
    """The event that begins the guide about responsibility where a message on a near topic, or one that may be meant so, asked whose job it is.

    "The NHS says it is more than core. Who is responsible?" is answered about core, and what it said is not asked again.
    """
    guide, hearing = services.guides.responsibility, services.guides.hearing
    if turn.active_form or guide.topic in turn.topics or not (_NEAR & set(turn.topics) or guide.topic in turn.choices):
        return []
    if not hearing.asks_whose_job(turn.text) or not hearing.facts(turn.text, guide.inputs):
        return []
    return [FollowupAction(form_of(guide))]


def is_correction(services: Services, guide: Guide, turn: Turn) -> bool:
    """Whether a message takes back an answer that was given in the guide."""
    hearing = services.guides.hearing
    if not hearing.corrects(turn.text) or hearing.is_question(turn.text):
        return False
    known = services.guides.facts(guide, turn.slots)
    heard = hearing.facts(turn.text, guide.inputs)
    return any(known.get(name) not in (None, value) for name, value in heard.items())
