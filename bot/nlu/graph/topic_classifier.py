"""Graph component: the topic of a message, or the decision to ask back or to hand over to a person."""

from __future__ import annotations

from typing import Any, Dict, List, Text

import joblib
import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import INTENT, INTENT_NAME_KEY, PREDICTED_CONFIDENCE_KEY
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.nlu.decision import Bands, decide, may_be_danger, together
from bot.nlu.graph.mender import MENDED
from bot.nlu.graph.sentence_featurizer import PART_VECTORS, PARTS
from bot.nlu.topic_model import TopicModel

UNDERSTANDING = "understanding"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class TopicClassifier(GraphComponent):
    """Sets `intent` to a topic, `ask_back` or `hand_over`, `intent_ranking` to the topics, and `understanding` to the working."""

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        return {
            "answer_from": 0.53,
            "ask_from": 0.08,
            "near_from": 0.4,
            "also_from": 0.45,
            "urgent_from": 0.65,
            "danger_from": 0.25,
            "choices": 3,
            "urgent": [],
            "never_offered": [],
            "ranking_length": 10,
        }

    def __init__(self, config: Dict[Text, Any], storage: ModelStorage, resource: Resource, model: TopicModel) -> None:
        self._config, self._storage, self._resource, self._model = config, storage, resource, model
        self._bands = Bands(
            **{name: config[name] for name in ("answer_from", "ask_from", "near_from", "also_from", "urgent_from", "danger_from", "choices")},
            **{name: frozenset(config[name]) for name in ("urgent", "never_offered")},
        )

    @classmethod
    def create(cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext) -> "TopicClassifier":
        return cls(config, model_storage, resource, TopicModel())

    @classmethod
    def load(cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext, **kwargs: Any) -> "TopicClassifier":
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, joblib.load(folder / "topics.joblib"))

    def train(self, training_data: TrainingData) -> Resource:
        """Fit and calibrate the topic model on all examples that have an intent."""
        examples = [e for e in training_data.intent_examples if e.get(PART_VECTORS) is not None]
        self._model.fit(
            [e.get(MENDED) for e in examples],
            np.concatenate([e.get(PART_VECTORS)[:1] for e in examples]),
            [e.get(INTENT) for e in examples],
        )
        with self._storage.write_to(self._resource) as folder:
            joblib.dump(self._model, folder / "topics.joblib")
        return self._resource

    def process(self, messages: List[Message]) -> List[Message]:
        """Decide for each message that is not a button's command."""
        for message in messages:
            if not message.get(MENDED):
                self._set(message, "hand_over", 0.0, [], {})
                continue
            rankings = self._model.rank(message.get(PARTS), message.get(PART_VECTORS))
            decision = decide(message.get(PARTS), rankings, self._bands)
            seen = together(rankings)
            ranking = list(zip(seen.topics, seen.probabilities))[: self._config["ranking_length"]]
            self._set(message, decision.intent, seen.probabilities[0], ranking, {
                "topics": list(decision.topics),
                "choices": list(decision.choices),
                "nearness": seen.nearness,
                "confidence": seen.confidence,
                "may_be_danger": may_be_danger(seen, self._bands),
            })
        return messages

    @staticmethod
    def _set(message: Message, intent: Text, confidence: float, ranking: List, understanding: Dict[Text, Any]) -> None:
        message.set(INTENT, {INTENT_NAME_KEY: intent, PREDICTED_CONFIDENCE_KEY: confidence}, add_to_output=True)
        message.set("intent_ranking", [{INTENT_NAME_KEY: t, PREDICTED_CONFIDENCE_KEY: p} for t, p in ranking], add_to_output=True)
        message.set(UNDERSTANDING, understanding, add_to_output=True)
