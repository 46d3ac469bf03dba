"""The languages a recogniser of the Whisper family knows: ISO 639-1 code -> name."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES: Mapping[str, str] = {
    "af": "afrikaans", "am": "amharic", "ar": "arabic", "as": "assamese", "az": "azerbaijani", "ba": "bashkir",
    "be": "belarusian", "bg": "bulgarian", "bn": "bengali", "bo": "tibetan", "br": "breton", "bs": "bosnian",
    "ca": "catalan", "cs": "czech", "cy": "welsh", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish", "fo": "faroese",
    "fr": "french", "gl": "galician", "gu": "gujarati", "ha": "hausa", "he": "hebrew", "hi": "hindi",
    "hr": "croatian", "ht": "haitian creole", "hu": "hungarian", "hy": "armenian", "id": "indonesian",
    "is": "icelandic", "it": "italian", "ja": "japanese", "ka": "georgian", "kk": "kazakh", "km": "khmer",
    "kn": "kannada", "ko": "korean", "la": "latin", "lb": "luxembourgish", "ln": "lingala", "lo": "lao",
    "lt": "lithuanian", "lv": "latvian", "mg": "malagasy", "mi": "maori", "mk": "macedonian", "ml": "malayalam",
    "mn": "mongolian", "mr": "marathi", "ms": "malay", "mt": "maltese", "my": "burmese", "ne": "nepali",
    "nl": "dutch", "nn": "nynorsk", "no": "norwegian", "oc": "occitan", "pa": "punjabi", "pl": "polish",
    "ps": "pashto", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sa": "sanskrit", "sd": "sindhi",
    "si": "sinhala", "sk": "slovak", "sl": "slovenian", "sn": "shona", "so": "somali", "sq": "albanian",
    "sr": "serbian", "su": "sundanese", "sv": "swedish", "sw": "swahili", "ta": "tamil", "te": "telugu",
    "tg": "tajik", "th": "thai", "tk": "turkmen", "tl": "tagalog", "tr": "turkish", "tt": "tatar",
    "uk": "ukrainian", "ur": "urdu", "uz": "uzbek", "vi": "vietnamese", "yi": "yiddish", "yo": "yoruba",
    "zh": "chinese",
}  # fmt: skip

_BY_NAME = {name: code for code, name in LANGUAGES.items()} | {
    "deutsch": "de", "englisch": "en", "französisch": "fr", "spanisch": "es", "ger": "de", "deu": "de", "eng": "en",
    "fra": "fr", "fre": "fr", "spa": "es", "ita": "it", "gr": "el", "jp": "ja", "cz": "cs", "dk": "da", "gb": "en",
    "us": "en", "ua": "uk", "cn": "zh", "se": "sv",
}  # fmt: skip


def guess_language(text: str) -> str | None:
    """The code that was probably meant: "German" -> "de", "de-DE" -> "de", "klingon" -> None."""
    word = text.strip().lower()
    short = word.replace("_", "-").split("-")[0]
    for candidate in (word, short):
        if candidate in LANGUAGES:
            return candidate
        if candidate in _BY_NAME:
            return _BY_NAME[candidate]
    return None
