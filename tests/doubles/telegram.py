"""The Bot API as a double over real HTTP: it keeps Telegram's limits, and phones stand for the parents at the other end.

Sources: core.telegram.org/bots/api (methods, errors), core.telegram.org/bots/faq#my-bot-is-hitting-limits (30 messages a second, one a
second in a chat). Where Telegram is vague the double is strict.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Mapping
from urllib.parse import parse_qsl, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from tests.doubles.telegram_html import NotHtml, plain, units

TOKEN = "4815162342:AAF_a-token_of_the_double_0123456789"
LONGEST_TEXT = 4096
PER_SECOND = 30
USUAL_KINDS = ("message", "edited_message", "callback_query", "my_chat_member")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_COMMAND = re.compile(r"/[A-Za-z0-9_]{1,32}(?:@\w+)?")


class Refusal(Exception):
    """An answer `{"ok": false}`."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code, self.description, self.parameters = code, description, parameters


@dataclass
class Shown:
    """A message in a chat as the phone shows it now. `buttons` are (title, data), one in a row."""

    id: int
    mine: bool
    text: str
    html: str = ""
    buttons: list[tuple[str, str]] = field(default_factory=list)
    at: float = 0.0
    edited: bool = False


@dataclass
class Call:
    """A call of the Bot API and what came of it: 200 or the error's code."""

    method: str
    given: Mapping[str, Any]
    at: float
    code: int = 200

    @property
    def chat(self) -> int | None:
        """The chat that it was about."""
        return int(self.given["chat_id"]) if "chat_id" in self.given else None


class BotApiDouble:
    """Set `fault` (method, chat -> None, or what happens instead) to break things: a Refusal to give, "lost" (taken, but the answer does
    not come), "gone" (the connection breaks before it is taken), or bytes that a gateway answers with status 502.

    `hosts` says where the double finds the hosts of webhooks, as a TLS proxy would: {"signpost.example.org": "http://127.0.0.1:8000"}.
    """

    def __init__(self, port: int = 0, token: str = TOKEN, username: str = "signpost_test_bot") -> None:
        self.token, self.username = token, username
        self.phones: dict[int, Phone] = {}
        self.calls: list[Call] = []
        self.commands: list[dict] = []
        self.left: list[int] = []
        self.typing: list[int] = []
        self.answered: list[dict[str, Any]] = []
        self.hosts: dict[str, str] = {}
        self.fault: Callable[[str, int | None], Any] = lambda method, chat: None
        self.on_shown: Callable[[int, Shown], None] = lambda chat, shown: None
        self.webhook: dict[str, Any] | None = None
        self.lost_wait = 1.0
        self._lock = threading.Condition()
        self._queue: deque[dict[str, Any]] = deque()
        self._update_id, self._message_id, self._callback_id = 700_000_000, 0, 0
        self._kinds: tuple[str, ...] = USUAL_KINDS
        self._poller = 0
        self._sent: deque[float] = deque()
        self._sent_to: dict[int, float] = {}
        self._callbacks: set[str] = set()
        self._stopping = False
        self._server = _Server(("127.0.0.1", port), self._handler())
        self._threads = [
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True),
            threading.Thread(target=self._push, daemon=True),
        ]

    @property
    def url(self) -> str:
        """What SIGNPOST_TELEGRAM_API_URL is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "BotApiDouble":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def phone(self, chat: int = 4711) -> "Phone":
        """The phone of the parent with that chat."""
        return self.phones.setdefault(chat, Phone(self, chat))

    def wait(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        """What the condition gives once it is true. Fails after `seconds`."""
        until = time.monotonic() + seconds
        with self._lock:
            while not (found := condition()):
                left = until - time.monotonic()
                assert left > 0, f"it did not happen in {seconds} s; the chats show {[(p.chat, p.texts()) for p in list(self.phones.values())[:3]]}"
                self._lock.wait(min(left, 0.05))
        return found

    # updates

    def update(self, kind: str, about: Mapping[str, Any], update_id: int | None = None) -> int:
        """Put an update in the queue; its id. With `update_id` it is a repeated one, or one out of order."""
        with self._lock:
            if update_id is None:
                self._update_id += 1
                update_id = self._update_id
            if kind in self._kinds:
                self._queue.append({"update_id": update_id, kind: dict(about)})
            self._lock.notify_all()
        return update_id

    @property
    def waiting(self) -> int:
        """How many updates nobody has taken yet."""
        with self._lock:
            return len(self._queue)

    def _push(self) -> None:
        """Call the webhook, again and again until it says 2xx."""
        opener = build_opener(ProxyHandler({}))
        while not self._stopping:
            with self._lock:
                hook, body = self.webhook, self._queue[0] if self._queue else None
                if hook is None or body is None:
                    self._lock.wait(0.05)
                    continue
            address = urlsplit(hook["url"])
            url = f"{self.hosts.get(address.hostname or '', 'http://127.0.0.1:9')}{address.path}"
            headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": hook.get("secret_token", "")}
            try:
                with opener.open(Request(url, json.dumps(body).encode(), headers), timeout=5):
                    pass
            except OSError:
                time.sleep(0.1)
                continue
            with self._lock:
                if self._queue and self._queue[0] is body:
                    self._queue.popleft()

    # methods

    def call(self, method: str, given: Mapping[str, Any]) -> Any:
        """Answer a call of the Bot API. Raises Refusal."""
        done = getattr(self, f"_do_{method}", None)
        if done is None:
            raise Refusal(404, "Not Found")
        return done(given)

    def _do_getMe(self, given) -> Any:
        return {"id": 4815162342, "is_bot": True, "first_name": "Signpost", "username": self.username, "can_join_groups": False}

    def _do_getUpdates(self, given) -> Any:
        if self.webhook is not None:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first")
        if "allowed_updates" in given:
            self._kinds = tuple(given["allowed_updates"]) or USUAL_KINDS
        offset, until = int(given.get("offset") or 0), time.monotonic() + float(given.get("timeout") or 0)
        with self._lock:
            self._poller += 1
            me = self._poller
            self._lock.notify_all()
            while self._queue and self._queue[0]["update_id"] < offset:
                self._queue.popleft()
            while not self._queue and not self._stopping and time.monotonic() < until:
                self._lock.wait(0.05)
                if self._poller != me:
                    raise Refusal(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")
            return list(self._queue)[: int(given.get("limit") or 100)]

    def _do_setWebhook(self, given) -> Any:
        address = urlsplit(given.get("url", ""))
        if address.scheme != "https":
            raise Refusal(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        if (address.port or 443) not in (443, 80, 88, 8443):
            raise Refusal(400, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
        if not _SECRET.fullmatch(given.get("secret_token", "-")):
            raise Refusal(400, "Bad Request: secret token contains unallowed characters")
        with self._lock:
            self.webhook = dict(given)
            self._kinds = tuple(given.get("allowed_updates") or USUAL_KINDS)
        return True

    def _do_deleteWebhook(self, given) -> Any:
        with self._lock:
            self.webhook = None
        return True

    def _do_setMyCommands(self, given) -> Any:
        for command in given["commands"]:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]) or not 1 <= len(command["description"]) <= 256:
                raise Refusal(400, "Bad Request: BOT_COMMAND_INVALID")
        self.commands = given["commands"]
        return True

    def _do_leaveChat(self, given) -> Any:
        self.left.append(int(given["chat_id"]))
        return True

    def _do_sendChatAction(self, given) -> Any:
        self._reachable(int(given["chat_id"]))
        self.typing.append(int(given["chat_id"]))
        return True

    def _do_sendMessage(self, given) -> Any:
        phone = self._reachable(int(given["chat_id"]))
        text = self._text(given)
        buttons = self._buttons(given)
        with self._lock:
            self._limit(phone.chat)
            shown = Shown(self._next_message(), False, text, given.get("text", ""), buttons, time.monotonic())
            phone.messages.append(shown)
            self._lock.notify_all()
        self.on_shown(phone.chat, shown)
        return self._message(phone, shown)

    def _do_editMessageText(self, given) -> Any:
        phone, shown = self._own(given)
        text, buttons = self._text(given), self._buttons(given)
        if (text, buttons) == (shown.text, shown.buttons):
            raise Refusal(400, "Bad Request: message is not modified")
        self._change(phone, shown, text=text, html=given["text"], buttons=buttons)
        return self._message(phone, shown)

    def _do_editMessageReplyMarkup(self, given) -> Any:
        phone, shown = self._own(given)
        buttons = self._buttons(given)
        if buttons == shown.buttons:
            raise Refusal(400, "Bad Request: message is not modified")
        self._change(phone, shown, buttons=buttons)
        return self._message(phone, shown)

    def _do_answerCallbackQuery(self, given) -> Any:
        if given["callback_query_id"] not in self._callbacks:
            raise Refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        if len(given.get("text", "")) > 200:
            raise Refusal(400, "Bad Request: MESSAGE_TOO_LONG")
        self._callbacks.discard(given["callback_query_id"])
        self.answered.append(dict(given))
        return True

    # limits

    def _reachable(self, chat: int) -> "Phone":
        phone = self.phones.get(chat)
        if phone is None or not phone.started:
            raise Refusal(400, "Bad Request: chat not found")
        if phone.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        return phone

    def _own(self, given) -> tuple["Phone", Shown]:
        phone = self._reachable(int(given["chat_id"]))
        shown = next((m for m in phone.messages if m.id == int(given["message_id"])), None)
        if shown is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        if shown.mine:
            raise Refusal(400, "Bad Request: message can't be edited")
        return phone, shown

    def _text(self, given) -> str:
        raw = given.get("text", "")
        try:
            text = plain(raw) if given.get("parse_mode") == "HTML" else raw
        except NotHtml as problem:
            raise Refusal(400, f"Bad Request: can't parse entities: {problem}") from None
        if not text.strip():
            raise Refusal(400, "Bad Request: message text is empty")
        if units(text) > LONGEST_TEXT:
            raise Refusal(400, "Bad Request: message is too long")
        return text.strip()

    def _buttons(self, given) -> list[tuple[str, str]]:
        rows = (given.get("reply_markup") or {}).get("inline_keyboard", [])
        if sum(len(row) for row in rows) > 100:
            raise Refusal(400, "Bad Request: REPLY_MARKUP_TOO_LONG")
        for button in (button for row in rows for button in row):
            if not button["text"].strip():
                raise Refusal(400, "Bad Request: inline keyboard button text is empty")
            if not 1 <= len(button["callback_data"].encode()) <= 64:
                raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
        return [(button["text"], button["callback_data"]) for row in rows for button in row]

    def _limit(self, chat: int) -> None:
        now = time.monotonic()
        while self._sent and now - self._sent[0] >= 1.0:
            self._sent.popleft()
        if len(self._sent) >= PER_SECOND or now - self._sent_to.get(chat, -9.0) < 1.0:
            raise Refusal(429, "Too Many Requests: retry after 1", retry_after=1)
        self._sent.append(now)
        self._sent_to[chat] = now

    def _change(self, phone: "Phone", shown: Shown, **values: Any) -> None:
        with self._lock:
            for name, value in values.items():
                setattr(shown, name, value)
            shown.edited = shown.edited or "text" in values
            self._lock.notify_all()
        if "text" in values:
            self.on_shown(phone.chat, shown)

    def _next_message(self) -> int:
        self._message_id += 1
        return self._message_id

    def _message(self, phone: "Phone", shown: Shown) -> dict[str, Any]:
        return {"message_id": shown.id, "date": int(time.time()), "chat": phone.as_chat, "text": shown.text}

    # HTTP

    def answer(self, path: str, given: Mapping[str, Any]) -> tuple[int, bytes] | None:
        """Status and body for `/bot<token>/<method>`; nothing if the connection is to break."""
        found = re.fullmatch(r"/bot([^/]+)/(\w+)", path)
        if found is None:
            return 404, _json(404, "Not Found")
        token, method = found.groups()
        if token != self.token:
            return 401, _json(401, "Unauthorized")
        call = Call(method, given, time.monotonic())
        self.calls.append(call)
        fault = self.fault(method, call.chat)
        if fault == "gone":
            return None
        if isinstance(fault, bytes):
            return 502, fault
        try:
            if isinstance(fault, Refusal):
                raise fault
            result = self.call(method, given)
        except Refusal as refused:
            call.code = refused.code
            return refused.code, _json(refused.code, refused.description, refused.parameters)
        if fault == "lost":
            time.sleep(self.lost_wait)
            return None
        return 200, json.dumps({"ok": True, "result": result}).encode()

    def codes(self, code: int) -> list[Call]:
        """The calls that were answered with a code."""
        return [call for call in list(self.calls) if call.code == code]

    def _handler(double):  # noqa: N805 - the handler's own self is needed inside
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                answered = double.answer(self.path, _given(raw))
                if answered is None:
                    self.close_connection = True
                    return
                status, body = answered
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _given(raw: str) -> dict[str, Any]:
    """The parameters of a form post: lists and objects come as JSON in it."""
    made: dict[str, Any] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        made[name] = json.loads(value) if value[:1] in "[{" and name in ("reply_markup", "allowed_updates", "commands", "link_preview_options") else value
    return made


def _json(code: int, description: str, parameters: Mapping[str, Any] | None = None) -> bytes:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    if parameters:
        body["parameters"] = dict(parameters)
    return json.dumps(body).encode()


class Phone:
    """A parent's phone: what they do becomes updates, and `messages` is what they see."""

    def __init__(self, api: BotApiDouble, chat: int) -> None:
        self.api, self.chat = api, chat
        self.started = self.blocked = False
        self.messages: list[Shown] = []
        self.newest_words, self.newest_update = "", 0

    @property
    def as_chat(self) -> dict[str, Any]:
        return {"id": self.chat, "type": "private", "first_name": "Pat"}

    @property
    def _from(self) -> dict[str, Any]:
        return {"id": self.chat, "is_bot": False, "first_name": "Pat"}

    def texts(self) -> list[str]:
        """What the bot has said, as it stands now."""
        return [m.text for m in list(self.messages) if not m.mine]

    def said(self, words: str) -> Shown | None:
        """The bot's newest message with those words in it."""
        return next((m for m in reversed(list(self.messages)) if not m.mine and words in m.text), None)

    def sees(self, words: str, seconds: float = 20.0) -> Shown:
        """Wait until the bot has said something with those words in it."""
        return self.api.wait(lambda: self.said(words), seconds)

    def starts(self, payload: str = "") -> int:
        """Press Start, or open a link with `?start=payload`."""
        return self.says(f"/start {payload}".strip())

    def says(self, text: str, update_id: int | None = None) -> int:
        """Send words; the update's id."""
        message = self._mine(text)
        message["text"] = text
        if found := _COMMAND.match(text):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": found.end()}]
        self.newest_words, self.newest_update = text, self.api.update("message", message, update_id)
        return self.newest_update

    def _mine(self, text: str) -> dict[str, Any]:
        self.started = True
        with self.api._lock:
            shown = Shown(self.api._next_message(), True, text, at=time.monotonic())
            self.messages.append(shown)
        self.api.on_shown(self.chat, shown)
        return {"message_id": shown.id, "date": int(time.time()), "chat": self.as_chat, "from": self._from}

    def sends(self, kind: str, caption: str = "", **more: Any) -> int:
        """Send something other than words: photo, voice, document, location, contact, sticker …"""
        file = {"file_id": "f", "file_unique_id": "u"}
        things: dict[str, Any] = {
            "photo": [{**file, "width": 9, "height": 9}],
            "voice": {**file, "duration": 3},
            "video": {**file, "width": 9, "height": 9, "duration": 3},
            "document": {**file, "file_name": "plan.pdf"},
            "location": {"latitude": 51.0, "longitude": -3.0},
            "contact": {"phone_number": "01632 960000", "first_name": "Pat"},
            "sticker": {**file, "type": "regular", "width": 9, "height": 9, "is_animated": False, "is_video": False},
        }
        message = {**self._mine(f"[{kind}] {caption}".strip()), kind: things[kind], **more}
        if caption:
            message["caption"] = caption
        return self.api.update("message", message)

    def edits(self, text: str) -> int:
        """Change the newest own message."""
        own = next(m for m in reversed(self.messages) if m.mine)
        own.text, own.edited = text, True
        about = {"message_id": own.id, "date": int(time.time()), "edit_date": int(time.time()), "chat": self.as_chat, "from": self._from, "text": text}
        return self.api.update("edited_message", about)

    def button(self, title: str) -> tuple[Shown, str]:
        """The newest button whose title holds those words: its message and data. Fails if there is none."""
        for shown in reversed(list(self.messages)):
            for text, data in shown.buttons:
                if title in text:
                    return shown, data
        raise AssertionError(f"no button {title!r}; there are {[b for m in self.messages for b, _ in m.buttons]}")

    def presses(self, title: str) -> int:
        """Press the newest button whose title holds those words; the update's id."""
        return self.presses_data(*self.button(title))

    def presses_data(self, shown: Shown, data: str, update_id: int | None = None) -> int:
        """Press a button by its data, as a phone does that has not seen that it is gone."""
        with self.api._lock:
            self.api._callback_id += 1
            id = str(self.api._callback_id)
            self.api._callbacks.add(id)
        about = {"id": id, "from": self._from, "chat_instance": "1", "data": data, "message": {**self.api._message(self, shown)}}
        return self.api.update("callback_query", about, update_id)

    def blocks(self) -> int:
        """Block the bot."""
        self.blocked = True
        return self._member("member", "kicked")

    def unblocks(self) -> int:
        """Let the bot write again."""
        self.blocked = False
        return self._member("kicked", "member")

    def _member(self, before: str, after: str) -> int:
        def status(name: str) -> dict[str, Any]:
            bot = {"id": 4815162342, "is_bot": True, "first_name": "Signpost"}
            return {"status": name, "user": bot, **({"until_date": 0} if name == "kicked" else {})}

        about = {"chat": self.as_chat, "from": self._from, "date": int(time.time()), "old_chat_member": status(before), "new_chat_member": status(after)}
        return self.api.update("my_chat_member", about)
