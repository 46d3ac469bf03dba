"""What Whisper says when nobody spoke: subtitles' last lines, learnt by heart. The last guard, never the first."""

from __future__ import annotations

import re

_ALWAYS = {
    "en": ["thanks for watching", "thank you for watching", "thank you so much for watching", "please subscribe",
           "like and subscribe", "subscribe to my channel", "subtitles by the amara org community",
           "see you in the next video", "transcription by castingwords"],
    "de": ["untertitel der amara org community", "untertitel im auftrag des zdf für funk 2017",
           "untertitelung im auftrag des zdf 2020", "untertitelung im auftrag des zdf 2021",
           "untertitelung des zdf 2020",
           "vielen dank fürs zuschauen", "danke fürs zuschauen", "vielen dank für ihre aufmerksamkeit",
           "copyright wdr 2020", "copyright wdr 2021", "swr 2020", "swr 2021", "untertitel von stephanie geiges"],
    "fr": ["sous titres réalisés par la communauté d amara org", "sous titres réalisés para la communauté d amara org",
           "sous titrage st 501", "sous titrage société radio canada", "merci d avoir regardé cette vidéo",
           "abonnez vous"],
    "es": ["subtítulos realizados por la comunidad de amara org", "subtítulos por la comunidad de amara org",
           "gracias por ver el video", "gracias por ver el vídeo", "suscríbete al canal"],
    "it": ["sottotitoli creati dalla comunità amara org", "sottotitoli e revisione a cura di qtss",
           "grazie per aver guardato il video", "grazie per la visione"],
    "pt": ["legendas pela comunidade amara org", "obrigado por assistir", "inscreva se no canal"],
    "nl": ["ondertiteld door de amara org gemeenschap", "bedankt voor het kijken",
           "ondertitels ingediend door de amara org gemeenschap"],
}  # fmt: skip
_IF_DOUBTFUL = {
    "en": ["you", "thank you", "bye", "bye bye", "okay", "so"],
    "de": ["vielen dank", "tschüss", "das war s", "bis zum nächsten mal"],
    "fr": ["merci", "au revoir"],
    "es": ["gracias", "adiós"],
    "it": ["grazie", "ciao"],
    "pt": ["obrigado", "tchau"],
    "nl": ["dank u wel", "tot ziens"],
}  # fmt: skip
_EVERYWHERE = frozenset(words for known in _ALWAYS.values() for words in known)
DOUBTFUL_NO_SPEECH_PROB = 0.4
"""People do say "thank you"; with so much of a chance that nobody spoke, they did not."""


def is_invented(text: str, language: str, no_speech_prob: float) -> bool:
    """Whether a whole text is one that recognisers make of silence and noise.

    is_invented("Thanks for watching!", "en", 0.0) and not is_invented("Thank you.", "en", 0.1)
    """
    said = " ".join(re.findall(r"\w+", text.casefold()))
    if said in _EVERYWHERE or "amara org" in said:
        return True
    return no_speech_prob >= DOUBTFUL_NO_SPEECH_PROB and said in _IF_DOUBTFUL.get(language, ())


def goes_in_circles(text: str) -> bool:
    """Whether the same one to four words come six times or more in a row: a decoder that does not find out.

    goes_in_circles("no no no no no no no"), but a number of six equal digits does not.
    """
    words = re.findall(r"\w+", text.casefold())
    for size in range(1, 5):
        run = 1
        for at in range(size, len(words) - size + 1, size):
            run = run + 1 if words[at : at + size] == words[at - size : at] else 1
            if run >= MOST_EQUAL and not all(word in _DIGITS for word in words[at : at + size]):
                return True
    return False


MOST_EQUAL = 6
_DIGITS = frozenset(
    """
    0 1 2 3 4 5 6 7 8 9 null eins zwei drei vier fünf sechs sieben acht neun
    zero oh one two three four five six seven eight nine
    cero uno dos tres cuatro cinco seis siete ocho nueve zéro un deux trois quatre cinq sept huit neuf
    """.split()  # noqa: SIM905 - a list of forty short strings is harder to read
)
