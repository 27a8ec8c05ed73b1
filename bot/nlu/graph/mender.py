"""Graph component: the message spelt out and mended, for the components behind it."""

from __future__ import annotations

from typing import Any, Dict, List, Text

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils import io

from bot.nlu.text import Glossary, TypingMender, clean, words

MENDED = "mended"
KNOWN_SHARE = "known_share"


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=True)
class TextMender(GraphComponent):
    """Sets `mended` on each message: cleaned, abbreviations spelt out (`glossary`), typing errors mended; and `known_share`."""

    @staticmethod
    def get_default_config() -> Dict[Text, Any]:
        return {"glossary": "data/glossary.yml", "frequency_limit": 30000}

    def __init__(self, config: Dict[Text, Any], storage: ModelStorage, resource: Resource) -> None:
        self._config, self._storage, self._resource = config, storage, resource
        self._glossary: Glossary | None = None
        self._mender: TypingMender | None = None

    @classmethod
    def create(cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext) -> "TextMender":
        return cls(config, model_storage, resource)

    @classmethod
    def load(cls, config: Dict[Text, Any], model_storage: ModelStorage, resource: Resource, execution_context: ExecutionContext, **kwargs: Any) -> "TextMender":
        component = cls(config, model_storage, resource)
        with model_storage.read_from(resource) as folder:
            kept = io.read_json_file(folder / "mender.json")
        component._glossary = Glossary(kept["any_case"], kept["exact"])
        component._mender = TypingMender(kept["words"], config["frequency_limit"])
        return component

    def train(self, training_data: TrainingData) -> Resource:
        """Learn the domain's words from the examples and keep them with the glossary."""
        self._glossary = Glossary.load(self._config["glossary"])
        known = self._glossary.words()
        counts: Dict[Text, int] = {}
        for example in training_data.training_examples:
            for word in words(example.get(TEXT) or ""):
                counts[word] = counts.get(word, 0) + 1
        # A word written twice or more is the field's own; once may be one of the typing errors that examples show.
        known |= {word for word, count in counts.items() if count > 2}
        self._mender = TypingMender(known, self._config["frequency_limit"])
        with self._storage.write_to(self._resource) as folder:
            io.dump_obj_as_json_to_file(
                folder / "mender.json",
                {"any_case": self._glossary.any_case, "exact": self._glossary.exact, "words": self._mender.domain_words},
            )
        return self._resource

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Mend every training example."""
        self.process(training_data.training_examples)
        return training_data

    def process(self, messages: List[Message]) -> List[Message]:
        """Set both on each message."""
        for message in messages:
            spelt_out = self._glossary.spell_out(clean(message.get(TEXT) or ""))
            message.set(MENDED, self._mender.mend(spelt_out), add_to_output=False)
            message.set(KNOWN_SHARE, self._mender.known_share(spelt_out), add_to_output=False)
        return messages
