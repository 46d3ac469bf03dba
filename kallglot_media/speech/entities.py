"""What must come through translation unchanged: numbers, amounts, dates, times, ids, e-mail addresses, and terms.

    wanted = entities("Das sind zwölf Euro, Nummer AB-4711.", "de")
    [one.value for one in wanted] == ["12", "ab4711"]
    missing(wanted, "That is 12 euros, number AB-4711.", "en") == []

Values are compared, not writings: "1.234,50" in German is "1,234.50" in English, "halb" of what is
said in words is made digits first. Words of numbers: text2num (MIT), for the languages that it knows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from text_to_num import alpha2digit

_WORDS_OF_NUMBERS = frozenset({"de", "en", "es", "fr", "it", "nl", "pt"})
_DECIMAL_POINT = frozenset({"en", "zh", "ja", "ko", "th", "he"})

_EMAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_ID = r"(?=[\w/-]*\d)(?=[\w/-]*[^\W\d_])[^\W_]+(?:[-/][^\W_]+)*"
_NUMBER = r"\d+(?:[.,'\u202f\u00a0]\d+)*"
_CURRENCIES = {
    "eur": ("€|EUR|Euros?", {"en": "euros", "de": "Euro", "es": "euros", "fr": "euros", "it": "euro", "pt": "euros"}),
    "usd": (r"\$|USD|Dollars?|dólares|dollari", {"en": "dollars", "de": "Dollar", "es": "dólares", "it": "dollari"}),
    "gbp": ("£|GBP|Pfund|pounds?", {"en": "pounds", "de": "Pfund", "es": "libras"}),
    "chf": ("CHF|Franken|Swiss francs?", {"en": "Swiss francs", "de": "Franken"}),
}
_LETTER = r"[^\W\d_]"
_CURRENCY = "|".join(rf"(?P<{name}>(?<!{_LETTER})(?:{words})(?!{_LETTER}))" for name, (words, _) in _CURRENCIES.items())
_TOKEN = re.compile(rf"(?i:{_CURRENCY})|(?P<email>{_EMAIL})|(?P<id>(?<![\w-]){_ID}(?![\w-]))|(?P<number>{_NUMBER})")

_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th|e|er|ère|º|ª|o|a)")
_AFTERNOON = re.compile(r"\b(\d{1,2})(?:[:.](\d{2}))?\s*(a|p)\.?\s?m\b\.?", re.IGNORECASE)
_GAP_IN_RUN = re.compile(r"[\s,]{1,2}")

LARGE = 13
_PLAIN_WORDS = frozenset({"de", "en"})
"""Languages whose words for numbers up to twelve mean nothing else."""

_NO_WORD = re.compile(r"(?!)")
_ORDINAL_WORDS = {
    "de": re.compile(r"\b(?:dritt|viert|fünft|sechst|siebt|acht|neunt|zehnt|elft|zwölft)e[nrsm]?\b", re.IGNORECASE),
    "en": re.compile(r"\b(?:third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth)s?\b", re.IGNORECASE),
}

SMALL = 3
"""Isolated numbers below this may be words ("one question") where nobody counts."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One of them. value: how it is compared; shown: how it is written; start, end: its place in the text.

    strict  whether its loss is a mistake: "one" and "two" alone may be no numbers at all
    """

    value: str
    shown: str
    start: int
    end: int
    strict: bool = True


def in_digits(text: str, language: str) -> str:
    """Numbers that are written in words as digits, and an e-mail address that was dictated as one.

    in_digits("um vierzehn Uhr dreißig", "de") == "um 14 Uhr 30"
    """
    text = _dictated_email(_clock_words(text, language))
    if language in _WORDS_OF_NUMBERS:
        text = alpha2digit(text, language, threshold=0)
    return _AFTERNOON.sub(_in_24_hours, text) if language == "en" else text


def entities(text: str, language: str, terms: Iterable[tuple[str, str]] = ()) -> list[Entity]:
    """All of `in_digits(text)`, in their order; places are in that text.

    terms  (as it is in this language, as it must be in the other): found wherever the first stands
    """
    plain = in_digits(text, language)
    found = [_entity(match, language) for match in _TOKEN.finditer(plain)]
    found = _doubtful_words(found, text, language)
    for here, there in terms:
        places = re.finditer(rf"(?<!\w){re.escape(here)}(?!\w)", plain, re.IGNORECASE)
        found += [Entity(f"={there.casefold()}", there, match.start(), match.end()) for match in places]
    return _runs(_without_overlaps(found), plain)


def missing(wanted: Sequence[Entity], text: str, language: str) -> list[Entity]:
    """Those of `wanted` that are not in a text of another language."""
    there = Counter(one.value for one in entities(text, language))
    lacking = []
    for one in wanted:
        if one.value.startswith("="):
            if one.value[1:] not in text.casefold():
                lacking.append(one)
        elif there[one.value] > 0:
            there[one.value] -= 1
        elif one.strict:
            lacking.append(one)
    return lacking


def surplus(wanted: Sequence[Entity], text: str, language: str) -> list[Entity]:
    """Those of a translation that its source does not have: invented numbers. Places are in `in_digits(text)`."""
    meant = Counter(one.value for one in wanted)
    more = []
    for one in entities(text, language):
        if meant[one.value] > 0:
            meant[one.value] -= 1
        elif one.strict:
            more.append(one)
    return more


def repaired(wanted: Sequence[Entity], text: str, language: str) -> str | None:
    """The translation with one wrong entity put right; None when it is not as simple as that."""
    lacking, invented = missing(wanted, text, language), surplus(wanted, text, language)
    if len(lacking) != 1 or len(invented) != 1 or lacking[0].value.startswith("="):
        return None
    plain = in_digits(text, language)
    wrong = invented[0]
    made = plain[: wrong.start] + written(lacking[0], language) + plain[wrong.end :]
    return made if not missing(wanted, made, language) else None


def written(entity: Entity, language: str) -> str:
    """How an entity is written in a language: numbers with its marks, money with its name, all else as it was."""
    if entity.value.startswith("¤"):
        return _CURRENCIES[entity.value[1:]][1].get(language, entity.shown)
    if not re.fullmatch(r"\d+(\.\d+)?", entity.value) or " " in entity.shown:
        return entity.shown
    whole, _, fraction = entity.value.partition(".")
    if not fraction:
        return whole
    return f"{whole}{'.' if language in _DECIMAL_POINT else ','}{_same_digits(entity.shown, fraction)}"


def _same_digits(shown: str, fraction: str) -> str:
    """The fraction as long as it was written: 12,50 stays two digits."""
    tail = re.split(r"[.,]", shown)[-1]
    return tail if tail.rstrip("0") == fraction else fraction


def _entity(match: re.Match[str], language: str) -> Entity:
    shown = match.group()
    if match.lastgroup in _CURRENCIES:
        is_weight = shown.casefold() in ("pfund", "pound", "pounds")
        return Entity(f"¤{match.lastgroup}", shown, match.start(), match.end(), strict=not is_weight)
    if match.lastgroup == "email":
        return Entity(shown.casefold(), shown, match.start(), match.end())
    if match.lastgroup == "id":
        if ordinal := _ORDINAL.fullmatch(shown):
            return Entity(
                ordinal[1].lstrip("0") or "0", ordinal[1], match.start(), match.end(), int(ordinal[1]) >= SMALL
            )
        return Entity(re.sub(r"[^\w]", "", shown).casefold(), shown, match.start(), match.end())
    value = number_value(shown, language)
    of_a_clock = ":" in (match.string[match.start() - 1 : match.start()], match.string[match.end() : match.end() + 1])
    strict = of_a_clock or not value.isdecimal() or int(value) >= SMALL
    return Entity(value, shown, match.start(), match.end(), strict)


def number_value(shown: str, language: str) -> str:
    """A number without marks for thousands, with a point before its fraction, without zeros that say nothing.

    number_value("1.234,50", "de") == number_value("1,234.50", "en") == "1234.5"
    """
    point, comma = (".", ",") if language in _DECIMAL_POINT else (",", ".")
    plain = re.sub(r"['\u202f\u00a0]", "", shown)
    groups = plain.split(comma)
    if len(groups) > 1 and all(len(group.split(point)[0]) == 3 for group in groups[1:]):
        plain = plain.replace(comma, "")  # thousands
    plain = plain.replace(point, ".")
    whole, mark, fraction = plain.partition(".")
    if "." in fraction or "," in plain:
        return re.sub(r"\D", ".", shown)  # 192.168.0.1, 3.5.2024: no number, its parts are what counts
    fraction = fraction.rstrip("0")
    if len(whole) <= 2 or set(whole) == {"0"}:  # 09 is 9; 0049 is an area code
        whole = whole.lstrip("0") or "0"
    return f"{whole}.{fraction}" if mark and fraction else whole


def _doubtful_words(found: list[Entity], text: str, language: str) -> list[Entity]:
    """A small number that was a word need not be one: "sei" is also "are", "third" also part of a name of a thing."""
    in_figures = Counter(number_value(match.group(), language) for match in re.finditer(_NUMBER, text))
    ordinals = set(_ORDINAL_WORDS.get(language, _NO_WORD).findall(text)) if language in _ORDINAL_WORDS else set()
    judged = []
    for one in found:
        from_words = one.value.isdecimal() and not in_figures[one.value]
        unsure = language not in _PLAIN_WORDS or bool(ordinals)
        keeps = one.strict and not (from_words and int(one.value) < LARGE and unsure)
        judged.append(one if keeps == one.strict else replace(one, strict=keeps))
    return judged


def _runs(found: list[Entity], text: str) -> list[Entity]:
    """Digits that were said one by one are one number: "1 8 8 3" and "one, eight, eight, three"."""
    joined: list[Entity] = []
    for one in found:
        last = joined[-1] if joined else None
        if (
            last is not None
            and one.value.isdecimal() and last.value.isdecimal()
            and len(one.value) <= 3 and (len(last.value) <= 3 or " " in last.shown)
            and _GAP_IN_RUN.fullmatch(text[last.end : one.start])
        ):  # fmt: skip
            strict = True  # nobody says two figures in a row by chance
            joined[-1] = Entity(last.value + one.value, f"{last.shown} {one.shown}", last.start, one.end, strict)
        else:
            joined.append(one)
    return joined


def _without_overlaps(found: list[Entity]) -> list[Entity]:
    """In order; where two overlap, the longer one."""
    kept: list[Entity] = []
    for one in sorted(found, key=lambda each: (each.start, each.start - each.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def _in_24_hours(match: re.Match[str]) -> str:
    hour = int(match[1]) % 12 + (12 if match[3].lower() == "p" else 0)
    return f"{hour}:{match[2]}" if match[2] else f"{hour}"


_HOURS = {
    "de": ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"],
    "en": ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
}
_HOUR = {language: rf"(?P<hour>{'|'.join(words)}|\d{{1,2}})" for language, words in _HOURS.items()}
_CLOCK_WORDS = {
    "de": re.compile(rf"\b(?P<part>halb|viertel vor|viertel nach) {_HOUR['de']}\b", re.IGNORECASE),
    "en": re.compile(rf"\b(?:a )?(?P<part>half past|quarter to|quarter past) {_HOUR['en']}\b", re.IGNORECASE),
}
_PARTS = {
    "halb": (-1, 30), "viertel vor": (-1, 45), "viertel nach": (0, 15),
    "half past": (0, 30), "quarter to": (-1, 45), "quarter past": (0, 15),
}  # fmt: skip


def _clock_words(text: str, language: str) -> str:
    """`_clock_words("um halb drei", "de") == "um 2:30"`: the hours that languages name differ."""
    pattern = _CLOCK_WORDS.get(language)
    if pattern is None:
        return text

    def in_figures(match: re.Match[str]) -> str:
        said = match["hour"].casefold()
        hour = int(said) if said.isdecimal() else _HOURS[language].index(said) + 1
        more, minute = _PARTS[match["part"].casefold()]
        return f"{(hour + more - 1) % 12 + 1 if hour <= 12 else hour + more}:{minute}"

    return pattern.sub(in_figures, text)


_AT = r"(?:at|ät|klammeraffe|arroba|arobase|chiocciola)"
_DOT = r"(?:punkt|dot|punto|point|ponto)"
_DICTATED = re.compile(rf"\b(?P<name>\w+(?:\s{_DOT}\s\w+)*)\s{_AT}\s(?P<host>\w+(?:\s{_DOT}\s\w+)+)\b", re.IGNORECASE)


def _dictated_email(text: str) -> str:
    """`_dictated_email("max punkt meier at firma punkt de") == "max.meier@firma.de"`"""

    def written_out(match: re.Match[str]) -> str:
        parts = (re.sub(rf"\s{_DOT}\s", ".", match[part], flags=re.IGNORECASE) for part in ("name", "host"))
        return "@".join(parts)

    return _DICTATED.sub(written_out, text)
