"""Message text made ready for understanding: cleaned, spelt out, mended, cut into sentences."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Iterable, Mapping

import yaml

MAX_CHARACTERS = 4000
_TAGS = re.compile(r"<[^>]{0,200}>")
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_ASKING = r"how|what|whats|what's|who|whos|who's|when|where|why|can|could|is|are|do|does|did|will|would|should|if so"
_ASKED = re.compile(
    rf"^(?:and |but |also |plus |so |or |then |hi |hello )*(?:{_ASKING}|which|am|need|want|i need|we need|i want|i'd like|please|tell me)\b|\?$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(
    rf"(?<=[.!?…])[\s\"')]+|\n+|\s+(?=(?:and |but )?also\b)|,?\s+(?=(?:and|but|plus) (?:{_ASKING})\b)", re.IGNORECASE
)


def clean(text: str) -> str:
    """One line of plain characters: no control or invisible ones, no mark-up, at most 4000 characters."""
    text = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS])
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text if unicodedata.category(c) != "Cf")
    return _SPACES.sub(" ", _TAGS.sub(" ", text)).strip()


def sentences(text: str) -> list[str]:
    """The sentences of a message, cut at closing marks, line ends, "also" and where a new question is joined on. Fragments of one word join the one before."""
    parts: list[str] = []
    for part in _SENTENCE_END.split(text):
        part = part.strip(" ,;-")
        if not part:
            continue
        if parts and len(part.split()) < 2:
            parts[-1] = f"{parts[-1]} {part}"
        else:
            parts.append(part)
    return parts


def asks(sentence: str) -> bool:
    """Whether a sentence is put as a question or a wish, by its mark or its first words."""
    return bool(_ASKED.search(sentence))


class Glossary:
    """The field's abbreviations spelt out, because the sentence model does not know them (EHCP, SALT, SENCO, ICB …)."""

    def __init__(self, any_case: Mapping[str, str], exact: Mapping[str, str]) -> None:
        self.any_case = {short.lower(): long for short, long in any_case.items()}
        self.exact = dict(exact)
        self._patterns = [
            (_alternatives(self.exact, 0), lambda m: self.exact[m.group(0)]),
            (_alternatives(self.any_case, re.IGNORECASE), lambda m: self.any_case[m.group(0).lower()]),
        ]

    @classmethod
    def load(cls, path: Path | str) -> "Glossary":
        """Read `data/glossary.yml`: `any_case` and `exact`, each abbreviation -> long form."""
        return cls(**yaml.safe_load(Path(path).read_text(encoding="utf-8")))

    def words(self) -> set[str]:
        """Every word of the abbreviations and of their long forms, in lower case."""
        return {word for entries in (self.any_case, self.exact) for pair in entries.items() for word in words(" ".join(pair))}

    def spell_out(self, text: str) -> str:
        """`text` with each abbreviation replaced by its long form."""
        for pattern, long_form in self._patterns:
            text = pattern.sub(long_form, text)
        return text


def _alternatives(entries: Mapping[str, str], flags: int) -> re.Pattern[str]:
    shorts = "|".join(re.escape(s) for s in sorted(entries, key=len, reverse=True)) or r"(?!)"
    return re.compile(rf"(?<!\w)(?:{shorts})(?!\w)", flags)


def words(text: str) -> list[str]:
    """Lower-case words of `text`, apostrophes kept."""
    return [w.replace("’", "'").lower() for w in _WORD.findall(text)]


class TypingMender:
    """Typing errors mended by symspellpy, whose dictionary holds the domain's own words first.

    A rare word is still a word: what stands anywhere in the English frequency list is left alone ("panting" is not "wanting"), and so
    is a name, unless one of the domain's own words is meant.

    Parameters
    ----------
    domain_words: words never changed and preferred as corrections (training examples, glossary).
    frequency_limit: how many of the English frequency list's commonest words may be what was meant.
    """

    _SHORTEST = 5

    def __init__(self, domain_words: Iterable[str], frequency_limit: int = 30_000) -> None:
        self.domain_words = sorted(set(domain_words))
        self.frequency_limit = frequency_limit
        self._domain = set(self.domain_words)
        self._common = set(self.domain_words)
        self._rare: set[str] = set()
        self._spell = self._build()
        self._mend_word = lru_cache(maxsize=20_000)(self._look_up)

    def _build(self):
        from symspellpy import SymSpell

        import symspellpy

        spell = SymSpell(max_dictionary_edit_distance=1, prefix_length=6)
        listing = Path(symspellpy.__file__).parent / "frequency_dictionary_en_82_765.txt"
        with listing.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines):
                word, count = line.split()
                if number >= self.frequency_limit:
                    self._rare.add(word)
                    continue
                self._common.add(word)
                if len(word) >= self._SHORTEST - 1:
                    spell.create_dictionary_entry(word, int(count))
        for word in self.domain_words:
            if len(word) >= self._SHORTEST - 1:
                spell.create_dictionary_entry(word, 10**11)
        return spell

    def _look_up(self, word: str) -> str:
        from symspellpy import Verbosity

        if len(word) < self._SHORTEST or word in self._common or word in self._rare or "'" in word:
            return word
        found = self._spell.lookup(word, Verbosity.TOP, max_edit_distance=1)
        return found[0].term if found else word

    def known_share(self, text: str) -> float:
        """Share of the words of `text` that are common English, or the domain's, as they stand; 1 if there are none.

        Where there are longer words, those of one and two letters do not count: "a", "o" and "me" are words of many languages.
        """
        found = words(text)
        found = [word for word in found if len(word) > 2] or found
        return sum(word in self._common for word in found) / len(found) if found else 1.0

    def mend(self, text: str) -> str:
        """`text` with unknown words replaced by the nearest known word one edit away."""
        return _WORD.sub(lambda m: self._mended(m.group(0)), text)

    def _mended(self, word: str) -> str:
        better = self._mend_word(word.lower())
        may_be_a_name = word[0].isupper() and word[1:].islower() and better not in self._domain
        return word if better == word.lower() or may_be_a_name else better
