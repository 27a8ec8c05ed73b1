"""Graph component: what a message names, and the query that its reference finds."""

from __future__ import annotations

import shutil
from typing import Any, Dict, List, Text

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY, PREDICTED_CONFIDENCE_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.nlu.entities import EntityFinder
from bot.nlu.graph.topic_classifier import UNDERSTANDING
from bot.nlu.text import clean

_KEPT = "entities.yml"
_ABOUT_A_QUERY = ("query_status", "query_chase", "query_not_answered")


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class EntitySpotter(GraphComponent):
    """Sets `understanding.entities`; a query's reference makes a message one about that query (`query_status` if nothing nearer).

    The entities are not Rasa's own, which rules would have to name each time: they change what is said, not what is done.
    """

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        return {"entities": "data/entities.yml"}

    def __init__(self, config: Dict[Text, Any], storage: ModelStorage, resource: Resource, finder: EntityFinder) -> None:
        self._config, self._storage, self._resource, self._finder = config, storage, resource, finder

    @classmethod
    def create(cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext) -> "EntitySpotter":
        return cls(config, model_storage, resource, EntityFinder.load(config["entities"]))

    @classmethod
    def load(cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext, **kwargs: Any) -> "EntitySpotter":
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, EntityFinder.load(folder / _KEPT))

    def train(self, training_data: TrainingData) -> Resource:
        """Keep the entities with the model."""
        with self._storage.write_to(self._resource) as folder:
            shutil.copyfile(self._config["entities"], folder / _KEPT)
        return self._resource

    def process(self, messages: List[Message]) -> List[Message]:
        """Look at each message that has words."""
        for message in messages:
            entities = self._finder.find(clean(message.get(TEXT) or ""))
            if not entities:
                continue
            understood = {**(message.get(UNDERSTANDING) or {}), "entities": [e.as_json() for e in entities]}
            topic = (message.get(INTENT) or {}).get(INTENT_NAME_KEY)
            if any(e.kind == "reference" for e in entities) and topic not in _ABOUT_A_QUERY:
                message.set(INTENT, {INTENT_NAME_KEY: "query_status", PREDICTED_CONFIDENCE_KEY: 1.0}, add_to_output=True)
                understood["topics"] = ["query_status"]
            message.set(UNDERSTANDING, understood, add_to_output=True)
        return messages
