"""The custom actions: what is understood becomes reviewed wording, a question back, or a query."""

from __future__ import annotations

import asyncio

import pytest
from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions import all_actions
from actions.follow_up import contact_wanted, same_for_another
from bot.store.tables import Query


class Stage:
    """Runs an action on one message of a real conversation."""

    def __init__(self, signpost) -> None:
        self.signpost = signpost
        self.actions = {a.name(): a for a in all_actions(signpost.services())}
        self.conversation, _ = signpost.log.start("web", "somerset", "parent")
        self.count = 0

    def play(self, action: str, text: str, intent: str = "ask_back", last_topic: str | None = None, area: str = "somerset", role: str = "parent", before: list | None = None, **understood):
        self.count += 1
        accepted = self.signpost.log.accept(self.conversation, f"client-id-{self.count}", text)
        user = {"event": "user", "text": text, "metadata": {"area": area, "role": role, "seq": accepted.seq}}
        latest = {"text": text, "intent": {"name": intent}, "understanding": understood}
        tracker = Tracker(self.conversation, {"last_topic": last_topic}, latest, [*(before or []), user], False, None, {}, "action_listen")
        dispatcher = CollectingDispatcher()
        self.events = asyncio.run(self.actions[action].run(dispatcher, tracker, {}))
        return [m["custom"] for m in dispatcher.messages]


@pytest.fixture
def stage(signpost) -> Stage:
    return Stage(signpost)


def test_every_action_of_the_domain_is_there(stage):
    import yaml

    from bot.settings import ROOT

    assert set(stage.actions) == set(yaml.safe_load((ROOT / "domain.yml").read_text())["actions"])


def test_two_questions_get_two_answers_each_with_its_topic(stage):
    said = stage.play("action_answer", "how long and who pays", "waiting_time", topics=["waiting_time", "core_offer_funding"])
    assert [m["topic"] for m in said] == ["waiting_time", "core_offer_funding"]
    assert said[1]["sources"] and stage.events[0]["value"] == "core_offer_funding"


def test_what_is_a_persons_work_goes_to_one_in_the_same_turn(stage):
    said = stage.play("action_answer", "who pays and i want a person", "core_offer_funding", topics=["core_offer_funding", "talk_to_person"])
    assert [m["outcome"] for m in said] == ["answer", "handoff"] and said[1]["query_id"]
    said = stage.play("action_hand_over", "a person, and who pays", "talk_to_person", topics=["talk_to_person", "core_offer_funding"])
    assert [m["topic"] for m in said] == ["talk_to_person", "core_offer_funding"]


def test_danger_is_the_emergency_routes_and_nothing_before_them(stage):
    [message] = stage.play("action_urgent", "he is choking", "urgent_medical", topics=["urgent_medical", "feeding"])
    assert message["outcome"] == "urgent" and message["text"].startswith("Call 999") and message["choices"] == []
    card = stage.signpost.desk.latest(stage.conversation)
    assert card.due_on == stage.signpost.clock.today()


@pytest.mark.parametrize("text", ["ok and who do i contact?", "whats the number", "how do I get hold of them", "who do i ring about that"])
def test_whom_to_contact_is_read_in_the_light_of_the_last_topic(stage, text):
    [message] = stage.play("action_ask_back", text, last_topic="core_offer_return", choices=["complaint"])
    assert message["outcome"] == "answer" and message["topic"] == "core_offer_return" and "0303 033 3002" in message["text"]
    assert "checked" in message["text"]


def test_a_contact_that_is_not_known_is_not_made_up(stage):
    [message] = stage.play("action_ask_back", "who do i contact", last_topic="school_role", area="hampshire")
    assert "do not have a checked contact" in message["text"] and message["choices"]


@pytest.mark.parametrize("text", ["what about physio?", "and for a 9 year old?", "is it the same for OT"])
def test_whether_it_goes_for_another_is_answered_without_inventing(stage, text):
    [message] = stage.play("action_ask_back", text, last_topic="core_offer_return", choices=["age_limits"])
    assert message["topic"] == "core_offer_return" and "not only for one therapy" in message["text"]


def test_without_a_topic_before_a_follow_up_is_asked_back(stage):
    [message] = stage.play("action_ask_back", "what about physio?", choices=["referral_route", "waiting_time"])
    assert message["outcome"] == "clarify"
    assert [c["title"] for c in message["choices"]][-2:] == ["None of these", "Talk to a person"]
    assert [c["topic"] for c in message["choices"]][:2] == ["referral_route", "waiting_time"]


def test_a_person_is_offered_once(stage):
    [message] = stage.play("action_ask_back", "so tired", choices=["talk_to_person", "consent"])
    assert [c["topic"] for c in message["choices"]].count("talk_to_person") == 1 and message["choices"][0]["topic"] == "consent"


def test_a_reference_of_another_chat_is_not_asked_for_again(stage):
    [message] = stage.play("action_query_status", "any news on SP-7A4DJNCE?", "query_status")
    assert "SP-7A4DJNCE" in message["text"] and "/return" in message["text"] and message["query_id"] is None
    [message] = stage.play("action_query_status", "any news?", "query_status")
    assert "please type it" in message["text"]


def test_what_may_be_danger_is_a_priority_for_the_person_who_gets_it(stage):
    [message] = stage.play("action_hand_over", "it is all a bit much here", "hand_over", may_be_danger=True)
    with stage.signpost.database.read() as session:
        assert session.get_one(Query, message["query_id"]).kind == "priority"


def test_that_it_is_about_something_else_is_the_last_topic_offered(stage):
    [message] = stage.play("action_ask_back", "her hours", choices=["out_of_scope", "equipment", "ehcp_over_core"])
    assert [c["topic"] for c in message["choices"]][:3] == ["equipment", "ehcp_over_core", "out_of_scope"]


def test_a_long_message_is_never_taken_for_a_follow_up():
    long = "what about the report that the hospital wrote last year when he was in for his operation and they said he needs physio every week"
    assert not same_for_another(long) and not contact_wanted(long + " who do i contact")


def test_i_do_not_understand_gives_the_last_answer_shorter(stage):
    [full] = stage.play("action_answer", "can we come back", "core_offer_return", topics=["core_offer_return"])
    [short] = stage.play("action_repeat", "i dont understand", "repeat", last_topic="core_offer_return", topics=["repeat"])
    assert short["topic"] == "core_offer_return" and len(short["text"]) < len(full["text"])


@pytest.mark.parametrize("language", ["pl", "pt", "ro", "uk", "ar", "bn"])
def test_another_language_gets_its_own_words_and_the_language_is_recorded(stage, language):
    [message] = stage.play("action_hand_over", "x", "language_access", topics=["language_access"], language=language)
    assert message["text"].startswith(stage.signpost.answers.in_language(language)) and "SP-" in message["text"]
    from bot.store.tables import Query

    with stage.signpost.database.read() as session:
        assert session.get_one(Query, message["query_id"]).language == language


def test_a_language_without_reviewed_words_still_goes_to_a_person(stage):
    [message] = stage.play("action_hand_over", "x", "language_access", topics=["language_access"], language="tr")
    assert message["outcome"] == "handoff" and message["query_id"]


def test_somebody_who_names_hampshire_gets_hampshires_words(stage):
    entities = [{"kind": "area", "value": "hampshire", "words": "Hampshire"}]
    [message] = stage.play("action_answer", "we live in Hampshire, can we come back", "core_offer_return", topics=["core_offer_return"], entities=entities)
    assert "your area may do it differently" in message["text"]


def test_somebody_from_elsewhere_is_told_whose_rule_it_is(stage):
    entities = [{"kind": "area", "value": "elsewhere", "words": "Bristol"}]
    said = stage.play("action_answer", "we live in Bristol, can we come back", "core_offer_return", topics=["core_offer_return"], entities=entities)
    assert [m["topic"] for m in said] == ["core_offer_return", "other_area"]


def test_the_state_of_a_query_is_told_and_a_chase_recorded(stage):
    [told] = stage.play("action_hand_over", "a person please", "talk_to_person", topics=["talk_to_person"])
    [status] = stage.play("action_query_status", "any news?", "query_status", topics=["query_status"])
    assert status["query_id"] == told["query_id"] and "waiting for a named person to read it" in status["text"]
    [chased] = stage.play("action_query_chase", "nobody replied", "query_chase", topics=["query_chase"])
    assert "asked again" in chased["text"]


def test_without_a_query_its_state_is_not_made_up(stage):
    [status] = stage.play("action_query_status", "any news?", "query_status", topics=["query_status"])
    assert status["query_id"] is None and "cannot find" in status["text"]


def test_a_reply_that_missed_the_question_without_a_query_becomes_one(stage):
    [message] = stage.play("action_query_not_answered", "that did not answer me", "query_not_answered", topics=["query_not_answered"])
    assert message["outcome"] == "handoff" and message["query_id"]


def answered_before(outcome: str = "answer") -> list[dict]:
    ranking = [{"name": name, "confidence": 0.3} for name in ("waiting_time", "referral_status", "thank", "query_chase", "first_appointment")]
    bot = {"event": "bot", "data": {"custom": {"text": "The wait is ...", "outcome": outcome, "topic": "waiting_time"}}}
    return [{"event": "user", "text": "how long", "parse_data": {"intent_ranking": ranking}}, bot]


def test_an_answer_that_missed_is_asked_back_about_first(stage):
    [message] = stage.play("action_query_not_answered", "thats not what i asked", "query_not_answered", topics=["query_not_answered"], before=answered_before())
    assert message["outcome"] == "clarify"
    offered = [choice["topic"] for choice in message["choices"] if choice["topic"]]
    assert offered[0] == "referral_status" and "waiting_time" not in offered and "thank" not in offered and offered[-1] == "talk_to_person"
    assert stage.signpost.desk.latest(stage.conversation) is None


def test_a_question_back_that_missed_goes_to_a_person(stage):
    [message] = stage.play("action_query_not_answered", "no thats not it", "query_not_answered", topics=["query_not_answered"], before=answered_before("clarify"))
    assert message["outcome"] == "handoff" and message["query_id"]


def test_two_dangers_give_both_routes(stage):
    [message] = stage.play("action_urgent", "i dont want to wake up", "urgent_mental_health", topics=["urgent_mental_health", "urgent_medical"])
    routes = stage.signpost.services().area("somerset").urgent
    assert message["topic"] == "urgent_mental_health"
    assert routes["mental_health"].as_text() in message["text"] and routes["medical"].as_text() in message["text"]
