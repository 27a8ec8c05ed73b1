"""The delivery interface: what a channel must be able to do so that messages reach the parent on it (docs/delivery.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Protocol, Sequence


@dataclass(frozen=True)
class Part:
    """One part of one message to send.

    `address` is the conversation's `external_id`. `idempotency_key` is the same at every attempt, for channels that know such keys.
    `choices` (`[{"id", "title"}]`) come with the last part. `author` is `assistant`, `staff` or `system`, `name` who it is from. `seq` is
    the message's number in its conversation, `reference` that of the query it is about, `request_id` the request that it answers, for the logs.
    """

    delivery_id: str
    idempotency_key: str
    conversation_id: str
    address: str
    author: str
    name: str
    text: str
    choices: Sequence[Mapping[str, Any]]
    part: int
    parts: int
    attempt: int
    seq: int = 0
    reference: str | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class Accepted:
    """The channel took it and says so with an id of its own."""

    provider_id: str


@dataclass(frozen=True)
class Refused:
    """It will never be taken. `unreachable` if nothing will ever be taken for this address (blocked, deleted)."""

    reason: str
    unreachable: bool = False


@dataclass(frozen=True)
class TryAgain:
    """It was certainly not taken, but may be later: not before `after` seconds (0 leaves it to the backoff)."""

    reason: str
    after: float = 0.0


@dataclass(frozen=True)
class Unknown:
    """It may have been taken or not (a time-out after sending). It is not sent again before a person says so."""

    reason: str


@dataclass(frozen=True)
class Announced:
    """The channel took a notice that the message waits elsewhere (`/return`). It counts as delivered when it is fetched there."""

    provider_id: str


Outcome = Accepted | Announced | Refused | TryAgain | Unknown


class Sender(Protocol):
    """One channel that pushes. `channel` is the name in `conversations.channel`."""

    channel: str

    def split(self, text: str) -> Sequence[str]:
        """The parts of a text that fit the channel, in order; at least one."""

    async def send(self, part: Part) -> Outcome:
        """Send one part once. An exception counts as Unknown."""
