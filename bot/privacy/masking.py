"""What says who somebody is, masked before the engine, logs, exports or training examples see a message.

Nothing here needs a name, a date of birth or an NHS number; people type them all the same. Numbers and addresses are found by their
form, names by what the sentence says of them and by the list of given names in `data/policy/names.yml`. Names that no rule knows get
through (docs/masking.md has the measure), so masking is one wall of several, not the only one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Collection, Iterable, Iterator

from bot.privacy import wordforms as forms

MASKS = {
    "name": "[name]",
    "nhs_number": "[number]",
    "upn": "[number]",
    "ni_number": "[number]",
    "other_number": "[number]",
    "phone": "[number]",
    "email": "[email]",
    "postcode": "[postcode]",
    "address": "[address]",
    "date_of_birth": "[date]",
}
KINDS = tuple(MASKS)


@dataclass(frozen=True)
class Found:
    """A stretch of a message that says who somebody is: from `start` up to `end`, one of KINDS."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Masked:
    """A message without what says who somebody is, and what was found in the original, in order."""

    text: str
    found: tuple[Found, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds found, each once, in the order of KINDS."""
        return tuple(kind for kind in KINDS if any(found.kind == kind for found in self.found))


class Masker:
    """Masks messages. Takes no lock and keeps nothing, so one serves all threads.

    Parameters
    ----------
    names: given names, in lower case, that are masked wherever they stand.
    also_words: given names that are ordinary words too, masked only where a person is meant.
    public_numbers: telephone numbers that anybody may know (helplines, the service's own), which stay.
    """

    def __init__(self, names: Collection[str], also_words: Collection[str] = (), public_numbers: Iterable[str] = ()) -> None:
        self._names = frozenset(names)
        self._also_words = frozenset(also_words)
        self._public = frozenset(_digits(number) for number in (*public_numbers, *forms.HELPLINES))

    @classmethod
    def of(cls, listed: dict[str, Any], public_numbers: Iterable[str] = ()) -> "Masker":
        """From what `data/policy/names.yml` holds."""
        return cls(listed["names"].split(), listed["also_words"].split(), public_numbers)

    @classmethod
    def load(cls, path: Path, public_numbers: Iterable[str] = ()) -> "Masker":
        """From the file itself."""
        import yaml

        return cls.of(yaml.safe_load(path.read_text(encoding="utf-8")), public_numbers)

    def mask(self, text: str) -> Masked:
        """The message with a mask in the place of everything that says who somebody is.

        Invisible characters, which would hide a number from the rules, are left out first; `found` counts without them.
        """
        if not text.isascii():
            text = "".join(c for c in text if unicodedata.category(c) != "Cf")
        found = self.find(text)
        if not found:
            return Masked(text)
        made, at = [], 0
        for one in found:
            made += [text[at : one.start], MASKS[one.kind]]
            at = one.end
        return Masked("".join(made) + text[at:], found)

    def find(self, text: str) -> tuple[Found, ...]:
        """What says who somebody is, in order, without overlaps; the earlier rule wins where two meet."""
        found: list[Found] = []
        for one in self._all(text):
            if one.start < one.end and all(one.end <= other.start or other.end <= one.start for other in found):
                found.append(one)
                if one.kind in _PERSONAL and (before := self._before(text, one)):
                    found.append(before)
        return tuple(sorted(found, key=lambda one: one.start))

    def _before(self, text: str, number: Found) -> Found | None:
        """The name straight before a date of birth or a number of a person."""
        match = forms.NAMES_BEFORE_NUMBER.search(text, max(0, number.start - 60), number.start)
        if match and all(self._may_be_name(word, forms.TITLE_CASE) for word in match["it"].split()):
            return Found(match.start("it"), match.start("it") + len(match["it"].rstrip()), "name")
        return None

    def _all(self, text: str) -> Iterator[Found]:
        if "@" in text or _SPELT_AT.search(text):
            yield from _matches(forms.EMAIL, text, "email")
        if any(c.isdigit() for c in text):
            yield from self._in_digits(text)
        elif forms.SPELT_WORD.search(text):
            yield from _matches(forms.SPELT_NUMBER, text, "phone")
        yield from _matches(forms.LIVES_IN_HOUSE, text, "address")
        yield from self._persons(text)

    # numbers

    def _in_digits(self, text: str) -> Iterator[Found]:
        references = [match.span() for match in forms.REFERENCE.finditer(text)]
        for one in self._numbers(text):
            if not any(start < one.end and one.start < end for start, end in references):
                yield one

    def _numbers(self, text: str) -> Iterator[Found]:
        yield from _matches(forms.NI_NUMBER, text, "ni_number")
        yield from _matches(forms.UPN, text, "upn")
        yield from _matches(forms.NAMED_NHS_NUMBER, text, "nhs_number")
        yield from _matches(forms.BIRTH_DATE, text, "date_of_birth")
        yield from _matches(forms.POSTCODE, text, "postcode", forms.is_postcode)
        yield from _matches(forms.HOUSE_NUMBER, text, "address", forms.is_street)
        yield from _matches(forms.LIVES_AT_NUMBER, text, "address")
        for match in forms.LONG_NUMBER.finditer(text):
            if _digits(match[0]) not in self._public:
                yield Found(*match.span(), forms.kind_of_number(match[0]))
        yield from _matches(forms.NAMED_NUMBER, text, "other_number")
        yield from _matches(forms.CALL_ON, text, "phone", lambda match: _digits(match["it"]) not in self._public)
        yield from _matches(forms.SPELT_NUMBER, text, "phone")
        yield from _matches(forms.BARE_DATE, text, "date_of_birth", lambda match: forms.is_likely_birth_date(match, text))

    # names

    def _persons(self, text: str) -> Iterator[Found]:
        words = list(forms.WORD.finditer(text))
        said = {_plain(match[0]) for match in words}
        for context in forms.NAME_CONTEXTS:
            if not said.isdisjoint(context.needs):
                for match in context.pattern.finditer(text):
                    if not text[match.end() - 1 : match.end() + 1].isalpha():
                        yield from self._name_at(text, match.end(), context.trust)
        if "'s " in text or "’s " in text or " the " in text:
            for match in forms.NAME_BEFORE.finditer(text):
                first_word = match.start() == 0 and _plain(match["it"]) in self._also_words
                if not first_word and self._may_be_name(match["it"], forms.TITLE_CASE):
                    yield Found(*match.span("it"), "name")
        if not said.isdisjoint(forms.SIGNING_WORDS):
            for match in forms.SIGNED.finditer(text):
                if self._may_be_name(match["it"].split()[0], forms.LISTED if match["from"] else forms.TITLE_CASE):
                    yield Found(*match.span("it"), "name")
        yield from self._listed(text, words, said)

    def _name_at(self, text: str, start: int, trust: int) -> Iterator[Found]:
        """The name that begins at `start`, if one does: its first word as far as the context is trusted, then what goes on like it."""
        words = []
        at = start
        while len(words) < forms.LONGEST_NAME and (match := forms.NAME_WORD.match(text, at)):
            if not (self._may_be_name(match["it"], trust) if not words else self._goes_on(match["it"], words)):
                break
            words.append(match)
            at = match.end()
        if words:
            yield Found(words[0].start("it"), words[-1].end("it"), "name")
            if also := forms.AND.match(text, at):
                yield from self._name_at(text, also.end(), forms.TITLE_CASE)

    def _may_be_name(self, word: str, trust: int) -> bool:
        plain = _plain(word)
        if plain in self._names:
            return True
        if plain in self._also_words and word.istitle():
            return trust >= forms.TITLE_CASE
        if plain in forms.NO_NAMES:
            return False
        if trust == forms.LISTED:
            return False
        if trust == forms.TITLE_CASE:
            return word[0].isupper() and (not word.isupper() or len(word) > 5)
        return not word.isupper() or len(word) > 5

    def _goes_on(self, word: str, before: list[re.Match[str]]) -> bool:
        """Whether a word after a name belongs to it: written like it in capitals, or a given name or particle."""
        plain = _plain(word)
        if plain in forms.PARTICLES:
            return True
        if plain in forms.NO_NAMES:
            return False
        titled = word[0].isupper() and (not word.isupper() or before[0]["it"].isupper())
        return titled or plain in self._names

    def _listed(self, text: str, words: Iterable[re.Match[str]], said: Collection[str]) -> Iterator[Found]:
        """Names of the list anywhere, and those that are words too where what stands around says that a person is meant."""
        for match in words:
            plain = _plain(match[0])
            if plain in self._names:
                if not forms.is_place(text, match):
                    yield from self._name_at(text, match.start(), forms.LISTED)
            elif plain in self._also_words and match[0].istitle() and self._is_person(text, match):
                yield Found(*match.span(), "name")
        if not forms.KIN_WORDS.isdisjoint(said):
            for match in forms.KIN.finditer(text):
                if _plain(match["it"]) in self._also_words and forms.IS_PERSON.match(text, match.end()):
                    yield Found(*match.span("it"), "name")

    @staticmethod
    def _is_person(text: str, match: re.Match[str]) -> bool:
        """Whether a word that is also a name, with a capital within a sentence, is used as one here."""
        if match.start() == 0 or forms.NO_PERSON.search(text, 0, match.start()) or forms.is_place(text, match):
            return False
        return forms.IS_PERSON.match(text, match.end()) is not None


_PERSONAL = frozenset({"date_of_birth", "nhs_number", "upn"})
_SPELT_AT = re.compile(r"\bat\b", re.IGNORECASE)


def _matches(pattern: re.Pattern[str], text: str, kind: str, holds: Callable[[re.Match[str]], bool] | None = None) -> Iterator[Found]:
    for match in pattern.finditer(text):
        if holds is None or holds(match):
            yield Found(*match.span("it"), kind)


def _digits(number: str) -> str:
    return "".join(c for c in number if c.isdigit())


def _plain(word: str) -> str:
    """A word as the lists have it: lower case, one kind of apostrophe, without a possessive."""
    word = word.lower().replace("’", "'")
    return word[:-2] if word.endswith("'s") else word
