"""What the rules say is looked up once for each intent, each guide that is under way and what was done since; and where more decides it,
only what can decide is asked.

Two predictions a turn, each replaying the conversation five times over, took a quarter of a turn.
"""

from __future__ import annotations

import copy
import json
from itertools import chain
from typing import Any, Dict, List, NamedTuple, Optional, Text, Tuple

from rasa.core.policies.memoization import MemoizationPolicy
from rasa.core.policies.policy import PolicyPrediction
from rasa.core.policies.rule_policy import RULES, RULES_FOR_LOOP_UNHAPPY_PATH, RulePolicy
from rasa.core.processor import MessageProcessor
from rasa.shared.core.constants import ACTION_LISTEN_NAME, PREVIOUS_ACTION, USER
from rasa.shared.core.domain import Domain, State
from rasa.shared.core.events import ActionExecuted, ActionExecutionRejected, ActiveLoop, Event, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.constants import ACTION_NAME, INTENT, INTENT_NAME_KEY, TEXT


def remember_rules() -> None:
    """Let Rasa's message processor ask its policies once for each message and actions after it that a rule alone decides."""
    ask = MessageProcessor._predict_next_with_tracker

    def predict(self: MessageProcessor, tracker: DialogueStateTracker) -> PolicyPrediction:
        if not hasattr(self, "_remembered_rules"):
            self._remembered_rules = RememberedRules(self)
        steps = self._remembered_rules.steps(tracker)
        return (steps and self._remembered_rules.recall(steps)) or self._remembered_rules.keep(steps, ask(self, tracker))

    MessageProcessor._predict_next_with_tracker = predict


def ask_only_what_decides() -> None:
    """Leave out of a prediction what cannot change it. Together these make a prediction within a guide three times cheaper.

    - Rules that read a message's text, where there are none: Rasa looks for them before it looks at the guide that is under way.
    - States of the conversation further back than the longest rule reaches.
    - The other policy, once a rule is certain: nothing is more certain, and the rules go first among equals.
    - The copy of all states for a debug log that is not written.
    """
    find, predict, recall = RulePolicy._find_action_from_rules, RulePolicy.predict_action_probabilities, MemoizationPolicy.predict_action_probabilities

    def find_action(self: RulePolicy, tracker: DialogueStateTracker, domain: Domain, use_text_for_last_user_input: bool) -> Tuple[Any, Any, bool]:
        if use_text_for_last_user_input and not _reach(self).reads_text:
            return None, None, False
        return find(self, tracker, domain, use_text_for_last_user_input)

    def by_rules(self: RulePolicy, tracker: DialogueStateTracker, domain: Domain, **more: Any) -> PolicyPrediction:
        prediction = predict(self, tracker, domain, **more)
        tracker.decided_by_rules = len(tracker.events) if _is_certain(prediction, tracker, domain) else None
        return prediction

    def by_memory(self: MemoizationPolicy, tracker: DialogueStateTracker, domain: Domain, **more: Any) -> PolicyPrediction:
        if getattr(tracker, "decided_by_rules", None) == len(tracker.events):
            return self._prediction(self._default_predictions(domain))
        return recall(self, tracker, domain, **more)

    RulePolicy._find_action_from_rules = find_action
    RulePolicy._prediction_states = _latest_states
    RulePolicy.format_tracker_states = staticmethod(lambda _states: [])
    RulePolicy.predict_action_probabilities = by_rules
    MemoizationPolicy.predict_action_probabilities = by_memory


class _Reach:
    """How far back the rules of a policy look, in states, and whether any reads a message's text."""

    def __init__(self, policy: RulePolicy) -> None:
        rules = [json.loads(key) for lookup in (RULES, RULES_FOR_LOOP_UNHAPPY_PATH) for key in policy.lookup.get(lookup, ())]
        self.states = max(map(len, rules), default=1)
        self.reads_text = any(TEXT in state.get(USER, {}) for rule in rules for state in rule)


def _reach(policy: RulePolicy) -> _Reach:
    if not hasattr(policy, "reach_of_rules"):
        policy.reach_of_rules = _Reach(policy)
    return policy.reach_of_rules


def _latest_states(
    policy: RulePolicy, tracker: DialogueStateTracker, domain: Domain, use_text_for_last_user_input: bool = False, rule_only_data: Optional[Dict[Text, Any]] = None
) -> List[State]:
    """The states before the latest actions, as `Domain.states_for_tracker_history` gives them, as many as any rule looks at."""
    before = sum(isinstance(event, ActionExecuted) for event in tracker.applied_events()) + 1 - _reach(policy).states
    trackers = enumerate(tracker.generate_all_prior_trackers())
    states = [domain._clean_state(domain.get_active_state(prior)) for place, (prior, _) in trackers if place >= before]
    policy.featurizer._choose_last_user_input([states], use_text_for_last_user_input)
    return states


def _is_certain(prediction: PolicyPrediction, tracker: DialogueStateTracker, domain: Domain) -> bool:
    """Whether a rule decides, whatever the other policy says. An action that has just declined is struck out later."""
    latest = tracker.events[-1] if tracker.events else None
    declined = isinstance(latest, ActionExecutionRejected) and latest.action_name == domain.action_names_or_texts[prediction.max_confidence_index]
    return prediction.max_confidence == 1.0 and not declined


def trust_the_model() -> None:
    """Leave out the warning about intents that the domain lacks, for which Rasa compares the whole domain with an empty one each
    time: training refuses such data already."""
    MessageProcessor._check_for_unseen_features = lambda _processor, _parse_data: None


class Steps(NamedTuple):
    """What decides a prediction as far as this turn goes: the intent, the guide that is under way and whether it declined, and what was
    done since: (action, whether it was run rather than declined)."""

    intent: Text
    guide: Text
    declined: bool
    taken: Tuple[Tuple[Text, bool], ...] = ()


class RememberedRules:
    """Predictions of the rule policy by the steps of the turn.

    A turn has such steps if no guide began or ended in it, no slot that rules can see is set and the message has no entities of Rasa's. A
    prediction is kept if the rule policy is certain, and no rule that looks further back than this turn could have been meant.
    """

    def __init__(self, processor: MessageProcessor) -> None:
        self._known: Dict[Steps, PolicyPrediction] = {}
        self._seen_slots = [slot.name for slot in processor.domain.slots if slot.influence_conversation]
        policies = _rule_policies(processor)
        self._rules = [json.loads(key) for policy in policies for key in policy.lookup[RULES]]
        self._rules_in_guides = [json.loads(key) for policy in policies for key in policy.lookup.get(RULES_FOR_LOOP_UNHAPPY_PATH, ())]

    def steps(self, tracker: DialogueStateTracker) -> Optional[Steps]:
        """The steps of the turn so far; nothing if more than they decide."""
        if tracker.followup_action or any(tracker.slots[name].value is not None for name in self._seen_slots):
            return None
        taken: List[Tuple[Text, bool]] = []
        latest = reversed(tracker.events)
        for event in latest:
            if isinstance(event, UserUttered):
                intent, guide = event.intent.get(INTENT_NAME_KEY), tracker.active_loop
                before = next((earlier.action_name for earlier in latest if isinstance(earlier, ActionExecuted)), None)
                if not intent or event.entities or before != ACTION_LISTEN_NAME:
                    return None
                return Steps(intent, guide.name if guide else "", bool(guide and guide.rejected), tuple(reversed(taken)))
            if isinstance(event, (ActionExecuted, ActionExecutionRejected)):
                if not event.action_name:
                    return None
                taken.append((event.action_name, isinstance(event, ActionExecuted)))
            elif isinstance(event, ActiveLoop) or (isinstance(event, SlotSet) and event.key in self._seen_slots):
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
        if steps and certain and not self._looks_further_back(steps):
            self._known[steps] = copy.copy(prediction)
            self._known[steps].events = [_again(event) for event in prediction.events]
        return prediction

    def _looks_further_back(self, steps: Steps) -> bool:
        turn = [ACTION_LISTEN_NAME, *(action for action, was_run in steps.taken if was_run)]
        rules = chain(self._rules, self._rules_in_guides) if steps.guide else self._rules
        return any(
            len(rule) > len(turn) and all(_may_match(state, steps.intent, action) for state, action in zip(reversed(rule), reversed(turn)))
            for rule in rules
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
