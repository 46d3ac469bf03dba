"""Has the caller finished? Silence says so, unless the words do not: an open sentence, a number being read out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kallglot_media.agent.intents import plain
from kallglot_media.agent.lexicon import words

_OPEN: Mapping[str, frozenset[str]] = {
    "de": words(
        "und oder aber weil dass wenn ob als mit für von zu an auf bei nach über unter ohne um der die das "
        "den dem ein eine einen einem einer mein meine meinen meinem meiner ihr ihre ich möchte will ist sind "
        "lautet wie also noch im am zum zur vom ähm äh"
    ),
    "en": words(
        "and or but because that if when with for from to at on in of by about the a an my your i would want "
        "is are like um uh so then as than whether which who"
    ),
    "es": words("y o pero porque que si con para de a en el la los las un una mi su es son como"),
    "fr": words("et ou mais parce que si avec pour de à en le la les un une mon ma est sont comme"),
}
_PREFIXES: Mapping[str, frozenset[str]] = {"de": words("mit zu an auf bei nach über unter um")}
"""Of those, what also ends whole sentences ("Ich rufe Sie später an.", "Kommen Sie mit?")."""

_ANNOUNCES_DIGITS: Mapping[str, str] = {
    "de": r"\b(nummer|kundennummer|bestellnummer|telefonnummer|postleitzahl|iban|code|pin)( (ist|lautet|wäre|war))?$",
    "en": r"\b(number|order number|customer number|phone number|zip|postcode|iban|code|pin)( (is|was|would be))?$",
    "es": r"\b(número|código)( (es|era))?$",
    "fr": r"\b(numéro|code)( (est|était))?$",
}
_DIGITS: Mapping[str, frozenset[str]] = {
    "de": words("null eins zwei zwo drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig"),
    "en": words("zero oh one two three four five six seven eight nine ten eleven twelve twenty thirty"),
    "es": words("cero uno dos tres cuatro cinco seis siete ocho nueve diez"),
    "fr": words("zéro un deux trois quatre cinq six sept huit neuf dix"),
}


@dataclass(frozen=True, slots=True)
class Patience:
    """More silence, besides that which ended the utterance, in ms."""

    unfinished_ms: int = 900
    digits_ms: int = 1200


def more_silence_ms(text: str, language: str, patience: Patience) -> int:
    """How much longer to wait for the caller to go on; 0: they have finished.

    more_silence_ms("Meine Bestellnummer ist", "de", Patience()) == 1200
    more_silence_ms("vier eins sieben", "de", Patience()) == 1200
    more_silence_ms("Ich habe bestellt und", "de", Patience()) == 900
    more_silence_ms("Wann kommt mein Telefon an?", "de", Patience()) == 0
    """
    said_words = plain(text).split()
    if not said_words:
        return 0
    said = " ".join(said_words)
    digits = _DIGITS.get(language, frozenset())
    if said_words[-1].isdecimal() or said_words[-1] in digits:
        # a lone "ten" or "eins" may be an answer; three in a row are being read out
        tail = said_words[-3:]
        read_out = (said_words[-1].isdecimal() and len(said_words[-1]) >= 3) or (
            len(tail) >= 2 and all(w.isdecimal() or w in digits for w in tail)
        )
        return patience.digits_ms if read_out else 0
    if text.rstrip().endswith("?"):
        return 0  # the recogniser hears by the melody where a question ends
    if (pattern := _ANNOUNCES_DIGITS.get(language)) and re.search(pattern, said):
        return patience.digits_ms
    return patience.unfinished_ms if _is_open(text.rstrip(), said_words[-1], language) else 0


def _is_open(text: str, last: str, language: str) -> bool:
    """Whether more must follow."""
    if text.endswith((".", "!")) and last in _PREFIXES.get(language, frozenset()):
        return False
    return last in _OPEN.get(language, frozenset()) or text.endswith((",", "…", "-"))
