"""Graph component: a message in another language than English goes to a person who can answer it."""

from __future__ import annotations

from typing import Any, Dict, List, Text

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY, PREDICTED_CONFIDENCE_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message

from bot.nlu.graph.mender import KNOWN_SHARE
from bot.nlu.graph.topic_classifier import UNDERSTANDING
from bot.nlu.language import spoken
from bot.nlu.text import clean

TOPIC = "language_access"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=False)
class LanguageSpotter(GraphComponent):
    """Sets `intent` to `language_access` and `understanding.language` for a message that is not in English."""

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        return {}

    @classmethod
    def create(cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext) -> "LanguageSpotter":
        return cls()

    def process(self, messages: List[Message]) -> List[Message]:
        """Look at each message that has words."""
        for message in messages:
            language = spoken(clean(message.get(TEXT) or ""), message.get(KNOWN_SHARE, 1.0))
            if language != "en":
                understood = message.get(UNDERSTANDING) or {}
                message.set(INTENT, {INTENT_NAME_KEY: TOPIC, PREDICTED_CONFIDENCE_KEY: 1.0}, add_to_output=True)
                message.set(UNDERSTANDING, {**understood, "topics": [TOPIC], "language": language}, add_to_output=True)
        return messages
