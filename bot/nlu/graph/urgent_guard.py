"""Graph component: danger words decide before everything else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Container, Dict, List, Sequence, Text

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY, PREDICTED_CONFIDENCE_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.nlu.graph.topic_classifier import UNDERSTANDING
from bot.nlu.text import clean
from bot.nlu.urgent import UrgentPatterns

_KEPT = "urgent.yml"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class UrgentGuard(GraphComponent):
    """Where the reviewed patterns find danger, sets `intent` to that urgent topic, whatever the classifier thought.

    Stands behind the classifier, so that either of the two can raise an urgent topic and neither can take it back.
    """

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        return {"policy": "data/policy/urgent.yml"}

    def __init__(self, config: Dict[Text, Any], storage: ModelStorage, resource: Resource, patterns: UrgentPatterns) -> None:
        self._config, self._storage, self._resource, self._patterns = config, storage, resource, patterns

    @classmethod
    def create(cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext) -> "UrgentGuard":
        return cls(config, model_storage, resource, UrgentPatterns.load(config["policy"]))

    @classmethod
    def load(cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext, **kwargs: Any) -> "UrgentGuard":
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, UrgentPatterns.load(folder / _KEPT))

    def train(self, training_data: TrainingData) -> Resource:
        """Keep the reviewed patterns with the model, so that the model is what was reviewed."""
        with self._storage.write_to(self._resource) as folder:
            shutil.copyfile(self._config["policy"], folder / _KEPT)
            shutil.copytree(Path(self._config["policy"]).with_suffix(""), (folder / _KEPT).with_suffix(""))
        return self._resource

    def process(self, messages: List[Message]) -> List[Message]:
        """Raise what is urgent."""
        for message in messages:
            dangers = self._patterns.find(clean(message.get(TEXT) or ""))
            if dangers:
                understood = message.get(UNDERSTANDING) or {}
                topics = _urgent_first([d.topic for d in dangers], understood.get("topics", ()), self._patterns.topics)
                message.set(INTENT, {INTENT_NAME_KEY: topics[0], PREDICTED_CONFIDENCE_KEY: 1.0}, add_to_output=True)
                told = {**understood, "topics": topics, "danger": [d.words for d in dangers]}
                message.set(UNDERSTANDING, told, add_to_output=True)
        return messages


def _urgent_first(found: List[Text], understood: Sequence[Text], urgent: Container[Text]) -> List[Text]:
    """All topics once: the urgent one that the classifier was sure of, those that the patterns found, then the others.

    "I don't want to wake up" holds words of two dangers; the classifier reads the whole sentence, and both are answered.
    """
    return list(dict.fromkeys([*(t for t in understood if t in urgent), *found, *understood]))
