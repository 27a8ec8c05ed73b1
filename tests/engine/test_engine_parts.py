"""The engine's host: Rasa without TensorFlow, the turn channel, the check of the model file."""

from __future__ import annotations

import hashlib
import sys

import pytest

from bot.engine.serve import WrongModel, check_model


def test_rasa_runs_without_tensorflow_and_a_use_of_it_is_an_error():
    import rasa.core.agent  # noqa: F401
    import rasa.nlu.classifiers.diet_classifier as diet

    assert not hasattr(sys.modules["tensorflow"], "__version__")
    with pytest.raises(RuntimeError, match="TensorFlow is not loaded"):
        diet.tf.constant([1, 2])


def test_spacy_does_not_mistake_the_stand_in_for_tensorflow():
    from thinc import compat

    assert compat.has_tensorflow is False


def test_a_model_that_training_did_not_record_is_not_loaded(tmp_path):
    model = tmp_path / "m.tar.gz"
    model.write_bytes(b"model")
    (tmp_path / "m.tar.gz.sha256").write_text(hashlib.sha256(b"model").hexdigest() + "  m.tar.gz\n")
    check_model(model)
    model.write_bytes(b"another")
    with pytest.raises(WrongModel, match="train again"):
        check_model(model)


@pytest.mark.parametrize("text", ["/restart", "//restart", " / restart", '/intent{"a": 1}', "/ /x"])
def test_user_text_never_begins_like_a_command(text):
    from bot.engine.channel import _plain

    assert not _plain(text).startswith("/")


def test_text_without_a_leading_slash_is_left_alone():
    from bot.engine.channel import _plain

    assert _plain("either/or, and/or") == "either/or, and/or"


def test_replies_are_found_by_the_message_they_answer():
    from rasa.shared.core.events import ActionExecuted, BotUttered, UserUttered
    from rasa.shared.core.trackers import DialogueStateTracker

    from bot.engine.channel import _replies_to

    tracker = DialogueStateTracker("c", slots=[])
    for number in ("one", "two"):
        tracker.update(UserUttered(number, intent={"name": "greet"}, message_id=number, parse_data={"intent": {"name": "greet"}, "text": number}))
        tracker.update(ActionExecuted("action_answer"))
        tracker.update(BotUttered(None, data={"custom": {"text": f"reply to {number}"}}))
    assert _replies_to(tracker, "one")["messages"] == [{"text": "reply to one"}]
    assert _replies_to(tracker, "two")["messages"] == [{"text": "reply to two"}]
    assert _replies_to(tracker, "three") is None


def test_the_actions_answer_is_validated_as_rasa_does_but_once():
    from jsonschema import ValidationError
    from rasa.core.actions.action import RemoteAction

    from bot.engine.economies.actions import check_schema_once

    check_schema_once()
    action = RemoteAction("action_x", None)
    assert action._validate_action_result({"events": [{"event": "slot", "name": "a", "value": 1}], "responses": []}) is True
    with pytest.raises(ValidationError):
        action._validate_action_result({"events": [{"event": "no such event"}], "responses": "x"})
