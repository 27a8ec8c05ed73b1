"""Which language a message is in, told from short messages and without the network."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

# English's neighbours in an English council: the six we can reply in, and those that would be mistaken for them.
_SPOKEN = (
    *("ENGLISH", "POLISH", "PORTUGUESE", "ROMANIAN", "UKRAINIAN", "ARABIC", "BENGALI", "RUSSIAN", "SPANISH", "FRENCH", "ITALIAN"),
    *("GERMAN", "TURKISH", "HUNGARIAN", "BULGARIAN", "LITHUANIAN", "URDU", "PUNJABI", "HINDI", "SOMALI", "ALBANIAN", "CHINESE"),
)
_SURE = 0.5
_MOSTLY_KNOWN = 0.5


@lru_cache(maxsize=1)
def _detector():
    """lingua's detector, made when the first message comes that does not look English: it takes 200 MB."""
    from lingua import Language, LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_languages(*(getattr(Language, name) for name in _SPOKEN)).build()


def spoken(text: str, known_share: float) -> str:
    """The language's two-letter code (ISO 639-1); `en` also when we are not sure.

    Parameters
    ----------
    known_share: share of the message's words that an English speaker's dictionary holds. Mostly English messages are not looked at
        further: short ones ("nice one mate") are easily mistaken.
    """
    letters = [c for c in text if c.isalpha()]
    if len(letters) < 4:
        return "en"
    foreign_script = sum("LATIN" not in unicodedata.name(c, "") for c in letters) > len(letters) / 2
    if not foreign_script and known_share >= _MOSTLY_KNOWN:
        return "en"
    best = _detector().compute_language_confidence_values(text)[0]
    return best.language.iso_code_639_1.name.lower() if best.value >= _SURE else "en"
