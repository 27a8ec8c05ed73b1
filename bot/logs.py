"""Secrets kept out of logs, whatever library writes them and at whatever level."""

from __future__ import annotations

import logging

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
