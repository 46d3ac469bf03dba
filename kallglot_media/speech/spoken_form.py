"""How what is written is said: dates, times, money, ids, addresses and long numbers, in the listener's language.

Voices read words; what a voice makes of "max.meier@firma.de" or "AB-4711" nobody writes down. Words for numbers
come from num2words; a language that it does not know, and all that is not found here, stays as written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from num2words import num2words

from kallglot_media.speech.entities import number_value

SPELLED_FROM_DIGITS = 7
"""A number of so many digits, or one that begins with 0, is a number of something: it is said digit by digit."""


@dataclass(frozen=True, slots=True)
class _Words:
    """What one language says. clock: of hour and minute; cents: whether the currency stands between the two."""

    at: str
    dot: str
    dash: str
    percent: str
    months: str
    date: str
    clock: str
    full_hour: str
    money: dict[str, tuple[str, str]]


_WORDS = {
    "de": _Words("at", "Punkt", "Strich", "Prozent",
                 "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
                 "{day} {month} {year}", "{hour} Uhr {minute}", "{hour} Uhr",
                 {"€": ("Euro", "Euro"), "$": ("Dollar", "Dollar"), "£": ("Pfund", "Pfund")}),
    "en": _Words("at", "dot", "dash", "percent",
                 "January February March April May June July August September October November December",
                 "{month} {day}, {year}", "{hour} {minute}", "{hour} o'clock",
                 {"€": ("euro", "euros"), "$": ("dollar", "dollars"), "£": ("pound", "pounds")}),
    "es": _Words("arroba", "punto", "guion", "por ciento",
                 "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
                 "{number} de {month} de {year}", "{hour} y {minute}", "{hour} en punto",
                 {"€": ("euro", "euros"), "$": ("dólar", "dólares"), "£": ("libra", "libras")}),
    "fr": _Words("arobase", "point", "tiret", "pour cent",
                 "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
                 "{number} {month} {year}", "{hour} heures {minute}", "{hour} heures",
                 {"€": ("euro", "euros"), "$": ("dollar", "dollars"), "£": ("livre", "livres")}),
}  # fmt: skip

_DATIVE = re.compile(r"\b(?:am|vom|zum|dem|den|beim)\s$", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DATE = re.compile(r"\b(?:(\d{1,2})\.(\d{1,2})\.(\d{4})|(\d{4})-(\d{2})-(\d{2}))\b")
_CLOCK = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)(?: Uhr| heures)?\b(?!:)")
_NUMBER = r"\d+(?:[.,'\u202f\u00a0]\d+)*"
_MONEY = re.compile(rf"(?:(?P<sign>[$£€])\s?(?P<after>{_NUMBER})|(?P<before>{_NUMBER})\s?(?P<mark>[$£€]))")
_PERCENT = re.compile(r"(?<=\d)\s?%")
_ID = re.compile(r"(?<![\w-])(?=[\w/-]*\d)(?=[\w/-]*[A-Z])[A-Z0-9]+(?:[-/][A-Z0-9]+)*(?![\w-])")
_DIGITS = re.compile(rf"(?<![\w.,:])(?:0\d{{3,}}|\d{{{SPELLED_FROM_DIGITS},}})(?![\w:])(?![.,]\d)")


def spoken_form(text: str, language: str) -> str:
    """`text` as it is said.

    spoken_form("AB-47 kostet 12,50 €.", "de") == "A B 4 7 kostet zwölf Euro fünfzig."
    """
    words = _WORDS.get(language)
    if words is None:
        return text
    text = _EMAIL.sub(lambda match: _address(match.group(), words), text)
    text = _DATE.sub(lambda match: _date(match, words, language), text)
    text = _CLOCK.sub(lambda match: _clock(match, words, language), text)
    text = _MONEY.sub(lambda match: _money(match, words, language), text)
    text = _PERCENT.sub(f" {words.percent}", text)
    text = _ID.sub(lambda match: _letter_by_letter(match.group()), text)
    return _DIGITS.sub(lambda match: " ".join(match.group()), text)


def _say(number: float, language: str, to: str = "cardinal") -> str:
    said: str = num2words(number, lang=language, to=to)
    return said


def _count(number: int, language: str) -> str:
    """Before what is counted: German says "ein Euro"."""
    return "ein" if number == 1 and language == "de" else _say(number, language)


def _address(address: str, words: _Words) -> str:
    said = {"@": words.at, ".": words.dot, "-": words.dash, "_": "_", "+": "plus"}
    return " ".join(said.get(part, part) for part in re.split(r"([@.+-])", address) if part)


def _date(match: re.Match[str], words: _Words, language: str) -> str:
    day, month, year = (int(part) for part in (match.groups()[:3] if match[1] else match.groups()[:2:-1]))
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match.group()
    ordinal = _say(day, language, "ordinal")
    if language == "de" and _DATIVE.search(match.string[: match.start()]):
        ordinal += "n"
    parts = {
        "day": ordinal,
        "number": _say(day, language),
        "month": words.months.split()[month - 1],
        "year": _say(year, language, "year"),
    }
    return words.date.format(**parts)


def _clock(match: re.Match[str], words: _Words, language: str) -> str:
    hour, minute = int(match[1]), int(match[2])
    form = words.clock if minute else words.full_hour
    oh = "oh " if language == "en" and 0 < minute < 10 else ""
    return form.format(hour=_count(hour, language), minute=oh + _say(minute, language))


def _money(match: re.Match[str], words: _Words, language: str) -> str:
    name = words.money[match["sign"] or match["mark"]]
    value = number_value(match["after"] or match["before"], language)
    whole, _, fraction = value.partition(".")
    if not whole.isdecimal() or len(fraction) > 2:
        return match.group()
    said = f"{_count(int(whole), language)} {name[0] if whole == '1' else name[1]}"
    return f"{said} {_say(int(fraction.ljust(2, '0')), language)}" if fraction else said


def _letter_by_letter(text: str) -> str:
    return " ".join(character for character in text if character.isalnum())
