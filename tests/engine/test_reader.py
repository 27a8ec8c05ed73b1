"""The process that reads messages: one at a time, in order, and nobody waits in vain when it dies or hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from rasa.core.channels.channel import UserMessage

from bot.engine import reader
from bot.engine.reader import Reader


class Graph:
    """Stands for a loaded model: says what it read, and where."""

    def _parse_message_with_graph(self, message, tracker):
        if message.text == "slow":
            time.sleep(0.3)
        if message.text == "broken":
            raise ValueError("no such thing")
        return {"text": message.text, "sender": tracker.sender_id, "metadata": message.metadata, "pid": os.getpid()}


def read(scenario):
    """Run a scenario with a reader, which is stopped after it."""

    async def run():
        own = Reader(Graph())
        try:
            return await scenario(own)
        finally:
            own.stop()

    return asyncio.run(run())


def message(text: str) -> UserMessage:
    return UserMessage(text=text, sender_id=f"of {text}", metadata={"area": "somerset"})


def test_many_at_once_are_read_by_one_other_process_each_with_its_own_answer():
    async def scenario(own):
        return await asyncio.gather(*[own.parse(message(str(n))) for n in range(40)])

    found = read(scenario)
    assert [(each["text"], each["sender"]) for each in found] == [(str(n), f"of {n}") for n in range(40)]
    assert {each["metadata"]["area"] for each in found} == {"somerset"}
    assert len({each["pid"] for each in found}) == 1 and found[0]["pid"] != os.getpid()


def test_who_waits_when_it_is_killed_is_answered_and_one_other_takes_its_place():
    async def scenario(own):
        first = (await own.parse(message("hello")))["pid"]
        waiting = [asyncio.ensure_future(own.parse(message(text))) for text in ("slow", "a", "b", "c")]
        await asyncio.sleep(0.1)
        os.kill(first, signal.SIGKILL)
        return first, await asyncio.gather(*waiting), await asyncio.gather(*[own.parse(message(str(n))) for n in range(5)])

    first, waited, after = read(scenario)
    assert [each["text"] for each in waited] == ["slow", "a", "b", "c"] and {each["pid"] for each in waited} == {os.getpid()}
    assert len({each["pid"] for each in after} - {first, os.getpid()}) == 1


def test_one_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(reader, "LONGEST", 0.5)

    async def scenario(own):
        first = (await own.parse(message("hello")))["pid"]
        os.kill(first, signal.SIGSTOP)
        here = await asyncio.gather(own.parse(message("a")), own.parse(message("b")))
        return first, here, await own.parse(message("c"))

    first, here, after = read(scenario)
    assert {each["pid"] for each in here} == {os.getpid()} and after["pid"] not in (first, os.getpid())
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_long_queue_is_no_hang(monkeypatch):
    monkeypatch.setattr(reader, "LONGEST", 0.5)

    async def scenario(own):
        return await asyncio.gather(*[own.parse(message("slow")) for _ in range(4)])

    assert os.getpid() not in {each["pid"] for each in read(scenario)}


def test_what_cannot_be_read_at_all_is_an_error_and_the_next_message_is_read():
    async def scenario(own):
        with pytest.raises(ValueError):
            await own.parse(message("broken"))
        return await own.parse(message("fine"))

    assert read(scenario)["text"] == "fine"
