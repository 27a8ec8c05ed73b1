"""Columns that are encrypted at rest: what people wrote, and where they can be reached. The database alone reveals none of it.

AES-256-GCM (NIST SP 800-38D) with a fresh random nonce for each value. Addresses, which must be found again, take AES-SIV (RFC 5297):
the same address gives the same value, and nothing else of it shows. The place of a value (its table and column) is authenticated with
it, so no value can be moved to another column.
"""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Callable, Iterator, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Column, ColumnElement, Table, Text, TypeDecorator
from sqlalchemy.sql.schema import MetaData
from sqlalchemy.types import TypeEngine

KEY_BYTES = 32
_NONCE_BYTES = 12
_RANDOM, _ALIKE = "sp1", "spa"


class SealProblem(Exception):
    """A sealed value cannot be read: its key is not at hand, or it was changed. The message names the key and the place, never the value."""


class Keyring:
    """The keys, newest first: the first seals, all open. Addresses are sealed with the last, so that they are found under one key.

    Parameters
    ----------
    keys: (key id, 32 bytes) each. Raises ValueError for none, or for a key of another length.
    reload: gives the keys as they are kept now, asked once when a value names a key that is not known.
    of_addresses: id of another key than the last for addresses, while they get a new one.
    """

    def __init__(
        self, keys: Sequence[tuple[str, bytes]], reload: Callable[[], Sequence[tuple[str, bytes]]] | None = None, of_addresses: str | None = None
    ) -> None:
        self._reload = reload
        self._take(keys)
        self.of_addresses = of_addresses or self.of_addresses

    def _take(self, keys: Sequence[tuple[str, bytes]]) -> None:
        if not keys or any(len(key) != KEY_BYTES for _, key in keys):
            raise ValueError(f"a keyring needs at least one key of {KEY_BYTES} bytes")
        self._keys = dict(keys)
        self._boxes: dict[str, AESGCM] = {}
        self.current, self.of_addresses = keys[0][0], keys[-1][0]
        self._siv: dict[str, AESSIV] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the keys, newest first."""
        return tuple(self._keys)

    def derived(self, id: str, purpose: str, length: int = KEY_BYTES) -> bytes:
        """A key for one purpose, from a key of the ring (HKDF, RFC 5869). Raises SealProblem if that key is not at hand."""
        self._know(id)
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=f"signpost {purpose}".encode()).derive(self._keys[id])

    def seal(self, plain: str, place: str) -> str:
        """A text sealed for a place, differently each time."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._box(self.current).encrypt(nonce, plain.encode("utf-8", "surrogatepass"), place.encode())
        return f"{_RANDOM}.{self.current}.{urlsafe_b64encode(sealed).decode()}"

    def seal_address(self, plain: str, place: str) -> str:
        """An address sealed for a place, the same way each time."""
        sealed = self._address_box(self.of_addresses).encrypt(plain.encode(), [place.encode()])
        return f"{_ALIKE}.{self.of_addresses}.{urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """What was sealed. Raises SealProblem."""
        kind, id, raw = _parts(sealed, place)
        try:
            if kind == _ALIKE:
                return self._address_box(id).decrypt(raw, [place.encode()]).decode()
            return self._box(id).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode()).decode("utf-8", "surrogatepass")
        except (InvalidTag, ValueError):
            raise SealProblem(f"a value in {place} was changed, or is not of this place") from None

    def _know(self, id: str) -> None:
        if id not in self._keys and self._reload is not None:
            self._take(self._reload())
        if id not in self._keys:
            raise SealProblem(f"the key {id} is not at hand (there are: {', '.join(self._keys)}); put it back where the keys are kept")

    def _box(self, id: str) -> AESGCM:
        box = self._boxes.get(id)
        if box is None:
            box = self._boxes[id] = AESGCM(self.derived(id, "bodies"))
        return box

    def _address_box(self, id: str) -> AESSIV:
        box = self._siv.get(id)
        if box is None:
            box = self._siv[id] = AESSIV(self.derived(id, "addresses", 64))
        return box


def key_of(sealed: str) -> str | None:
    """The id of the key that a stored value is sealed with; nothing for one that is not sealed."""
    kind, _, rest = sealed.partition(".")
    return rest.partition(".")[0] if kind in (_RANDOM, _ALIKE) else None


def _parts(sealed: str, place: str) -> tuple[str, str, bytes]:
    kind, _, rest = sealed.partition(".")
    id, _, raw = rest.partition(".")
    try:
        if kind in (_RANDOM, _ALIKE):
            return kind, id, urlsafe_b64decode(raw)
    except ValueError:
        pass
    raise SealProblem(f"a value in {place} is not sealed")


class _NotCompared(TypeEngine.Comparator):
    """A sealed column can only be tested for NULL: no other comparison in the database could ever be right."""

    holds = frozenset({"is_", "is_not"})

    def operate(self, op, *other, **kwargs):
        # with another column: SQLAlchemy itself asks whether two are the same
        if op.__name__ not in self.holds and not (other and isinstance(other[0], ColumnElement)):
            raise TypeError(f"a sealed column cannot be compared in the database ({op.__name__})")
        return super().operate(op, *other, **kwargs)

    reverse_operate = operate


class _ComparedWhole(_NotCompared):
    """An address can be looked for by the whole of it, never by a part."""

    holds = frozenset({"is_", "is_not", "eq", "ne", "in_op", "not_in_op"})


class Sealed(TypeDecorator):
    """A text, encrypted at rest. `place` is its table and column. The keys are the database's (`Database.keys`)."""

    impl = Text
    cache_ok = True
    comparator_factory = _NotCompared

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def process_bind_param(self, value: str | None, dialect) -> str | None:
        return None if value is None else dialect.keys.seal(value, self.place)

    def process_result_value(self, value: str | None, dialect) -> str | None:
        # an empty text is a column's default and says nothing
        return dialect.keys.open(value, self.place) if value else value

    def resealed(self, stored: str, keys: Keyring) -> str:
        """A stored value under the newest key."""
        return keys.seal(keys.open(stored, self.place), self.place)

    def is_current(self, stored: str, keys: Keyring) -> bool:
        """Whether a stored value is sealed with the key that seals now."""
        return key_of(stored) == keys.current


class SealedJSON(Sealed):
    """A JSON value, encrypted at rest."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect) -> str | None:
        return None if value is None else super().process_bind_param(json.dumps(value, ensure_ascii=False, separators=(",", ":")), dialect)

    def process_result_value(self, value: str | None, dialect) -> Any:
        return None if value is None else json.loads(super().process_result_value(value, dialect) or "null")


class SealedAddress(Sealed):
    """Where somebody can be reached: encrypted at rest, and still found by what it equals."""

    cache_ok = True
    comparator_factory = _ComparedWhole

    def process_bind_param(self, value: str | None, dialect) -> str | None:
        return None if value is None else dialect.keys.seal_address(value, self.place)

    def resealed(self, stored: str, keys: Keyring) -> str:
        return keys.seal_address(keys.open(stored, self.place), self.place)

    def is_current(self, stored: str, keys: Keyring) -> bool:
        return key_of(stored) == keys.of_addresses


class SealedNumber(SealedAddress):
    """A number that is somebody's address: as SealedAddress."""

    cache_ok = True

    def process_bind_param(self, value: int | None, dialect) -> str | None:
        return None if value is None else super().process_bind_param(str(value), dialect)

    def process_result_value(self, value: str | None, dialect) -> int | None:
        return None if value is None else int(super().process_result_value(value, dialect))


def sealed_columns(metadata: MetaData) -> Iterator[tuple[Table, Column, Sealed]]:
    """Every sealed column there is."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Sealed):
                yield table, column, column.type
