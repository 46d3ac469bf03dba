"""What a caller wants that needs no knowledge: a human, to hear it again, to end. By patterns, in four languages.

Precise rather than complete: what is not recognised is answered like any question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum


class Intent(StrEnum):
    """See the module."""

    HUMAN = "human"
    REPEAT = "repeat"
    GOODBYE = "goodbye"
    THANKS = "thanks"
    YES = "yes"
    NO = "no"
    GREETING = "greeting"
    BACKCHANNEL = "backchannel"
    UPSET = "upset"


_PEOPLE_DE = (
    r"(mensch(en)?|mitarbeiter(in)?|kollege?n?|kollegin|berater(in)?|person|jemande?[mn]?|operator|zentrale|vermittlung"
    r"|kundenservice|kundendienst|support|rezeption|techniker(in)?|chefin?|vorgesetzten?)"
)
_PEOPLE_EN = (
    r"(human|person|people|agent|representative|operator|someone|somebody|colleague|employee|advisor|manager"
    r"|supervisor|receptionist|technician|customer service|support)"
)
_PEOPLE_ES = r"(persona|humano|agente|operador[a]?|alguien|empleado|compañero|recepción|técnico)"
_PEOPLE_FR = (
    r"(personne|humain|agent|conseiller|conseillère|opérateur|opératrice|quelqu'un|collègue|réception|technicien)"
)

_PATTERNS: Mapping[str, Mapping[Intent, tuple[str, ...]]] = {
    "de": {
        Intent.HUMAN: (
            rf"\b(mit|zu|an) (ein(em|er|en)? )?(echten |richtigen |anderen |ihre[mnr] |de[mnr] )?{_PEOPLE_DE}"
            r".*\b(sprechen|reden|verbinden|verbunden|durchstellen|telefonieren|weiterleiten)",
            rf"\b(verbind\w*|stell\w*|leit\w*) (sie )?(mich|uns)\b.*\b({_PEOPLE_DE}|durch|weiter)",
            r"\b(mich|uns)( bitte)?( \w+){0,3} (verbinden|durchstellen|weiterleiten|weiterverbinden)$",
            r"\b(mit|zu) (herrn?|frau) \w+.*\b(sprechen|reden|verbinden|verbunden)",
            rf"\b(gib|geben|hol|holen|brauche?|möchte|will) (sie )?(mir |ich )?(bitte )?(ein(en|e|em|er)? )?"
            rf"(echten |richtigen )?{_PEOPLE_DE}\b(?! (\w+ )*(bestell|kauf))",
            r"\bkein(e[mnrs]?)? (roboter|maschine|computer|automat\w*|ki)\b",
            rf"^{_PEOPLE_DE}( bitte)?$",
        ),
        Intent.REPEAT: (
            r"\b(wiederhol\w*|noch (ein)?mal( (bitte|sagen|hören|langsam\w*|von vorne?))*$)",
            r"\b(nicht|schlecht|kaum) (verstanden|gehört|mitbekommen)",
            r"^(wie )?bitte$|^was$|^hä$|^wie war das|^was haben sie gesagt",
            r"\blangsamer (sprechen|reden)",
        ),
        Intent.GOODBYE: (
            r"\bauf wieder(hören|sehen|schauen)|^(ok |okay |gut |danke |vielen dank |super )*(tschüss?|tschau|ciao|bye)\b",
            r"\b(das war|das wär\w*|wäre?) (dann |schon )?(alles|es)\b|\bmehr (brauche|möchte) ich nicht",
            r"\b(schönen|schöne[ns]?) (tag|abend|woche\w*|wochenende)( noch)?$",
            r"\bsonst (habe ich )?(keine fragen|nichts)( mehr)?$",
        ),
        Intent.THANKS: (r"^(ok |okay |gut |super |ja |alles klar )*(vielen |herzlichen |besten |schönen )?(dank|danke)\b.{0,24}$",),
        Intent.YES: (r"^(ja|jawohl|jo|jep|gerne?|genau|richtig|stimmt|bitte|in ordnung|einverstanden|natürlich|klar|sicher)"
                     r"( (ja|bitte|gerne?|genau|das wäre (gut|nett|schön|perfekt|großartig)|machen sie das|verbinden sie mich))*$",),
        Intent.NO: (r"^(nein|nee?|nö|lieber nicht|nicht nötig|auf keinen fall)( (nein|danke|schon gut|das ist nicht nötig))*$",),
        Intent.GREETING: (r"^(hallo|guten? (tag|morgen|abend)|grüß gott|moin|servus|hi|hey)( zusammen)?$",),
        Intent.BACKCHANNEL: (r"^((m+h+m*|h+m+|aha|ah|ach so|ok(ay)?|ja|mh|äh+m*|öh+m*|genau|gut|verstehe|alles klar|so so)\s*)+$",),
        Intent.UPSET: (
            r"\b(unverschämt\w*|frechheit|unmöglich von ihnen|katastrophe|sauerei|idiot\w*|verarsch\w*|scheiße?|anwalt"
            r"|reicht mir|stinksauer|wütend|mich (offiziell )?(beschwer\w*))\b|\bbeschwere mich\b|\bich will mich beschweren\b",
        ),
    },
    "en": {
        Intent.HUMAN: (
            rf"\b(speak|talk|chat) (to|with) (an? |the |your |another )?(real |live |actual |different )?{_PEOPLE_EN}\b",
            r"\b(speak|talk) (to|with) (mr|mrs|ms|miss|dr)\b",
            rf"\b(put|get|connect|transfer|pass|patch) me\b.*\b({_PEOPLE_EN}|through|over)\b",
            r"\b(get|give|want|need|like|find) (me )?(an? |the )?(real |live |actual )?"
            r"(human|person|agent|representative|operator|supervisor|receptionist)\b",
            r"\b(not|no) (a |more )?(robots?|machines?|bots?|computers?|ai)\b",
            rf"^(a |an )?(real |live )?{_PEOPLE_EN}( please)?$",
        ),
        Intent.REPEAT: (
            r"\b(repeat|say) (that|it|this|what you said)( again| for me| once more)?( please)?$",
            r"\b(repeat (that|it)|say (that|it) again|one more time|once more|come again)\b",
            r"\b(did not|didn't|couldn't|could not|can't|cannot|don't) (quite )?(understand|hear|catch)( you| that| it| what)?",
            r"^(pardon|sorry|what|excuse me|huh)( what)?$|\bspeak (a little |a bit )?(more slowly|slower)",
        ),
        Intent.GOODBYE: (
            r"\b(good ?bye|bye)\b",
            r"\b(that('s| is| was| will be| would be)) (all|it|everything)\b|\bi('m| am) all set\b|\bnothing else\b",
            r"\bhave a (nice|good|great) (day|evening|night|week|weekend|one)$",
        ),
        Intent.THANKS: (r"^(ok |okay |great |super |yes |all right |alright )*(thank you|thanks|cheers)\b.{0,24}$",),
        Intent.YES: (r"^(yes|yeah|yep|sure|of course|please|please do|go ahead|ok(ay)? do that|right|exactly|correct)"
                     r"( (please|yes|exactly|that would be (great|nice|perfect)|that'd be (great|perfect)|do that))*$",),
        Intent.NO: (r"^(no|nope|nah|not really|no need|better not)( (no|thanks|thank you|that's fine))*$",),
        Intent.GREETING: (r"^(hello|hi|hey|good (morning|afternoon|evening|day))( there)?$",),
        Intent.BACKCHANNEL: (r"^((m+h+m*|h+m+|uh[ -]?huh|aha|ah|oh|ok(ay)?|yeah|yes|right|i see|sure|got it|um+|uh+|er+m*)\s*)+$",),
        Intent.UPSET: (
            r"\b(outrageous|ridiculous|unacceptable|disgrace(ful)?|idiots?|bullshit|fuck\w*|lawyer|furious|fed up"
            r"|make a complaint|file a complaint|complain about)\b",
        ),
    },
    "es": {
        Intent.HUMAN: (
            rf"\b(hablar|comunicar\w*) con (un[ao]? |el |la )?{_PEOPLE_ES}", rf"\b(páse|pása|conécte|pónga)me\b.*\b{_PEOPLE_ES}",
            r"\b(quiero|necesito) (un[ao]? )?(persona|humano|agente|operador)", rf"^{_PEOPLE_ES}( por favor)?$",
            r"\bhablar con (el |la )?(señor|señora)\b",
        ),
        Intent.REPEAT: (r"\b(repet\w*|repít\w*|otra vez|de nuevo)\b", r"\bno (le |te )?(he )?(entendid\w*|entiendo|oído|oigo)",
                        r"^(cómo|perdón|qué)$", r"\bmás despacio\b"),
        Intent.GOODBYE: (r"\b(adiós|hasta luego|hasta pronto|chao)\b", r"\b(eso es todo|nada más|es todo)\b"),
        Intent.THANKS: (r"^(vale |bien |sí )*(muchas )?gracias\b.{0,24}$",),
        Intent.YES: (r"^(sí|claro|por favor|vale|de acuerdo|exacto|correcto)( (sí|por favor|gracias))*$",),
        Intent.NO: (r"^no( (no|gracias))*$",),
        Intent.GREETING: (r"^(hola|buenos días|buenas tardes|buenas noches|buenas)$",),
        Intent.BACKCHANNEL: (r"^((m+h+m*|h+m+|ajá|ah|vale|sí|ya|claro|bien)\s*)+$",),
        Intent.UPSET: (r"\b(vergüenza|inaceptable|indignante|abogado|harto|harta|reclamación|mierda)\b",),
    },
    "fr": {
        Intent.HUMAN: (
            rf"\b(parler|discuter) (à|avec) (une? |l'|le |la |votre )?{_PEOPLE_FR}", r"\b(passez|mettez|transférez)-moi\b.*",
            rf"\b(je veux|je voudrais|il me faut) (une? )?{_PEOPLE_FR}", rf"^(une? )?{_PEOPLE_FR}( s'il vous plaît)?$",
            r"\bparler à (monsieur|madame)\b",
        ),
        Intent.REPEAT: (r"\b(répét\w*|encore une fois|redire)\b", r"\b(pas|mal) (bien )?(compris|entendu)",
                        r"^(pardon|comment|quoi)$", r"\bplus lentement\b"),
        Intent.GOODBYE: (r"\b(au revoir|à bientôt|bonne (journée|soirée))\b", r"\b(c'est tout|ce sera tout|rien d'autre)\b"),
        Intent.THANKS: (r"^(d'accord |bien |oui )*merci\b.{0,24}$",),
        Intent.YES: (r"^(oui|d'accord|volontiers|bien sûr|s'il vous plaît|exactement)( (oui|s'il vous plaît|merci))*$",),
        Intent.NO: (r"^non( (non|merci))*$",),
        Intent.GREETING: (r"^(bonjour|bonsoir|salut|allô)$",),
        Intent.BACKCHANNEL: (r"^((m+h+m*|h+m+|ah|ok|oui|d'accord|bien|je vois|ouais)\s*)+$",),
        Intent.UPSET: (r"\b(inacceptable|honte|scandaleux|avocat|marre|réclamation|merde)\b",),
    },
}  # fmt: skip

_ORDER = (Intent.HUMAN, Intent.REPEAT, Intent.GOODBYE, Intent.YES, Intent.NO, Intent.THANKS, Intent.GREETING,
          Intent.BACKCHANNEL, Intent.UPSET)  # fmt: skip

_COMPILED = {
    language: {intent: tuple(re.compile(one) for one in patterns) for intent, patterns in by_intent.items()}
    for language, by_intent in _PATTERNS.items()
}
_LEAD = {
    "de": re.compile(r"^(guten (tag|morgen|abend)|hallo|also|ähm?|ja|okay?|bitte)\s+(?=\S+ \S+ \S+)"),
    "en": re.compile(r"^(hello|hi|hey|well|um|so|yes|okay?|please)\s+(?=\S+ \S+ \S+)"),
}


def plain(text: str) -> str:
    """Lower case, without punctuation, single spaces: "Ja, bitte!" -> "ja bitte"."""
    return " ".join(re.sub(r"[^\w'’-]+", " ", text.casefold().replace("ß", "ß")).replace("’", "'").split())


def intent_of(text: str, language: str, keywords: Iterable[str] = ()) -> Intent | None:
    """What is wanted, None when it is something to be answered. keywords: words that ask for a human, too.

    intent_of("Ich möchte mit Frau Weber sprechen.", "de") is Intent.HUMAN
    """
    said = plain(text)
    if not said:
        return None
    if any(re.search(rf"\b{re.escape(plain(word))}\b", said) for word in keywords):
        return Intent.HUMAN
    by_intent = _COMPILED.get(language) or _COMPILED["en"]
    lead = _LEAD.get(language)
    ways = {said, lead.sub("", said) if lead else said}
    for intent in _ORDER:
        if any(pattern.search(one) for pattern in by_intent.get(intent, ()) for one in ways):
            return intent
    return None


def is_backchannel(text: str, language: str) -> bool:
    """Whether this only says "I am listening": it interrupts nobody."""
    said = plain(text)
    patterns = (_COMPILED.get(language) or _COMPILED["en"])[Intent.BACKCHANNEL]
    return bool(said) and any(pattern.search(said) for pattern in patterns)
