"""Graph component: the meaning of a message and of each of its sentences as vectors."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Text

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.nlu.embedding import SentenceEncoder
from bot.nlu.graph.mender import MENDED
from bot.nlu.text import sentences

PARTS = "parts"
PART_VECTORS = "part_vectors"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=False)
class SentenceFeaturizer(GraphComponent):
    """Sets `parts` (the whole message, then its sentences if there are several) and `part_vectors` (a row a part)."""

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        return {"model": "var/sentence-model", "precision": "int8", "threads": 1, "most_sentences": 8}

    def __init__(self, config: Dict[Text, Any]) -> None:
        self._config = config
        self._encoder = SentenceEncoder(config["model"], config["threads"], config["precision"])
        self._most = config["most_sentences"]

    @classmethod
    def create(cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext) -> "SentenceFeaturizer":
        return cls(config)

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """One vector for each example, as a whole."""
        examples = [e for e in training_data.training_examples if e.get(MENDED)]
        every_core = SentenceEncoder(self._config["model"], os.cpu_count() or 1, self._config["precision"])
        vectors = every_core.encode([e.get(MENDED) for e in examples])
        for example, vector in zip(examples, vectors):
            example.set(PARTS, [example.get(MENDED)], add_to_output=False)
            example.set(PART_VECTORS, vector[None, :], add_to_output=False)
        return training_data

    def process(self, messages: List[Message]) -> List[Message]:
        """Vectors for the message and, if it has several, for its sentences."""
        for message in messages:
            whole = message.get(MENDED) or ""
            split = sentences(whole)[: self._most] if whole else []
            parts = [whole, *split] if len(split) > 1 else [whole]
            message.set(PARTS, parts, add_to_output=False)
            message.set(PART_VECTORS, self._encoder.encode(parts), add_to_output=False)
        return messages
