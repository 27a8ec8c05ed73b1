"""Where the keys of sealed columns are kept: in the environment, or in a file that only its owner can read. Never in the database."""

from __future__ import annotations

import logging
import os
import secrets
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Sequence

from sqlalchemy.engine import URL, make_url

from bot.settings import Settings
from bot.store.sealing import KEY_BYTES, Keyring

logger = logging.getLogger(__name__)

FILE = Path("keys") / "signpost.keys"

Keys = list[tuple[str, bytes]]


class KeyProblem(Exception):
    """The keys cannot be used; the message says what to mend and holds none of them."""


def open_keyring(settings: Settings, url: str | URL) -> Keyring:
    """The keyring for a database: `SIGNPOST_KEYS`, else the key file, made at the first start. Raises KeyProblem."""
    if settings.keys:
        return Keyring(read_keys(settings.keys.replace(",", "\n"), "SIGNPOST_KEYS"))
    path = key_file(settings, url)
    if not path.exists():
        _make(path)
    _warn_if_open(path)
    return Keyring(read_file(path), reload=lambda: read_file(path))


def key_file(settings: Settings, url: str | URL) -> Path:
    """The key file: `SIGNPOST_KEY_FILE`, else in `keys/` beside a SQLite database or in the data directory."""
    if settings.key_file:
        return Path(settings.key_file)
    database = make_url(url)
    beside = database.get_backend_name() == "sqlite" and database.database not in (None, "", ":memory:")
    return (Path(database.database).resolve().parent if beside else settings.data_path) / FILE


def read_file(path: Path) -> Keys:
    """The keys of a file, newest first. Raises KeyProblem."""
    try:
        return read_keys(path.read_text(encoding="ascii"), str(path))
    except (OSError, UnicodeDecodeError) as problem:
        raise KeyProblem(f"the keys in {path} cannot be read: {type(problem).__name__}") from problem


def read_keys(text: str, where: str) -> Keys:
    """Keys from lines of `id:base64`, newest first. Raises KeyProblem."""
    keys = []
    for line in text.split():
        id, _, encoded = line.partition(":")
        try:
            key = b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if not id.isalnum() or len(key) != KEY_BYTES:
            raise KeyProblem(f"{where} must hold keys as id:base64 of {KEY_BYTES} bytes, the newest first (`signpost keys new` makes one)")
        keys.append((id, key))
    if not keys:
        raise KeyProblem(f"{where} holds no key; if it once did, put it back from where you keep a copy")
    if len(dict(keys)) < len(keys):
        raise KeyProblem(f"{where} has two keys with the same id")
    return keys


def new_key() -> tuple[str, bytes]:
    """A fresh key with an id of its own."""
    return secrets.token_hex(4), secrets.token_bytes(KEY_BYTES)


def written(keys: Sequence[tuple[str, bytes]]) -> str:
    """Keys as a file holds them."""
    return "".join(f"{id}:{b64encode(key).decode()}\n" for id, key in keys)


def write_file(path: Path, keys: Sequence[tuple[str, bytes]]) -> None:
    """Put a key file in place of the one that is there, whole or not at all."""
    draft = _draft(path, keys)
    os.replace(draft, path)


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = _draft(path, [new_key()])
    try:
        # fails if another process was quicker: then its keys are the ones
        os.link(draft, path)
        logger.warning("a key was made in %s: keep a copy apart from the database and its backups, for without it nothing in them can be read", path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _draft(path: Path, keys: Sequence[tuple[str, bytes]]) -> Path:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(written(keys))
        file.flush()
        os.fsync(file.fileno())
    return draft


def _warn_if_open(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        logger.warning("%s can be read by others (mode %o): chmod 600 it", path, mode)
