"""What is done once instead of in every turn gives what Rasa would give."""

from __future__ import annotations

import asyncio
import inspect
import json
import random
from pathlib import Path

import pytest
from rasa.core.actions.action import RemoteAction
from rasa.core.actions.forms import FormAction
from rasa.core.policies.memoization import MemoizationPolicy
from rasa.core.policies.rule_policy import RulePolicy
from rasa.core.processor import MessageProcessor
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, ActionExecutionRejected, ActiveLoop, BotUttered, Restarted, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from bot.engine.economies.actions import send_recent_events
from bot.engine.economies.predictions import RememberedRules, Steps, ask_only_what_decides
from bot.engine.economies.runner import DirectGraphRunner
from bot.engine.economies.trackers import LiveTrackers, copy_without_replay, go_on_without_replay

ROOT = Path(__file__).resolve().parents[2]
POLICIES = """
recipe: default.v1
assistant_id: test
language: en
policies:
- name: RulePolicy
  core_fallback_threshold: 0.3
  core_fallback_action_name: action_hand_over
  enable_fallback_prediction: true
- name: MemoizationPolicy
  max_history: 3
"""


@pytest.fixture(scope="module")
def processor(tmp_path_factory) -> MessageProcessor:
    """Rasa's message processor with the project's own rules and stories, and its own runner and predictions."""
    from rasa.core.agent import load_agent
    from rasa.core.utils import AvailableEndpoints
    from rasa.model_training import train_core

    folder = tmp_path_factory.mktemp("core")
    (folder / "config.yml").write_text(POLICIES)
    model = train_core(str(ROOT / "domain.yml"), str(folder / "config.yml"), str(ROOT / "data" / "stories"), str(folder))
    return asyncio.run(load_agent(model, endpoints=AvailableEndpoints())).processor


def said(intent: str) -> UserUttered:
    return UserUttered(intent, intent={"name": intent, "confidence": 1.0}, parse_data={"intent": {"name": intent, "confidence": 1.0}, "text": intent})


def test_remembered_predictions_are_those_of_the_policies(processor):
    ask = MessageProcessor._predict_next_with_tracker
    rules = RememberedRules(processor)
    intents = sorted(processor.domain.intents)
    chance = random.Random(7)
    recalled = 0
    for conversation in range(40):
        tracker = DialogueStateTracker(str(conversation), processor.domain.slots)
        tracker.update(ActionExecuted("action_listen"), processor.domain)
        for turn in range(4):
            # the first conversations meet every intent, so that the later ones can recall it
            tracker.update(said(intents[(conversation * 4 + turn) % len(intents)] if conversation < 30 else chance.choice(intents)), processor.domain)
            for _ in range(4):
                anew = ask(processor, tracker)
                steps = rules.steps(tracker)
                known = steps and rules.recall(steps)
                if known:
                    recalled += 1
                    assert known.probabilities == anew.probabilities
                    assert known.hide_rule_turn == anew.hide_rule_turn
                    assert [type(e) for e in known.events] == [type(e) for e in anew.events]
                rules.keep(steps, anew)
                action = processor.domain.action_names_or_texts[anew.max_confidence_index]
                tracker.update_with_events(anew.events, processor.domain)
                tracker.update(ActionExecuted(action), processor.domain)
                if action == "action_listen":
                    break
                tracker.update(BotUttered("so"), processor.domain)
                tracker.update(SlotSet("last_topic", "privacy"), processor.domain)
    assert recalled > 60


@pytest.fixture
def as_rasa_asks(monkeypatch):
    """Put back afterwards what an economy changes."""
    for policy, names in ((RulePolicy, ("_find_action_from_rules", "_prediction_states", "format_tracker_states", "predict_action_probabilities")), (MemoizationPolicy, ("predict_action_probabilities",))):
        for name in names:
            monkeypatch.setattr(policy, name, inspect.getattr_static(policy, name))


def conversation_with_guides(processor, seed: int, predict) -> list:
    """What is predicted through a made-up conversation in which guides begin, go on, are interrupted and end."""
    chance, domain = random.Random(seed), processor.domain
    tracker = DialogueStateTracker(str(seed), domain.slots)
    tracker.update(ActionExecuted("action_listen"), domain)
    intents, guides = sorted(domain.intents), ["responsibility_check", "eligibility_check", "responsibility_answer", "five_questions_answer"]
    found = []
    for _ in range(12):
        tracker.update(said(chance.choice(guides if chance.random() < 0.5 else intents)), domain)
        for _ in range(7):
            first = isinstance(tracker.events[-1], UserUttered)
            prediction = predict(tracker)
            action = domain.action_names_or_texts[prediction.max_confidence_index]
            found.append((action, prediction.probabilities, prediction.policy_name, prediction.hide_rule_turn, prediction.is_no_user_prediction, [type(e) for e in prediction.events]))
            tracker.update_with_events(prediction.events, domain)
            if action in domain.form_names:
                interrupted = tracker.active_loop_name == action and first and chance.random() < 0.5
                ended = not interrupted and chance.random() < 0.3
                after = [ActionExecutionRejected(action)] if interrupted else [ActionExecuted(action), ActiveLoop(None if ended else action)]
                tracker.update_with_events([*after, *([] if interrupted else [SlotSet("requested_slot", None if ended else "sort")])], domain)
            else:
                tracker.update_with_events([ActionExecuted(action), SlotSet("last_topic", "privacy")], domain)
            if action == "action_listen":
                break
    return found


def test_asking_only_what_decides_decides_as_rasa_does(processor, as_rasa_asks):
    ask = MessageProcessor._predict_next_with_tracker
    seeds = range(12)
    before = [conversation_with_guides(processor, seed, lambda tracker: ask(processor, tracker)) for seed in seeds]
    ask_only_what_decides()
    after = [conversation_with_guides(processor, seed, lambda tracker: ask(processor, tracker)) for seed in seeds]
    assert before == after
    actions = [action for found in before for action, *_ in found]
    assert {"responsibility_form", "five_questions_form", "action_answer", "action_listen"} <= {*actions} and len(actions) > 250


def test_what_is_remembered_within_a_guide_is_as_rasa_decides(processor, as_rasa_asks):
    ask_only_what_decides()
    ask = MessageProcessor._predict_next_with_tracker
    rules = RememberedRules(processor)
    recalled = []

    def remembered(tracker):
        steps = rules.steps(tracker)
        if known := steps and rules.recall(steps):
            recalled.append(steps)
            return known
        return rules.keep(steps, ask(processor, tracker))

    seeds = range(100, 140)
    before = [conversation_with_guides(processor, seed, lambda tracker: ask(processor, tracker)) for seed in seeds]
    assert before == [conversation_with_guides(processor, seed, remembered) for seed in seeds]
    declined = [steps for steps in recalled if steps.guide and ("responsibility_form", False) in steps.taken]
    assert len(recalled) > 150 and len(declined) > 8


def test_a_prediction_that_depends_on_the_turn_before_is_not_remembered(processor):
    rules = RememberedRules(processor)
    longer = [{"prev_action": {"action_name": "action_ask_back"}}, {"user": {"intent": "greet"}, "prev_action": {"action_name": "action_listen"}}]
    rules._rules.append(longer)
    assert rules._looks_further_back(Steps("greet", "", False))
    assert not rules._looks_further_back(Steps("thank", "", False))
    assert not rules._looks_further_back(Steps("greet", "", False, (("action_answer", True),)))
    assert rules._looks_further_back(Steps("greet", "responsibility_form", True, (("responsibility_form", False),)))


def test_nodes_run_in_the_order_of_their_needs(processor):
    runner = DirectGraphRunner.__new__(DirectGraphRunner)
    runner._graph_schema = processor.graph_runner._graph_schema
    target = processor.model_metadata.core_target
    order = runner._order((target,))
    nodes = runner._graph_schema.nodes
    assert order[-1] == target
    for place, name in enumerate(order):
        assert all(need in order[:place] for need in nodes[name].needs.values() if need in nodes)


@pytest.fixture
def domain() -> Domain:
    return Domain.load(str(ROOT / "domain.yml"))


def chat(domain: Domain, name: str, turns: int = 1) -> DialogueStateTracker:
    tracker = DialogueStateTracker(name, domain.slots)
    for _ in range(turns):
        for event in (said("greet"), ActionExecuted("action_answer"), SlotSet("last_topic", "consent"), BotUttered("hello"), ActionExecuted("action_listen")):
            tracker.update(event, domain)
    return tracker


def test_a_conversation_that_was_put_away_goes_on(domain):
    async def scenario():
        store = LiveTrackers(domain, live=2)
        for name in "abc":
            await store.save(chat(domain, name))
        assert set(store.store) == {"a"}
        back = await store.retrieve("a")
        assert back.get_slot("last_topic") == "consent" and len(back.events) == 5
        assert set(await store.keys()) == {"a", "b", "c"}
        assert await store.retrieve("nobody") is None

    asyncio.run(scenario())


def test_a_turn_that_broke_off_leaves_no_trace(domain):
    async def scenario():
        store = LiveTrackers(domain)
        await store.save(chat(domain, "a"))
        broken = await store.retrieve("a")
        broken.update(said("privacy"), domain)
        broken.update(SlotSet("last_topic", "privacy"), domain)
        again = await store.retrieve("a")
        assert len(again.events) == 5
        assert again.get_slot("last_topic") == "consent"
        assert again.latest_action_name == "action_listen"

    asyncio.run(scenario())


def test_a_copy_is_what_a_replay_gives_and_stands_alone(domain, monkeypatch):
    monkeypatch.setattr(DialogueStateTracker, "copy", DialogueStateTracker.copy)
    tracker = chat(domain, "a", turns=3)
    replayed = tracker.copy()
    copy_without_replay()
    twin = tracker.copy()
    assert json.dumps(twin.current_state(), default=str) == json.dumps(replayed.current_state(), default=str)
    assert list(twin.events) == list(replayed.events)
    twin.update(SlotSet("last_topic", "waiting_time"), domain)
    assert tracker.get_slot("last_topic") == "consent" and len(tracker.events) == 15


def test_a_form_validates_with_what_a_replay_gives(domain, monkeypatch):
    for owner, name in ((DialogueStateTracker, "copy"), (FormAction, "_temporary_tracker"), (MessageProcessor, "_update_tracker_session")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    tracker = chat(domain, "a", turns=2)
    tracker.update_with_events([ActionExecuted("responsibility_form"), ActiveLoop("responsibility_form"), SlotSet("requested_slot", "plan"), SlotSet("area", "somerset")], domain)
    tracker.update(said("responsibility_answer"), domain)
    form, more = FormAction("responsibility_form", None), [SlotSet("plan", "yes")]
    replayed = form._temporary_tracker(tracker, more, domain)
    copy_without_replay()
    go_on_without_replay()
    twin = form._temporary_tracker(tracker, more, domain)
    states = [json.loads(json.dumps({**each.current_state(), "latest_event_time": 0}, default=str)) for each in (twin, replayed)]
    assert states[0] == states[1] and states[0]["slots"]["plan"] == "yes"
    assert [type(event) for event in twin.events] == [type(event) for event in replayed.events]
    assert tracker.get_slot("plan") is None and len(tracker.events) == 15


def test_a_session_begins_once(domain, monkeypatch):
    begun = []

    async def update(processor, tracker, *more):
        begun.append(tracker.sender_id)

    monkeypatch.setattr(FormAction, "_temporary_tracker", FormAction._temporary_tracker)
    monkeypatch.setattr(MessageProcessor, "_update_tracker_session", update)
    go_on_without_replay()
    processor = MessageProcessor.__new__(MessageProcessor)
    processor.domain = domain
    restarted = chat(domain, "restarted")
    restarted.update(Restarted(), domain)
    for tracker in (DialogueStateTracker("new", domain.slots), chat(domain, "going on"), restarted):
        asyncio.run(processor._update_tracker_session(tracker, None))
    assert begun == ["new", "restarted"]


def test_actions_are_told_what_they_read_of_the_latest_events(domain, monkeypatch):
    monkeypatch.setattr(RemoteAction, "_action_call_format", RemoteAction._action_call_format)
    send_recent_events()
    tracker = DialogueStateTracker("a", domain.slots)
    ranking = [{"name": "privacy", "confidence": 0.5}]
    asked = {"intent": {"name": "privacy"}, "intent_ranking": ranking, "understanding": {"topics": ["privacy"]}}
    answer = {"text": "long", "sources": [{"id": "S1"}], "outcome": "answer", "topic": "privacy"}
    for event in (
        ActionExecuted("action_listen"),
        UserUttered("who reads this", {"name": "privacy"}, parse_data=asked, metadata={"seq": 4, "area": "somerset"}),
        SlotSet("last_topic", "privacy"),
        BotUttered("", {"custom": answer}),
        BotUttered("plain"),
        ActionExecutionRejected("responsibility_form"),
    ):
        tracker.update(event, domain)
    call = RemoteAction("action_answer", None)._action_call_format(tracker, domain)
    user, bot, plain, declined = call["tracker"]["events"]
    assert user == {"event": "user", "text": "who reads this", "metadata": {"seq": 4, "area": "somerset"}}
    assert (bot["event"], bot["data"]["custom"]) == ("bot", {"outcome": "answer", "topic": "privacy"})
    assert plain["data"]["custom"] == {"outcome": None, "topic": None}
    assert (declined["event"], declined["name"]) == ("action_execution_rejected", "responsibility_form")
    assert call["tracker"]["latest_message"]["understanding"] == {"topics": ["privacy"]} and call["tracker"]["slots"]["last_topic"] == "privacy"
    tracker.update_with_events([ActiveLoop("responsibility_form"), UserUttered("no", {"name": "deny"}), UserUttered("that is wrong", {"name": "deny"})], domain)
    later = RemoteAction("action_answer", None)._action_call_format(tracker, domain)["tracker"]
    assert later["active_loop"] == {"name": "responsibility_form", "is_interrupted": False, "rejected": False}
    assert [event.get("parse_data") for event in later["events"] if event["event"] == "user"] == [None, {"intent_ranking": []}, None]
    for _ in range(60):
        tracker.update(SlotSet("last_topic", "consent"), domain)
    assert RemoteAction("action_answer", None)._action_call_format(tracker, domain)["tracker"]["events"] == []
