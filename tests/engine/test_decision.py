"""The abstain rule and several questions in one message."""

from __future__ import annotations

import numpy as np

from bot.nlu.decision import ASK_BACK, HAND_OVER, Bands, decide, may_be_danger
from bot.nlu.topic_model import Neighbours, Ranking
from bot.nlu.wording import WordingModel

TOPICS = ("referral_status", "waiting_time", "consent", "urgent_medical", "thank", "unclear")
BANDS = Bands(0.58, 0.08, urgent=frozenset({"urgent_medical"}), never_offered=frozenset({"thank"}))


def ranking(nearness: float = 0.8, **probabilities: float) -> Ranking:
    rest = (1 - sum(probabilities.values())) / (len(TOPICS) - len(probabilities))
    return Ranking.of(TOPICS, np.array([probabilities.get(topic, rest) for topic in TOPICS]), nearness)


def test_sure_is_answered_unsure_asked_back_lost_handed_over():
    assert decide(["a"], [ranking(consent=0.9)], BANDS).topics == ("consent",)
    asked = decide(["a"], [ranking(consent=0.5, waiting_time=0.3)], BANDS)
    assert asked.intent == ASK_BACK and asked.choices[:2] == ("consent", "waiting_time")
    assert "thank" not in asked.choices and "urgent_medical" not in asked.choices
    assert decide(["a"], [ranking(nearness=0.0, consent=0.9)], BANDS).intent == HAND_OVER


def test_what_is_far_from_every_example_is_not_answered_however_sure():
    assert decide(["a"], [ranking(nearness=0.4, consent=0.99)], BANDS).intent == ASK_BACK


def test_a_question_too_short_to_stand_alone_is_read_beside_the_whole():
    parts = ["did you get the form and how long is it from there", "did you get the form", "how long is it from there"]
    whole = ranking(referral_status=0.85, waiting_time=0.1)
    rankings = [whole, ranking(referral_status=0.95), ranking(unclear=0.5, waiting_time=0.35)]
    assert decide(parts, rankings, BANDS).topics == ("referral_status", "waiting_time")


def test_a_vague_sentence_adds_nothing_where_nothing_stands_out():
    parts = ["did you get the form? and what then?", "did you get the form?", "and what then?"]
    rankings = [ranking(referral_status=0.9), ranking(referral_status=0.95), ranking(unclear=0.5, waiting_time=0.2, consent=0.2)]
    assert decide(parts, rankings, BANDS).topics == ("referral_status",)


def test_a_vague_sentence_that_does_not_ask_is_background():
    parts = ["did you get the form? it was long ago.", "did you get the form?", "it was long ago."]
    rankings = [ranking(referral_status=0.85, waiting_time=0.1), ranking(referral_status=0.95), ranking(unclear=0.5, waiting_time=0.35)]
    assert decide(parts, rankings, BANDS).topics == ("referral_status",)


def test_danger_in_one_sentence_comes_first():
    parts = ["when is our turn? she is choking.", "when is our turn?", "she is choking."]
    rankings = [ranking(waiting_time=0.4, urgent_medical=0.55), ranking(waiting_time=0.9), ranking(urgent_medical=0.95)]
    assert decide(parts, rankings, BANDS).topics[0] == "urgent_medical"


def test_danger_that_is_only_likely_is_noticed_whatever_is_answered():
    half_heard = ranking(waiting_time=0.6, urgent_medical=0.3)
    assert decide(["a"], [half_heard], BANDS).intent != "urgent_medical" and may_be_danger(half_heard, BANDS)
    assert not may_be_danger(ranking(waiting_time=0.8, urgent_medical=0.1), BANDS)


def test_the_two_steps_find_the_nearest_neighbours():
    random = np.random.default_rng(3)
    centres = random.standard_normal((40, 384))
    classes = random.integers(0, 40, 3000)
    examples = centres[classes] + 0.6 * random.standard_normal((3000, 384))
    examples = (examples / np.linalg.norm(examples, axis=1, keepdims=True)).astype(np.float32)
    asked = examples[:100] + 0.02 * random.standard_normal((100, 384)).astype(np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    neighbours = Neighbours(examples, classes)
    found = 0
    for vector in asked:
        near, nearest = neighbours._nearest(vector)
        all_of_them = np.argsort(-(examples @ vector))[: neighbours.COUNT]
        assert all_of_them[0] in nearest
        found += len(set(all_of_them) & set(nearest))
    assert found >= 0.9 * 100 * neighbours.COUNT
    shares, nearness = neighbours.votes(asked, 40)
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-4) and (nearness > 0.9).all()


def test_the_wordings_own_sum_is_what_its_vectoriser_gives():
    texts = ["how long is the wait", "the waiting list is long", "who agrees to the referral", "do we have to agree", "do we agree to the wait"] * 3
    model = WordingModel().fit(texts, np.array([0, 0, 1, 1, 1] * 3))
    asked = ["how long do we wait", "zzz", "", "we agree agree"]
    through_sklearn = model._vectorizer.transform(asked) @ model._weights + model._shift
    assert np.allclose(model.scores(asked), through_sklearn, atol=1e-5)


def test_two_dangers_nearly_as_likely_are_both_told():
    bands = Bands(0.58, 0.08, urgent=frozenset({"urgent_medical", "consent"}))
    assert decide(["a"], [ranking(urgent_medical=0.6, consent=0.3)], bands).topics == ("urgent_medical", "consent")
    assert decide(["a"], [ranking(urgent_medical=0.8, consent=0.1)], bands).topics == ("urgent_medical",)
