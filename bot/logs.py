"""Logs as lines of JSON: facts and ids, the request that they belong to, never anybody's words, never a secret.

Security events (who signed in, what was refused, who read or deleted) have a log of their own, `signpost.security`: OWASP ASVS 5.0 V16.
What happened to a query is neither: it is in `query_events`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any, Iterator, Optional

SECURITY = "signpost.security"
REQUEST_HEADER = "X-Request-Id"
_REQUEST = re.compile(r"[0-9a-f]{8,32}")
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Errors whose words are about machines: those of others may quote what somebody wrote.
_SAFE = (OSError, ImportError)

request_id: ContextVar[Optional[str]] = ContextVar("request_id", default=None)


@contextmanager
def requested(id: Optional[str]) -> Iterator[None]:
    """What is logged within belongs to that request."""
    before = request_id.set(id)
    try:
        yield
    finally:
        request_id.reset(before)


def valid_request(given: Optional[str]) -> Optional[str]:
    """An id as we make them, or nothing: what comes from elsewhere must not write into a log."""
    return given if given and _REQUEST.fullmatch(given) else None


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `level`, `process`, `logger`, `request`, `said`, the record's own fields, and for an error its kind
    and where it arose. The words of an error are left out unless they can only be about machines."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "request": request_id.get(),
            "said": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _KNOWN and not name.startswith("_")},
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = told(record.exc_info[1])
        elif record.exc_text:
            line["error"] = {"kind": record.exc_text.rpartition("\n")[2].partition(":")[0]}
        return json.dumps(line, ensure_ascii=False, default=str)


def told(error: BaseException) -> dict[str, Any]:
    """What a log may hold of an error: its kind, where it arose, what caused it; its words only if they are ours or the machine's."""
    ours = type(error).__module__.partition(".")[0] in ("bot", "actions") or isinstance(error, _SAFE)
    frames = [f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    made = {"kind": type(error).__name__, **({"says": str(error)} if ours else {}), "at": frames[-12:]}
    if error.__cause__ is not None:
        made["cause"] = told(error.__cause__)
    return made


def configure(process: str) -> None:
    """Log to standard error as lines of JSON, security events to `SIGNPOST_SECURITY_LOG` if that names a file. Secrets of libraries' own
    logs are kept out: httpx writes whole addresses, tokens and all, at INFO."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(JsonLines(process))
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(os.environ.get("SIGNPOST_LOG_LEVEL", "WARNING").upper())
    for chatty in ("httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    security = logging.getLogger(SECURITY)
    security.setLevel(logging.INFO)
    if path := os.environ.get("SIGNPOST_SECURITY_LOG"):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        apart = logging.FileHandler(path, encoding="utf-8")
        apart.setFormatter(JsonLines(process))
        security.handlers[:] = [apart]
        security.propagate = False


def security_event(event: str, **facts: Any) -> None:
    """Write a security event: what (`signed_in`, `refused`, `erased`, …) and its facts: ids, roles, kinds; never words, never tokens."""
    logging.getLogger(SECURITY).info(event, extra=facts)


HIDDEN = "[hidden]"
_secrets: set[str] = set()
_plain = logging.Formatter()


def keep_out(secret: str) -> None:
    """From now on no log record of this process holds `secret`: neither its message nor its traceback."""
    if not secret:
        return
    if not _secrets:
        make = logging.getLogRecordFactory()
        logging.setLogRecordFactory(lambda *given, **named: _without_secrets(make(*given, **named)))
    _secrets.add(secret)


def _without_secrets(record: logging.LogRecord) -> logging.LogRecord:
    said = record.getMessage()
    if (safe := _hidden(said)) != said:
        record.msg, record.args = safe, ()
    if record.exc_info and record.exc_info[0] is not None:
        told = _plain.formatException(record.exc_info)
        if (safe := _hidden(told)) != told:
            record.exc_info, record.exc_text = None, safe
    return record


def _hidden(text: str) -> str:
    for secret in _secrets:
        text = text.replace(secret, HIDDEN)
    return text
