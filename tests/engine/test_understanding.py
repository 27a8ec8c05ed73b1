"""Sentence meaning, the topic model and the decision."""

from __future__ import annotations

import numpy as np
import pytest



def test_the_vectors_are_the_published_models(encoder):
    texts = ["my boy got discharged from therapy", "the bins are collected on Tuesday", "he has been discharged from therapy"]
    vectors = encoder.encode(texts)[:, :384]
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    like, unlike, _ = vectors @ vectors[2]
    assert like > 0.7 and unlike < 0.2


def test_the_small_model_says_nearly_the_same(encoder):
    from bot.nlu.embedding import SentenceEncoder
    from tests.engine.conftest import ROOT

    small = SentenceEncoder(ROOT / "var" / "sentence-model", precision="int8")
    texts = ["my boy got discharged from therapy", "who pays for the OT in his plan", "he will not eat lumps"]
    assert ((small.encode(texts)[:, :384] * encoder.encode(texts)[:, :384]).sum(axis=1) > 0.97).all()


def test_a_text_has_the_same_vector_alone_and_among_others(encoder):
    texts = ["short", "a rather longer message about speech therapy in school and who pays for it", "who pays"]
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([t]) for t in texts])
    assert np.allclose(together, alone, atol=1e-4)
    assert encoder.encode([]).shape[0] == 0


def test_a_message_of_any_length_can_be_encoded(encoder):
    assert np.isfinite(encoder.encode(["", "x " * 3000, "😀"])).all()


EXAMPLES = {
    "core_offer_return": ["can we come back", "he was discharged, can we be seen again", "may we return to the clinic", "is it possible to be re-referred", "we want to come back to therapy", "she needs to be seen again"],
    "core_offer_funding": ["who pays for this", "who funds the service", "is it free on the nhs", "where does the money come from", "does it cost anything", "who commissions you"],
    "feeding": ["he will not eat lumps", "she only eats beige food", "trouble chewing meat", "he spits out his dinner", "fussy eater who gags", "how do we get her off the bottle"],
}


@pytest.fixture(scope="module")
def model(encoder):
    from bot.nlu.topic_model import TopicModel

    texts = [t for lines in EXAMPLES.values() for t in lines]
    return TopicModel().fit(texts, encoder.encode(texts), [topic for topic, lines in EXAMPLES.items() for _ in lines])


@pytest.mark.parametrize(("text", "topic"), [("are we allowed to return", "core_offer_return"), ("who is paying for it", "core_offer_funding"), ("he refuses all food with lumps", "feeding")])
def test_the_nearest_topic_comes_first_and_probabilities_are_probabilities(model, encoder, text, topic):
    [ranking] = model.rank([text], encoder.encode([text]))
    assert ranking.topics[0] == topic
    assert sum(ranking.probabilities) == pytest.approx(1, abs=1e-4)
    assert list(ranking.probabilities) == sorted(ranking.probabilities, reverse=True)


def test_what_is_far_from_every_example_has_little_nearness(model, encoder):
    near, far = model.rank(["can we come back", "the football results of last night"], encoder.encode(["can we come back", "the football results of last night"]))
    assert near.nearness > 0.95 and far.nearness < 0.4


def test_no_text_gives_no_ranking(model, encoder):
    assert model.rank([], encoder.encode([])) == []
