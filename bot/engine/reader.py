"""Messages are read in a process of their own, so that a turn can be decided while the next message is read.

Python runs one thread at a time; reading (vectors, classifier, patterns) is two fifths of a turn. The process is a fork of the loaded
engine: it shares the model's memory, and starts at once. Rasa's own place for a second process that understands is `http_interpreter`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import struct
from collections import deque
from typing import Any, Deque, Dict, Optional, Text

from rasa.core.channels.channel import UserMessage
from rasa.core.processor import MessageProcessor
from rasa.shared.core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

# A message takes some hundredths of a second; who is silent so long is stuck.
LONGEST = 5.0
_LENGTH = struct.Struct("!I")


class Reader:
    """Understands messages in a forked process, in the order in which they come.

    If the process dies or hangs, what it had not answered is read here, and the next message starts another one.
    """

    def __init__(self, processor: MessageProcessor) -> None:
        self._processor = processor
        self._process: Optional[_Process] = None
        self._starting = asyncio.Lock()

    async def parse(self, message: UserMessage) -> Dict[Text, Any]:
        """What Rasa's graph understands of a message; never fails because of the other process."""
        process = None
        try:
            async with self._starting:
                if self._process is None:
                    self._process = await _Process.start(self._processor)
                process = self._process
            return await process.ask(message)
        except (OSError, EOFError, asyncio.TimeoutError) as problem:
            logger.warning("reading here, because the reading process failed: %s", type(problem).__name__)
            if process is self._process:
                self.stop()
            return _read(self._processor, message)

    def stop(self) -> None:
        """End the other process."""
        process, self._process = self._process, None
        if process:
            process.end()


class _Process:
    """The other process and the line to it: each message and each answer in JSON, its length before it."""

    def __init__(self, pid: int, answers: asyncio.StreamReader, line: asyncio.StreamWriter) -> None:
        self._pid, self._answers, self._line = pid, answers, line
        self._waiting: Deque[asyncio.Future] = deque()
        self._answered = 0
        self._listening = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(cls, processor: MessageProcessor) -> "_Process":
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            _serve(processor, theirs)
        theirs.close()
        return cls(pid, *await asyncio.open_unix_connection(sock=ours))

    async def ask(self, message: UserMessage) -> Dict[Text, Any]:
        """What it understands. Raises EOFError if it has died, TimeoutError if it answers nobody for too long."""
        if self._listening.done():
            raise EOFError
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._line.write(_framed((message.text, message.sender_id, message.input_channel, message.message_id, message.metadata)))
        await self._line.drain()
        while True:
            answered = self._answered
            try:
                return await asyncio.wait_for(asyncio.shield(answer), LONGEST)
            except asyncio.TimeoutError:
                if self._answered == answered:
                    raise

    async def _listen(self) -> None:
        problem: Exception = EOFError()
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._answers.readexactly(_LENGTH.size))
                answer = json.loads(await self._answers.readexactly(length))
                self._answered += 1
                waiting = self._waiting.popleft()
                if not waiting.done():
                    waiting.set_result(answer)
        except (OSError, asyncio.IncompleteReadError) as broken:
            problem = broken if isinstance(broken, OSError) else problem
        finally:
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(problem)
                    waiting.exception()  # who waited may have gone
            self._waiting.clear()

    def end(self) -> None:
        self._listening.cancel()
        self._line.close()
        try:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def _serve(processor: MessageProcessor, line: socket.socket) -> None:
    """The other process: read until the line is closed, which also happens when the engine dies. Never returns."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        # the port that the engine listens on, the connections of its clients and the loop's own files are not ours
        kept = line.fileno()
        os.closerange(3, kept)
        os.closerange(kept + 1, min(os.sysconf("SC_OPEN_MAX"), 65536))
        with line.makefile("rwb") as stream:
            while head := stream.read(_LENGTH.size):
                text, sender_id, channel, message_id, metadata = json.loads(stream.read(_LENGTH.unpack(head)[0]))
                message = UserMessage(text=text, sender_id=sender_id, input_channel=channel, message_id=message_id, metadata=metadata)
                stream.write(_framed(_read(processor, message)))
                stream.flush()
    finally:
        os._exit(0)


def _read(processor: MessageProcessor, message: UserMessage) -> Dict[Text, Any]:
    return processor._parse_message_with_graph(message, DialogueStateTracker.from_events(message.sender_id, []))


def _framed(content: Any) -> bytes:
    written = json.dumps(content).encode()
    return _LENGTH.pack(len(written)) + written


def read_in_a_process_of_its_own(processor: MessageProcessor) -> Optional[Reader]:
    """Let a processor's messages be read in another process, where there is a processor core for it (and Linux, whose forks are safe here)."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        return None
    processor.http_interpreter = Reader(processor)
    return processor.http_interpreter
