"""What goes into the slots of grammar.txt: names, dates, amounts, numbers, addresses, spelled letters, things.

Every filling has two forms in each language: `written`, as a translator gets it from a large recogniser
("23,50 Euro", "48213"), and `spoken`, as it is said and as the starter recogniser writes it down
("dreiundzwanzig Euro fünfzig", "vier acht zwei eins drei").
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from num2words import num2words

LANGUAGES = ("de", "en", "es", "fr")


@dataclass(frozen=True, slots=True)
class Filling:
    """What one slot says in one language."""

    written: str
    spoken: str


Fillings = dict[str, Filling]
"""By language."""

_WORDS = Path(__file__).parent / "data" / "words.txt"


def _read_words() -> dict[str, list[str]]:
    """The sections of words.txt: entries divided by commas or lines."""
    words: dict[str, list[str]] = {}
    section: list[str] = []
    for line in _WORDS.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = words.setdefault(line.strip("[]"), [])
        elif not line.startswith("#"):
            section += [entry.strip() for entry in line.split(",") if entry.strip()]
    return words


_READ = _read_words()
LAST_NAMES, FIRST_NAMES, STREETS = _READ["last_names"], _READ["first_names"], _READ["streets"]
CITIES, WEEKDAYS, MONTHS, THINGS = (
    [tuple(entry.split("/")) for entry in _READ[name]] for name in ("cities", "weekdays", "months", "things")
)

_DE_ENDINGS = {"nom": {"m": "", "f": "e", "n": ""}, "acc": {"m": "en", "f": "e", "n": ""},
               "dat": {"m": "em", "f": "er", "n": "em"}, "gen": {"m": "es", "f": "er", "n": "es"}}  # fmt: skip
_VOWELS = "aeiouhéèâôy"


def number_words(value: int, language: str) -> str:
    """`number_words(23, "de") == "dreiundzwanzig"`."""
    return str(num2words(value, lang=language)).replace("-", " " if language == "en" else "-").replace(" and ", " ")


def digits(rng: random.Random) -> Fillings:
    """A number that is said digit by digit."""
    number = "".join(rng.choice("0123456789") for _ in range(rng.choice((3, 4, 4, 5, 5, 6, 6, 8))))
    return {one: Filling(number, " ".join(number_words(int(digit), one) for digit in number)) for one in LANGUAGES}


def amount(rng: random.Random) -> Fillings:
    """Money: euros, or dollars and pounds at times."""
    whole, cents = rng.randrange(2, 990), rng.choice((0, 0, 50, 99, 95, rng.randrange(1, 99)))
    de, en, es, fr = rng.choice(
        (("Euro", "euros", "euros", "euros"),) * 3 + (("Dollar", "dollars", "dólares", "dollars"),)
    )
    made = {}
    for language, unit in zip(LANGUAGES, (de, en, es, fr), strict=True):
        mark = "." if language == "en" else ","
        spoken = f"{number_words(whole, language)} {unit}"
        if cents:
            link = {"de": " ", "en": " ", "es": " con ", "fr": " "}[language]
            spoken += link + number_words(cents, language)
        made[language] = Filling(f"{whole}{mark}{cents:02d} {unit}" if cents else f"{whole} {unit}", spoken)
    return made


def date(rng: random.Random) -> Fillings:
    """A day of a month."""
    day, month = rng.randrange(1, 29), rng.choice(MONTHS)
    ordinal_de = number_words(day, "de") if day not in (1, 3, 7, 8) else {1: "ers", 3: "drit", 7: "sieb", 8: "ach"}[day]
    ending = "ten" if day < 20 else "sten"
    ordinal_en = str(num2words(day, lang="en", to="ordinal")).replace("-", " ")
    first_fr = "premier" if day == 1 else number_words(day, "fr")
    return {
        "de": Filling(f"{day}. {month[0]}", f"{ordinal_de}{ending} {month[0]}"),
        "en": Filling(f"{month[1]} {day}", f"{month[1]} {ordinal_en}"),
        "es": Filling(f"{day} de {month[2]}", f"{number_words(day, 'es')} de {month[2]}"),
        "fr": Filling(f"{'1er' if day == 1 else day} {month[3]}", f"{first_fr} {month[3]}"),
    }


def clock(rng: random.Random) -> Fillings:
    """A time of the day."""
    hour, minute = rng.randrange(7, 21), rng.choice((0, 0, 15, 30, 45))
    twelve, half = (hour - 1) % 12 + 1, "a.m." if hour < 12 else "p.m."
    said_half = "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "in the evening"
    tail = f" {minute}" if minute else ""
    words = {one: f" {number_words(minute, one)}" if minute else "" for one in LANGUAGES}
    hour_de, hour_es = number_words(hour, "de"), number_words(twelve, "es") if twelve > 1 else "una"
    article, minutes_es = ("la", "las")[twelve > 1], f" y{words['es']}" if minute else ""
    digits_12 = f"{twelve}:{minute}" if minute else f"{twelve}"
    return {
        "de": Filling(f"{hour} Uhr{tail}", f"{hour_de} Uhr{words['de']}"),
        "en": Filling(f"{digits_12} {half}", f"{number_words(twelve, 'en')}{words['en']} {said_half}"),
        "es": Filling(f"{article} {digits_12}", f"{article} {hour_es}{minutes_es}"),
        "fr": Filling(f"{hour} h{tail}", f"{number_words(hour, 'fr')} heures{words['fr']}"),
    }


def count(rng: random.Random) -> Fillings:
    """A small number of something."""
    value = rng.randrange(2, 31)
    return {one: Filling(str(value), number_words(value, one)) for one in LANGUAGES}


def address(rng: random.Random) -> Fillings:
    """A street, which stays as it is in every language, and a house number."""
    street, house = rng.choice(STREETS), rng.randrange(1, 120)
    return {one: Filling(f"{street} {house}", f"{street} {number_words(house, one)}") for one in LANGUAGES}


def spelled(rng: random.Random, word: str = "") -> Fillings:
    """Letters, one by one: of a name, or a few of any kind."""
    letters = (word or "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randrange(2, 5)))).upper()
    plain = letters.replace("Ä", "AE").replace("Ö", "OE").replace("Ü", "UE").replace("ß", "SS")
    return {one: Filling("-".join(plain), " ".join(plain)) for one in LANGUAGES}


def email(rng: random.Random) -> Fillings:
    """first.last@provider."""
    first, last = rng.choice(FIRST_NAMES).lower(), rng.choice([name for name in LAST_NAMES if name.isascii()]).lower()
    host, top = rng.choice(("firma", "mail", "post", "web", "kontakt", "office")), rng.choice(("de", "com", "net"))
    at = {"de": "at", "en": "at", "es": "arroba", "fr": "arobase"}
    dot = {"de": "Punkt", "en": "dot", "es": "punto", "fr": "point"}
    return {
        one: Filling(f"{first}.{last}@{host}.{top}", f"{first} {dot[one]} {last} {at[one]} {host} {dot[one]} {top}")
        for one in LANGUAGES
    }


def plain(*forms: str) -> Fillings:
    """The same written and spoken; one form for all languages, or one for each."""
    each = forms if len(forms) == len(LANGUAGES) else forms * len(LANGUAGES)
    return {one: Filling(form, form) for one, form in zip(LANGUAGES, each, strict=True)}


def thing(rng: random.Random, other_than: str = "") -> dict[str, Fillings]:
    """A thing of the call, with "my", "your" and "a" before it: {"my": …, "my.acc": …, "your.dat": …, "a.acc": …}."""
    de, en, es, fr = rng.choice([one for one in THINGS if one[0] != other_than])
    de_noun, gender = de.rsplit(" ", 1)
    es_noun, es_gender = es.rsplit(" ", 1)
    fr_noun, fr_gender = fr.rsplit(" ", 1)
    fr_a = ("un " if fr_gender == "m" else "une ") + fr_noun
    fr_masculine = fr_gender == "m" or fr_noun[0] in _VOWELS
    made = {}
    for owner, stem, en_word, es_word, fr_words in (
        ("my", "mein", "my", "mi", ("mon", "ma")), ("your", "Ihr", "your", "su", ("votre", "votre")),
    ):  # fmt: skip
        for case, endings in _DE_ENDINGS.items():
            noun = f"{de_noun}s" if case == "gen" and gender != "f" else de_noun
            fr_form = f"{fr_words[0] if fr_masculine else fr_words[1]} {fr_noun}"
            forms = (f"{stem}{endings[gender]} {noun}", f"{en_word} {en}", f"{es_word} {es_noun}", fr_form)
            made[owner if case == "nom" else f"{owner}.{case}"] = plain(*forms)
    article = "an" if en[0] in "aeiou" else "a"
    es_a = ("un " if es_gender == "m" else "una ") + es_noun
    for case in ("", ".acc"):
        ending = _DE_ENDINGS["acc" if case else "nom"][gender]
        made[f"a{case}"] = plain(f"ein{ending} {de_noun}", f"{article} {en}", es_a, fr_a)
    return made


def fillings(rng: random.Random) -> dict[str, Fillings]:
    """One choice for every slot."""
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    made = {
        "full": plain(f"{first} {last}"), "first": plain(first), "last": plain(last),
        "number": digits(rng), "amount": amount(rng), "amount2": amount(rng), "weekday": plain(*rng.choice(WEEKDAYS)),
        "date": date(rng), "time": clock(rng), "count": count(rng), "address": address(rng), "email": email(rng),
        "city": plain(*rng.choice(CITIES)), "city2": plain(*rng.choice(CITIES)),
        "spelled": spelled(rng, last if rng.random() < 0.6 else ""),
    }  # fmt: skip
    made |= thing(rng)
    made |= {name.replace("a", "a2", 1): value for name, value in thing(rng).items() if name.startswith("a")}
    return made
