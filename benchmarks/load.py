"""A bounded load: so many clients, each in a conversation of its own, one message after another."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Callable, Sequence


@dataclass(frozen=True)
class Load:
    """Milliseconds of every turn, and the seconds that all took together."""

    milliseconds: tuple[float, ...]
    seconds: float
    failures: int

    def percentile(self, share: float) -> float:
        """Milliseconds below which that share of the turns lies."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    @property
    def rate(self) -> float:
        """Turns a second."""
        return len(self.milliseconds) / self.seconds


Turn = Callable[[http.client.HTTPConnection, object, str], bool]


def run(port: int, clients: int, turns: int, messages: Sequence[str], begin: Callable[[http.client.HTTPConnection], object], turn: Turn) -> Load:
    """`turns` turns in all, shared by `clients` at once. `begin` opens a conversation, `turn` sends one message and says whether it was answered."""
    times: list[float] = []
    failures = [0]
    lock = threading.Lock()
    gate = threading.Barrier(clients + 1)

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        conversation = begin(connection)
        gate.wait()
        for n in range(turns // clients):
            began = time.perf_counter()
            answered = turn(connection, conversation, messages[(number * 7 + n) % len(messages)])
            taken = (time.perf_counter() - began) * 1000
            with lock:
                times.append(taken)
                failures[0] += not answered

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    [t.start() for t in threads]
    gate.wait()
    began = time.perf_counter()
    [t.join() for t in threads]
    return Load(tuple(times), time.perf_counter() - began, failures[0])


def _call(connection: http.client.HTTPConnection, path: str, body: dict, headers: dict[str, str]) -> object:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
    return json.loads(connection.getresponse().read())


def signpost_begin(connection: http.client.HTTPConnection) -> object:
    """A conversation over the chat API."""
    return {"Authorization": f"Bearer {_call(connection, '/api/chat/sessions', {}, {})['token']}"}


def signpost_turn(connection: http.client.HTTPConnection, headers, text: str) -> bool:
    """One message over the chat API: on disk, understood, answered with sources, on disk."""
    said = _call(connection, "/api/chat/messages", {"client_id": uuid.uuid4().hex, "text": text}, headers)
    return bool(said["messages"]) and "Something went wrong on our side" not in said["messages"][0]["text"]


def stock_begin(connection: http.client.HTTPConnection) -> object:
    """A sender id for Rasa's REST channel."""
    return uuid.uuid4().hex


def stock_turn(connection: http.client.HTTPConnection, sender, text: str) -> bool:
    """One message over Rasa's REST channel."""
    return bool(_call(connection, "/webhooks/rest/webhook", {"sender": sender, "message": text}, {}))
