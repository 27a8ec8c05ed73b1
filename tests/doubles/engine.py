"""A stand-in for the engine over real HTTP: it speaks the turn channel's contract and fails on demand."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable


def says(text: str, **fields: Any) -> dict[str, Any]:
    """A reply of one message."""
    return {"messages": [{"text": text, "outcome": "talk", **fields}], "understanding": {"intent": {"name": "greet", "confidence": 0.9}}}


class EngineDouble:
    """Set `reply` (turn -> JSON value, or bytes sent as they are), `hang` (seconds), `break_connections` (how many) or `status`; `turns` holds what was asked, `forgotten` which conversations it was asked to forget."""

    def __init__(self, port: int = 0) -> None:
        self.turns: list[dict[str, Any]] = []
        self.forgotten: list[str] = []
        self.reply: Callable[[dict[str, Any]], Any] = lambda turn: says(f"you said: {turn['text']}")
        self.hang = 0.0
        self.status = 200
        self.break_connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def port(self) -> int:
        """Its port."""
        return self._server.server_port

    def __enter__(self) -> "EngineDouble":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(double):  # noqa: N805 - the handler's own self is needed inside
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(200, b'{"ready": true}')

            def do_DELETE(self) -> None:
                double.forgotten.append(self.path.rsplit("/", 1)[1])
                self._send(double.status, b'{"forgotten": true}')

            def do_POST(self) -> None:
                turn = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                double.turns.append({**turn, "authorization": self.headers["Authorization"], "request": self.headers["X-Request-Id"]})
                if double.break_connections:
                    double.break_connections -= 1
                    self.close_connection = True
                    return
                if double.hang:
                    time.sleep(double.hang)
                said = double.reply(turn)
                self._send(double.status, said if isinstance(said, bytes) else json.dumps(said).encode())

            def _send(self, status: int, body: bytes) -> None:
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            def log_message(self, *_: object) -> None:
                pass

        return Handler
