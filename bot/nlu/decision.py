"""The abstain rule: answer, ask back, or hand over to a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from bot.nlu.topic_model import Ranking

ASK_BACK = "ask_back"
HAND_OVER = "hand_over"


@dataclass(frozen=True)
class Bands:
    """Thresholds on `Ranking.confidence`: answered from `answer_from` up, asked back from `ask_from` up, else handed over.

    `choices` is how many topics a question back may offer. Chosen from the risk-coverage curve in docs/understanding.md.
    """

    answer_from: float
    ask_from: float
    choices: int = 3


@dataclass(frozen=True)
class Decision:
    """`intent` for the dialogue; `topics` to answer (most likely first); `choices` to offer when asking back."""

    intent: str
    topics: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


def decide(rankings: Sequence[Ranking], bands: Bands) -> Decision:
    """Decide on a message from the rankings of its parts: the whole message first, then its sentences."""
    whole = rankings[0]
    if whole.confidence >= bands.answer_from:
        return Decision(whole.topics[0], topics=(whole.topics[0],))
    if whole.confidence >= bands.ask_from:
        return Decision(ASK_BACK, choices=whole.topics[: bands.choices])
    return Decision(HAND_OVER)
