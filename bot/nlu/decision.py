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
_STANDS_OUT = 0.8
_SAID_AT_ALL = 0.1
_AS_LIKELY = 0.25


@dataclass(frozen=True)
class Bands:
    """Thresholds on `Ranking.confidence` unless said otherwise, chosen from the risk-coverage curve in docs/understanding.md.

    answer_from: answered from here up.
    ask_from: asked back from here up, handed over below.
    near_from: nearness to an example below which nothing is answered, however sure.
    also_from: two sentences that ask about different topics are both answered from here up.
    urgent_from: the probabilities of all urgent topics together raise the likeliest of them from here up, and beside it every one
        that is a quarter as likely.
    danger_from: from here up the emergency line is said beside whatever else is answered.
    choices: how many topics a question back may offer.
    urgent: topics that come first and are never offered as a choice.
    never_offered: further topics that are no choice to offer and no second question (small talk).
    """

    answer_from: float
    ask_from: float
    near_from: float = 0.45
    also_from: float = 0.45
    urgent_from: float = 0.5
    danger_from: float = 0.3
    choices: int = 3
    urgent: frozenset[str] = frozenset()
    never_offered: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """`intent` for the dialogue; `topics` to answer (urgent first); `choices` to offer when asking back."""

    intent: str
    topics: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


def may_be_danger(seen: Ranking, bands: Bands) -> bool:
    """Whether a message may speak of danger, likely enough to say where help is, though perhaps not to answer nothing else."""
    return sum(seen.probability(topic) for topic in bands.urgent if topic in seen.topics) >= bands.danger_from


def decide(parts: Sequence[str], rankings: Sequence[Ranking], bands: Bands) -> Decision:
    """Decide on a message from its parts and their rankings: the whole message first, then its sentences if it has several."""
    seen = together(rankings)
    first = seen.topics[0]
    questions = _questions(parts, rankings, bands)
    urgent = [topic for topic in seen.topics if topic in bands.urgent]
    if urgent and sum(map(seen.probability, urgent)) >= bands.urgent_from:
        likely = [topic for topic in urgent if seen.probability(topic) >= _AS_LIKELY * seen.probability(urgent[0])]
        return Decision(urgent[0], topics=(*likely, *questions)[:MOST_TOPICS])
    if len(questions) > 1:
        return Decision(questions[0], topics=questions)
    if first == UNCLEAR:
        return Decision(ASK_BACK, choices=_choices(seen, bands))
    if seen.confidence >= bands.answer_from and seen.nearness >= bands.near_from:
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
    """Topics that single sentences are surely about, the surest first.

    A sentence that does not ask is background, and a topic far down the ranking of the whole message is a misreading: neither
    is a question of its own. One that asks and says too little alone ("and how long is it from there") is read beside the whole.
    """
    barred = bands.urgent | bands.never_offered | {UNCLEAR}
    whole = rankings[0]
    possible = [topic for topic in whole.topics[:_POSSIBLE] if topic not in barred]
    sure: dict[str, float] = {}
    vague: list[Ranking] = []
    for sentence, ranking in zip(parts[1:], rankings[1:]):
        topic = ranking.topics[0]
        if not asks(sentence):
            continue
        if topic in possible and ranking.confidence >= bands.also_from:
            sure[topic] = max(ranking.confidence, sure.get(topic, 0.0))
        elif topic not in bands.never_offered:
            vague.append(ranking)
    if whole.topics[0] in possible and whole.confidence >= bands.also_from:
        for ranking in vague:
            second = _beside(ranking, whole, [t for t in whole.topics if t not in barred and t not in sure and t != whole.topics[0]])
            if second in possible:
                sure.setdefault(whole.topics[0], whole.confidence)
                sure[second] = ranking.probability(second)
    return tuple(sorted(sure, key=sure.__getitem__, reverse=True)[:MOST_TOPICS])


def _beside(sentence: Ranking, whole: Ranking, topics: Sequence[str]) -> str | None:
    """The one of `topics` that a vague sentence most likely adds to what the whole message is about; nothing unless it stands out."""
    together = np.array([sentence.probability(topic) * whole.probability(topic) ** 0.5 for topic in topics])
    best = int(together.argmax())
    stands_out = together[best] >= _STANDS_OUT * together.sum() and sentence.probability(topics[best]) >= _SAID_AT_ALL
    return topics[best] if stands_out else None


def _choices(ranking: Ranking, bands: Bands) -> tuple[str, ...]:
    barred = bands.urgent | bands.never_offered | {UNCLEAR}
    return tuple(topic for topic in ranking.topics if topic not in barred)[: bands.choices]
