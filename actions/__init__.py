"""Rasa custom actions, run by the app: they translate what was understood into wording and queries, and nothing more."""

from __future__ import annotations

from rasa_sdk import Action

from actions.answer import Answer
from actions.ask_back import AskBack
from actions.guides import FiveQuestionsForm, ResponsibilityForm
from actions.hand_over import HandOver
from actions.queries import OfferWithdrawal, QueryChase, QueryNotAnswered, QueryStatus, QueryWithdraw
from actions.repeat import Repeat
from actions.speaking import Services
from actions.urgent import Urgent


def all_actions(services: Services) -> list[Action]:
    """Every action of domain.yml, ready to run."""
    kinds = (
        *(Answer, AskBack, FiveQuestionsForm, HandOver, OfferWithdrawal, QueryChase, QueryNotAnswered, QueryStatus, QueryWithdraw),
        *(Repeat, ResponsibilityForm, Urgent),
    )
    return [kind(services) for kind in kinds]
