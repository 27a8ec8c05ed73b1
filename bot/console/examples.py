"""Training examples from what the bot read wrongly: masked, proposed by one person, approved by another, exported for a commit."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from bot.casework.supervision import Refused
from bot.clock import Clock, new_id
from bot.console.access import in_areas
from bot.knowledge.reading import read_yaml
from bot.privacy.masking import Masker
from bot.store.console import ExampleProposal
from bot.store.database import Database
from bot.store.tables import Conversation, Message, Staff

LONGEST = 300
# Telegram's Bot Developer Terms, 4.3: chats train nothing without active, revocable consent, which nobody is asked for.
NEVER_FROM = frozenset({"telegram"})


class Examples:
    """Proposes, decides and exports examples. Raises Refused, with the reason in words for staff.

    Parameters
    ----------
    topics: every topic there is.
    nlu: the folder of examples that the model is trained on.
    """

    def __init__(self, database: Database, clock: Clock, masker: Masker, topics: Collection[str], nlu: Path) -> None:
        self._database, self._clock, self._masker, self._topics, self._nlu = database, clock, masker, topics, nlu

    @cached_property
    def _known(self) -> dict[str, str]:
        """What is an example already: its topic, by its plain words."""
        return {
            _plain(line.removeprefix("- ")): entry["intent"]
            for path in sorted(self._nlu.glob("*.yml"))
            for entry in read_yaml(path)["nlu"]
            for line in entry["examples"].splitlines()
        }

    def masked(self, text: str) -> str:
        """A message as it may become an example: on one line, without what says who somebody is."""
        return " ".join(self._masker.mask(" ".join(text.split())).text.split())[:LONGEST]

    def propose(self, conversation: Conversation, message: Message, text: str, topic: str, understood: str | None, member: Staff) -> str:
        """Propose a parent's message as an example of its right topic; the proposal's id."""
        text = " ".join(text.split())
        if conversation.channel in NEVER_FROM:
            raise Refused("Messages from Telegram train nothing: its terms ask for a consent that nobody gave.")
        if message.author != "parent" or message.command:
            raise Refused("Only what a family wrote can become an example.")
        if topic not in self._topics:
            raise Refused("Choose the topic that is right.")
        if not text or len(text) > LONGEST:
            raise Refused(f"An example has up to {LONGEST} characters. Keep the part that shows the topic.")
        if kinds := self._masker.mask(text).kinds:
            raise Refused(f"Take out the {' and the '.join(kind.replace('_', ' ') for kind in kinds)} first. An example stays for ever, and says nothing of who wrote it.")
        if (known := self._known.get(_plain(text))) is not None:
            raise Refused(f"That is an example already, of {known.replace('_', ' ')}." if known != topic else "That is an example of this topic already.")
        with self._database.write() as session:
            if self._pending(session, conversation.id, message.seq, text):
                raise Refused("This message has been proposed already. See Examples.")
            id = new_id()
            session.add(
                ExampleProposal(
                    id=id, conversation_id=conversation.id, seq=message.seq, area=conversation.area, text=text, topic=topic, understood=understood,
                    state="proposed", proposed_by=member.id, proposed_at=self._clock.now(),
                )
            )  # fmt: skip
            return id

    @staticmethod
    def _pending(session: Session, conversation_id: str, seq: int, text: str) -> bool:
        same = (ExampleProposal.conversation_id == conversation_id) & (ExampleProposal.seq == seq) | (ExampleProposal.text == text)
        return session.scalar(select(ExampleProposal.id).where(same, ExampleProposal.state != "refused").limit(1)) is not None

    def listed(self, member: Staff, state: str) -> Sequence[ExampleProposal]:
        """The proposals of a state in a member's areas, newest first."""
        mine = in_areas(member, ExampleProposal.area) | (ExampleProposal.area == "")
        people = (joinedload(ExampleProposal.proposer), joinedload(ExampleProposal.decider))
        with self._database.read() as session:
            found = select(ExampleProposal).options(*people).where(mine, ExampleProposal.state == state)
            return list(session.scalars(found.order_by(ExampleProposal.proposed_at.desc()).limit(500)))

    def decide(self, id: str, member: Staff, approved: bool, comment: str = "") -> ExampleProposal:
        """Approve or refuse somebody else's proposal."""
        with self._database.write() as session:
            mine = in_areas(member, ExampleProposal.area) | (ExampleProposal.area == "")
            proposal = session.scalar(select(ExampleProposal).where(ExampleProposal.id == id, mine).with_for_update())
            if proposal is None:
                raise Refused("There is no such proposal in your areas.")
            if proposal.state != "proposed":
                raise Refused("Somebody has decided about this already.")
            if proposal.proposed_by == member.id:
                raise Refused("A second person decides: ask a colleague.")
            proposal.state = "approved" if approved else "refused"
            proposal.decided_by, proposal.decided_at, proposal.comment = member.id, self._clock.now(), comment.strip()[:400] or None
            return proposal

    def export(self) -> str:
        """Approved examples that the training data does not hold yet, as Rasa NLU YAML; nothing if there is none."""
        with self._database.read() as session:
            approved = session.scalars(select(ExampleProposal).where(ExampleProposal.state == "approved").order_by(ExampleProposal.topic, ExampleProposal.decided_at))
            new: dict[str, list[str]] = {}
            for proposal in approved:
                if _plain(proposal.text) not in self._known:
                    new.setdefault(proposal.topic, []).append(_as_example(proposal.text))
        if not new:
            return ""
        entries = "".join(f"- intent: {topic}\n  examples: |\n{''.join(f'    - {text}' + chr(10) for text in texts)}" for topic, texts in new.items())
        return f'version: "3.1"\nnlu:\n{entries}'


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _as_example(text: str) -> str:
    """A text that Rasa reads as words alone: a bracket before a parenthesis would mark an entity."""
    return re.sub(r"\](?=[({])", "] ", text)
