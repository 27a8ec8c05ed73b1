"""Rasa's DIET classifier on Signpost's own sentence vectors and its character n-grams: one of the approaches that were tried."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Sequence

import numpy as np

EPOCHS = 20


def diet(texts: Sequence[str], vectors: np.ndarray, classes: np.ndarray, asked: Sequence[str], asked_vectors: np.ndarray) -> np.ndarray:
    """Train on `texts`, their `vectors` and `classes` (numbers from 0); scores of `asked`, a row a text, a column a class.

    A message is one token, whose features are the sentence vector and its character n-grams (1 to 4): DIET wants tokens, and what a
    sentence means is already in the vector. Stock settings but for entities (none) and `EPOCHS` instead of 300, by when it has learnt
    98% of its examples by heart.
    """
    from rasa.engine.graph import ExecutionContext, GraphSchema
    from rasa.engine.storage.local_model_storage import LocalModelStorage
    from rasa.engine.storage.resource import Resource
    from rasa.nlu.classifiers.diet_classifier import DIETClassifier
    from rasa.nlu.featurizers.sparse_featurizer.count_vectors_featurizer import CountVectorsFeaturizer
    from rasa.shared.nlu.training_data.training_data import TrainingData

    with tempfile.TemporaryDirectory() as folder:
        storage, context = LocalModelStorage.create(Path(folder)), ExecutionContext(GraphSchema({}))

        def component(kind, **changes):
            return kind.create({**kind.get_default_config(), **changes}, storage, Resource(kind.__name__), context)

        letters = component(CountVectorsFeaturizer, analyzer="char_wb", min_ngram=1, max_ngram=4)
        classifier = component(DIETClassifier, epochs=EPOCHS, entity_recognition=False, random_seed=7, ranking_length=0)
        examples = TrainingData([_message(text, vector, str(c)) for text, vector, c in zip(texts, vectors, classes)])
        letters.train(examples)
        letters.process_training_data(examples)
        classifier.train(examples)
        scores = np.zeros((len(asked), int(classes.max()) + 1))
        for row, message in enumerate(letters.process([_message(text, vector) for text, vector in zip(asked, asked_vectors)])):
            classifier.process([message])
            for ranked in message.get("intent_ranking"):
                scores[row, int(ranked["name"])] = ranked["confidence"]
    return scores


def _message(text: str, vector: np.ndarray, intent: str | None = None):
    from rasa.nlu.tokenizers.tokenizer import Token
    from rasa.shared.nlu.training_data.features import Features
    from rasa.shared.nlu.training_data.message import Message

    message = Message(data={"text": text, "text_tokens": [Token(text, 0)], **({"intent": intent} if intent else {})})
    for kind in ("sequence", "sentence"):
        message.add_features(Features(vector[None, :].astype(np.float32), kind, "text", "meaning"))
    return message
