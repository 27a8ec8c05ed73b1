"""What the rules say to one message is looked up once, as long as nothing but the message decides it.

Two predictions a turn, each replaying the conversation five times over, took a quarter of a turn.
"""

from __future__ import annotations

import copy
import json
from typing import Dict, List, Optional, Text, Tuple

from rasa.core.policies.policy import PolicyPrediction
from rasa.core.policies.rule_policy import RULES, RulePolicy
from rasa.core.processor import MessageProcessor
from rasa.shared.core.constants import ACTION_LISTEN_NAME, PREVIOUS_ACTION, USER
from rasa.shared.core.events import ActionExecuted, ActionExecutionRejected, BotUttered, Event, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.constants import ACTION_NAME, INTENT, INTENT_NAME_KEY

Steps = Tuple[Text, ...]


def remember_rules() -> None:
    """Let Rasa's message processor ask its policies once for each message and actions after it that a rule alone decides."""
    ask = MessageProcessor._predict_next_with_tracker

    def predict(self: MessageProcessor, tracker: DialogueStateTracker) -> PolicyPrediction:
        if not hasattr(self, "_remembered_rules"):
            self._remembered_rules = RememberedRules(self)
        steps = self._remembered_rules.steps(tracker)
        return (steps and self._remembered_rules.recall(steps)) or self._remembered_rules.keep(steps, ask(self, tracker))

    MessageProcessor._predict_next_with_tracker = predict


def trust_the_model() -> None:
    """Leave out the warning about intents that the domain lacks, for which Rasa compares the whole domain with an empty one each
    time: training refuses such data already."""
    MessageProcessor._check_for_unseen_features = lambda _processor, _parse_data: None


class RememberedRules:
    """Predictions of the rule policy by the steps of the turn: the intent, then the actions taken.

    A turn has such steps if no form is active, no slot that rules can see is set and the message has no entities of Rasa's. A
    prediction is kept if the rule policy is certain, and no rule that looks further back than this turn could have been meant.
    """

    _HARMLESS = (ActionExecuted, BotUttered, SlotSet)

    def __init__(self, processor: MessageProcessor) -> None:
        self._known: Dict[Steps, PolicyPrediction] = {}
        self._seen_slots = [slot.name for slot in processor.domain.slots if slot.influence_conversation]
        self._rules = [json.loads(key) for policy in _rule_policies(processor) for key in policy.lookup[RULES]]

    def steps(self, tracker: DialogueStateTracker) -> Optional[Steps]:
        """The steps of the turn so far; nothing if more than they decide."""
        if tracker.active_loop or tracker.followup_action or any(tracker.slots[name].value is not None for name in self._seen_slots):
            return None
        actions: List[Text] = []
        for event in reversed(tracker.events):
            if isinstance(event, UserUttered):
                intent = event.intent.get(INTENT_NAME_KEY)
                return (intent, *reversed(actions)) if intent and not event.entities else None
            if isinstance(event, ActionExecuted):
                if not event.action_name:
                    return None
                actions.append(event.action_name)
            elif isinstance(event, ActionExecutionRejected) or (isinstance(event, SlotSet) and event.key in self._seen_slots):
                return None
        return None

    def recall(self, steps: Steps) -> Optional[PolicyPrediction]:
        """What was predicted after these steps."""
        known = self._known.get(steps)
        if known is None:
            return None
        prediction = copy.copy(known)
        prediction.events = [_again(event) for event in known.events]
        return prediction

    def keep(self, steps: Optional[Steps], prediction: PolicyPrediction) -> PolicyPrediction:
        """Remember a prediction that the steps alone decide; gives it back."""
        certain = prediction.policy_name and prediction.policy_name.endswith(RulePolicy.__name__) and prediction.max_confidence == 1.0
        if steps and certain and not prediction.is_no_user_prediction and not self._looks_further_back(steps):
            self._known[steps] = copy.copy(prediction)
            self._known[steps].events = [_again(event) for event in prediction.events]
        return prediction

    def _looks_further_back(self, steps: Steps) -> bool:
        intent, *actions = steps
        turn = [ACTION_LISTEN_NAME, *actions]
        return any(
            len(rule) > len(turn) and all(_may_match(state, intent, action) for state, action in zip(reversed(rule), reversed(turn)))
            for rule in self._rules
        )


def _may_match(state: Dict[Text, Dict[Text, Text]], intent: Text, action: Text) -> bool:
    meant = state.get(USER, {}).get(INTENT, intent)
    before = state.get(PREVIOUS_ACTION, {}).get(ACTION_NAME, action)
    return meant == intent and before == action


def _rule_policies(processor: MessageProcessor) -> List[RulePolicy]:
    components = [node._component for node in processor.graph_runner._instantiated_nodes.values()]
    return [component for component in components if isinstance(component, RulePolicy)]


def _again(event: Event) -> Event:
    """The same event as if it happened now."""
    repeated = type(event).from_parameters({key: value for key, value in event.as_dict().items() if key != "timestamp"})
    return repeated if repeated is not None else event
