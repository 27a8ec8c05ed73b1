"""The abstain rule: answer, ask back, or hand over to a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from bot.nlu.text import asks
from bot.nlu.topic_model import Ranking

ASK_BACK = "ask_back"
HAND_OVER = "hand_over"
UNCLEAR = "unclear"
MOST_TOPICS = 3
_LEAST = 1e-9
_POSSIBLE = 10


@dataclass(frozen=True)
class Bands:
    """Thresholds on `Ranking.confidence`, chosen from the risk-coverage curve in docs/understanding.md.

    answer_from: answered from here up.
    ask_from: asked back from here up, handed over below.
    also_from: two sentences that ask about different topics are both answered from here up.
    urgent_from: a sentence alone raises an urgent topic from here up.
    choices: how many topics a question back may offer.
    urgent: topics that come first and are never offered as a choice.
    never_offered: further topics that are no choice to offer and no second question (small talk).
    """

    answer_from: float
    ask_from: float
    also_from: float = 0.45
    urgent_from: float = 0.8
    choices: int = 3
    urgent: frozenset[str] = frozenset()
    never_offered: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """`intent` for the dialogue; `topics` to answer (urgent first); `choices` to offer when asking back."""

    intent: str
    topics: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


def decide(parts: Sequence[str], rankings: Sequence[Ranking], bands: Bands) -> Decision:
    """Decide on a message from its parts and their rankings: the whole message first, then its sentences if it has several."""
    seen = together(rankings)
    first = seen.topics[0]
    questions = _questions(parts, rankings, bands)
    if len(questions) > 1 or any(topic in bands.urgent for topic in questions):
        return Decision(questions[0], topics=questions)
    if first == UNCLEAR:
        return Decision(ASK_BACK, choices=_choices(seen, bands))
    if seen.confidence >= bands.answer_from:
        return Decision(first, topics=(first,))
    if seen.confidence >= bands.ask_from and first not in bands.urgent:
        return Decision(ASK_BACK, choices=_choices(seen, bands))
    return Decision(HAND_OVER)


def together(rankings: Sequence[Ranking]) -> Ranking:
    """The whole message in the light of its sentences: its probabilities times the square root of each topic's best sentence."""
    whole, *sentences = rankings
    if not sentences:
        return whole
    topics = sorted(whole.topics)
    best = np.max([_logarithms(sentence, topics) for sentence in sentences], axis=0)
    likelihood = np.exp(_logarithms(whole, topics) + best / 2)
    return Ranking.of(topics, likelihood / likelihood.sum(), whole.nearness)


def _logarithms(ranking: Ranking, topics: Sequence[str]) -> np.ndarray:
    of_topic = dict(zip(ranking.topics, ranking.probabilities))
    return np.log([max(of_topic[topic], _LEAST) for topic in topics])


def _questions(parts: Sequence[str], rankings: Sequence[Ranking], bands: Bands) -> tuple[str, ...]:
    """Topics that single sentences are surely about, urgent ones first; of the others the surest first.

    A sentence that does not ask is background, and a topic far down the ranking of the whole message is a misreading: neither
    is a question of its own, unless it is urgent.
    """
    possible = rankings[0].topics[:_POSSIBLE]
    sure: dict[str, float] = {}
    for sentence, ranking in zip(parts[1:], rankings[1:]):
        topic, confidence = ranking.topics[0], ranking.confidence
        if topic in bands.urgent:
            counts = confidence >= bands.urgent_from
        else:
            counts = confidence >= bands.also_from and asks(sentence) and topic in possible and topic not in bands.never_offered | {UNCLEAR}
        if counts:
            sure[topic] = max(confidence, sure.get(topic, 0.0))
    return tuple(sorted(sure, key=lambda topic: (topic not in bands.urgent, -sure[topic]))[:MOST_TOPICS])


def _choices(ranking: Ranking, bands: Bands) -> tuple[str, ...]:
    barred = bands.urgent | bands.never_offered | {UNCLEAR}
    return tuple(topic for topic in ranking.topics if topic not in barred)[: bands.choices]
