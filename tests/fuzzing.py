"""Coverage-guided fuzzing (atheris, libFuzzer) of masking and of what channels are sent.

    python -m tests.fuzzing masking -max_total_time=600

Every option behind the target's name is libFuzzer's (llvm.org/docs/LibFuzzer.html#options). It runs until it is stopped, or as long as the options
say; what broke something is written into a file of its own, and giving that file as an option does it again. `tests/test_fuzzing.py` runs each
target for a short while.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Callable

import atheris

with atheris.instrument_imports(include=["bot.channels", "bot.conversations", "bot.privacy", "bot.pages", "telegram._update"]):
    from bot.app import create_app
    from bot.privacy.masking import Masker  # noqa: F401 - imported here so that it is instrumented
    from bot.settings import Settings
    from bot.store.database import Database

    from benchmarks.masking import MESSAGES, usual_masker
    from tests import hostile

Target = Callable[[bytes], None]
# What must never be left, whatever stands around it.
GIVEN_AWAY = ("07700 900123", "07700900123", "pat@example.org", "999 123 4527", "TA6 5AA", "QQ123456C")


def masking() -> Target:
    """No text is a fault, no mask lies outside the text, and no number, address or code that stands by itself is left."""
    masker = usual_masker()

    def one(data: bytes) -> None:
        given = atheris.FuzzedDataProvider(data)
        secret = GIVEN_AWAY[given.ConsumeIntInRange(0, len(GIVEN_AWAY) - 1)]
        before, after = given.ConsumeUnicode(given.ConsumeIntInRange(0, 200)), given.ConsumeUnicode(400)
        masked = masker.mask(before + after)
        assert all(0 <= found.start < found.end for found in masked.found)
        assert secret not in masker.mask(f"{before.strip('0123456789')}\n{secret}\n{after.strip('0123456789')}").text

    return one


def chat() -> Target:
    """No body is a fault of the chat API or of the page's form, with a token or without."""
    client = _client()
    token = client.post("/api/chat/sessions").json()["token"]
    sends = (("/api/chat/messages", token), ("/api/chat/messages", ""), ("/api/chat/sessions", ""), ("/chat", ""), ("/return", ""), ("/console/sign-in", ""))

    def one(data: bytes) -> None:
        given = atheris.FuzzedDataProvider(data)
        path, bearer = sends[given.ConsumeIntInRange(0, len(sends) - 1)]
        if given.ConsumeBool():
            fields = {"client_id": given.ConsumeUnicode(70), "text": given.ConsumeUnicode(300), "choice": given.ConsumeUnicode(30) or None}
            content = json.dumps(fields).encode()
        else:
            content = given.ConsumeBytes(400)
        client.cookies.clear()
        answer = client.post(path, content=content, headers={"authorization": f"Bearer {bearer}"} if bearer else {})
        assert answer.status_code < 500, answer.status_code

    return one


def telegram() -> Target:
    """No update is a fault of the webhook; what it means is worked out in the background."""
    from tests.doubles.telegram import TOKEN

    client = _client(telegram_token=TOKEN, telegram_mode="webhook", telegram_dpia="DPIA 12", public_url="https://signpost.example.org", telegram_api_url="http://127.0.0.1:9")
    [route] = [route for route in client.app.routes if getattr(route, "path", "") == "/webhooks/telegram"]
    headers = {"x-telegram-bot-api-secret-token": route.endpoint.__self__.secret}

    def one(data: bytes) -> None:
        given = atheris.FuzzedDataProvider(data)

        def number() -> int:
            return given.ConsumeInt(9) if given.ConsumeProbability() < 0.1 else given.ConsumeIntInRange(0, 2**40)

        chat = {"id": number(), "type": given.PickValueInList(["private", "private", "private", "group", given.ConsumeUnicode(8)])}
        message = {"message_id": number(), "date": number(), "chat": chat, "text": given.ConsumeUnicode(200), given.ConsumeUnicode(12): given.ConsumeUnicode(9)}
        kind = given.PickValueInList(["message", "edited_message", "callback_query", "my_chat_member", "poll"])
        about = {"id": given.ConsumeUnicode(5), "data": given.ConsumeUnicode(70), "message": message} if kind == "callback_query" else message
        update = {"update_id": number(), kind: given.PickValueInList([about, about, about, message["text"], chat["id"], [about]])}
        content = json.dumps(update).encode() if given.ConsumeProbability() < 0.9 else data
        assert client.post("/webhooks/telegram", content=content, headers=headers).status_code in (200, 400)

    return one


def planted() -> Target:
    """A fault that has to be found, or the others prove nothing."""

    @atheris.instrument_func
    def one(data: bytes) -> None:
        if data[:1] == b"{" and data[1:2] == b"!":
            raise ValueError("found")

    return one


def _client(**more: str):
    """A client of an app on a database of its own, with an engine double behind it."""
    from starlette.testclient import TestClient

    from tests.conftest import add_staff
    from tests.doubles.engine import EngineDouble

    engine = EngineDouble().__enter__()
    settings = Settings(data_dir=tempfile.mkdtemp(prefix="signpost-fuzz-"), engine_url=engine.url, engine_token="t", engine_timeout=2.0, reply_wait=2.0, rate_limits="off", **more)
    database = Database(settings.database)
    database.upgrade()
    add_staff(database, "Mo Carter", role="manager", on_call=True)
    database.close()
    client = TestClient(create_app(settings), raise_server_exceptions=False)
    return client.__enter__()


def corpus() -> str:
    """A folder of texts to begin with: those that try to break something, and some with people in them."""
    folder = Path(tempfile.mkdtemp(prefix="signpost-corpus-"))
    written = [line for path in sorted(MESSAGES.glob("*.txt")) for line in path.read_text(encoding="utf-8").splitlines()[:60]]
    for number, text in enumerate((*hostile.MESSAGES, *written)):
        (folder / f"{number}").write_bytes(text.encode("utf-8", "replace")[:700])
    return str(folder)


TARGETS: dict[str, Callable[[], Target]] = {target.__name__: target for target in (masking, chat, telegram, planted)}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"{__doc__}\nTargets: {', '.join(TARGETS)}")
    logging.disable()
    options = sys.argv[2:]
    starts = [] if any(not option.startswith("-") for option in options) else [corpus()]
    atheris.Setup([sys.argv[0], "-len_control=0", "-max_len=800", *options, *starts], TARGETS[sys.argv[1]]())
    atheris.Fuzz()
