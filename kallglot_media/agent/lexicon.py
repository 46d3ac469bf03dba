"""Words without meaning of their own, and words that customers use for one another. Data for answers from documents."""

from __future__ import annotations

from collections.abc import Mapping


def words(text: str) -> frozenset[str]:
    """ "and or" -> {"and", "or"}: long lists of short words are easier to read that way."""
    return frozenset(text.split())


STOPWORDS: Mapping[str, frozenset[str]] = {
    "de": words(
        "aber alle allem allen aller alles als also am an andere auch auf aus bei beim bin bis bitte bist da "
        "dabei damit dann darf das dass dein dem den denn der des dich die dies diese diesem diesen dieser "
        "dieses doch dort du durch ein eine einem einen einer eines er es etwas euch euer eure für gegen "
        "gehabt gerne gibt ging habe haben hat hatte hätte hier hin ich ihm ihn ihnen ihr ihre ihrem ihren "
        "ihrer im in ins irgend ist ja jede jedem jeden jeder jedes jetzt kann kannst können könnte könnten "
        "lassen machen mal man mein meine meinem meinen meiner mich mir mit möchte möchten muss müssen nach "
        "nicht noch nun nur ob oder ohne per schon sehr sein seine seit sich sie sind so soll sollte sondern "
        "sonst über um und uns unser unsere unter vom von vor wann war warum was weil welche welchem welchen "
        "welcher welches wenn wer werde werden wie wieder will wir wird wo woher wohin wollen wollte würde "
        "würden wurde zu zum zur zwar eigentlich denn eben halt wohl gerade bekomme bekommen kriege kriegen "
        "mache macht geht gehen tun tue funktioniert wissen sagen frage fragen hallo guten tag danke viel "
        "viele wieviel lange oft hoch genau überhaupt einfach mehr brauche brauchen bieten finde finden "
        "nehmen selbst möglich dürfen wäre euch hab sieht aussieht"
    ),
    "en": words(
        "a about all also am an and any are as at be been before being but by can could did do does doing "
        "don't for from get had has have having he her here him his how i i'd i'll i'm i've if in into is it "
        "it's its just like many may me might more most much must my no nor not of off on once only or other "
        "our out over own please she should so some such than that that's the their them then there there's "
        "these they this those through to too under until up us very was we were what what's when where "
        "where's which while who who's why will with would you your yours there tell know need want wondering "
        "question ask possible hello hi thanks thank long often far exactly ok okay got give find make take "
        "use let able after again same something anything someone anyone going go offer offered happen "
        "happens work works yes well really still ever kind sort"
    ),
    "es": words(
        "a al algo ante como con cuando cuál cuáles de del desde donde dónde el ella ellos en es esta este "
        "esto hay la las le lo los me mi mis muy no nos o para pero por porque puedo puede que qué quien se "
        "ser si sí sin sobre son su sus te tengo tiene tu un una uno y ya yo cómo cuánto cuándo"
    ),
    "fr": words(
        "à au aux avec ce ces cette comment combien dans de des du elle en est et eux il ils je la le les "
        "leur lui ma mais me mes moi mon ne nos notre nous on ou où par pas pour puis-je peut quand que quel "
        "quelle quels qui quoi sa se ses son sont sur ta te tu un une vos votre vous y a ai avez"
    ),
}

SYNONYMS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "de": (
        (
            "lieferung",
            "liefern",
            "lieferzeit",
            "geliefert",
            "versand",
            "versenden",
            "verschicken",
            "zustellung",
            "zusenden",
            "schicken",
        ),
        ("paket", "sendung", "päckchen"),
        ("rückgabe", "zurückgeben", "zurückschicken", "zurücksenden", "rücksendung", "retoure", "retournieren"),
        ("umtausch", "umtauschen", "tauschen"),
        ("erstattung", "rückerstattung", "erstatten", "erstattet"),
        ("kosten", "kostet", "preis", "teuer", "gebühr", "kostenlos", "gratis", "umsonst"),
        ("öffnungszeiten", "geöffnet", "offen", "öffnet", "schließt", "geschlossen", "aufhat", "auf"),
        ("zahlen", "bezahlen", "zahlung", "zahlungsart", "bezahlung", "zahlungsmethode"),
        ("stornieren", "storno", "stornierung", "absagen"),
        ("kündigen", "kündigung", "kündigungsfrist"),
        ("passwort", "kennwort", "zugangsdaten"),
        ("parken", "parkplatz", "tiefgarage", "garage", "stellplatz", "parkplätze"),
        ("wlan", "wifi", "drahtlos"),
        ("hund", "haustier", "tier", "hunde", "haustiere", "katze"),
        ("telefonisch", "anrufen", "hotline", "telefonnummer"),
        ("kaputt", "defekt", "beschädigt"),
        ("rechnung", "quittung", "beleg"),
        ("ändern", "änderung", "umbuchen", "verschieben", "wechseln"),
        ("kind", "kinder", "baby", "kleinkind"),
        ("gutschein", "rabattcode", "gutscheincode", "rabatt"),
        ("gepäck", "koffer", "tasche"),
        ("ausland", "österreich", "schweiz", "international", "europa"),
        ("verfolgen", "sendungsverfolgung", "sendungsnummer", "trackingnummer"),
        ("störung", "ausfall", "ausgefallen"),
        ("umzug", "umziehen", "umziehe", "neue wohnung"),
        ("vertrag", "tarif"),
        ("garantie", "gewährleistung"),
    ),
    "en": (
        ("delivery", "deliver", "shipping", "ship", "shipment", "dispatch"),
        ("package", "parcel"),
        ("return", "returning", "send back", "returns"),
        ("exchange", "swap"),
        ("refund", "reimburse", "refunded", "money back"),
        ("cost", "price", "fee", "charge", "expensive", "pay for", "free", "cheap"),
        ("open", "opening", "hours", "closed", "close", "closing"),
        ("pay", "payment", "paying"),
        ("cancel", "cancellation", "cancelling", "call off"),
        ("password", "login", "credentials"),
        ("park", "parking", "garage", "car park"),
        ("wifi", "wi-fi", "wireless", "wlan"),
        ("dog", "pet", "pets", "dogs", "cat", "animal"),
        ("phone", "call", "telephone", "hotline"),
        ("broken", "defective", "damaged", "faulty"),
        ("invoice", "receipt", "bill"),
        ("change", "modify", "reschedule", "rebook", "move"),
        ("child", "children", "kid", "kids", "baby", "infant", "cot", "crib"),
        ("luggage", "baggage", "suitcase", "bag", "bags"),
        ("track", "tracking"),
        ("gym", "fitness", "workout"),
        ("pool", "swim", "swimming"),
        ("check-in", "checkin", "arrive", "arrival"),
        ("check-out", "checkout", "leave", "departure"),
        ("shuttle", "airport", "transfer"),
        ("warranty", "guarantee"),
        ("breakfast", "buffet"),
        ("smoke", "smoking", "cigarette"),
        ("outage", "down", "disruption"),
    ),
    "es": (),
    "fr": (),
}

SPELLINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "de": (
        (r"\bw-lan\b|\bwi-?fi\b", "wlan"),
        (r"\be-?mails?\b", "email"),
        (r"\b(ziehen?|zieht|umgezogen|umziehen?)\b(?=.*\bum\b)|\bumziehen?\b|\bumgezogen\b", "umzug"),
        (r"\b(rufe?n?|anrufe?n?)\b(?=.*\ban\b)", "anrufen"),
    ),
    "en": (
        (r"\bcheck[- ]?(ing )?(in|out)\b", r"check\2"),
        (r"\bwi-fi\b|\bwireless\b", "wifi"),
        (r"\be-mails?\b", "email"),
        (r"\bset(ting)? ?up\b", "setup"),
    ),
    "es": (),
    "fr": (),
}
"""Ways to write what is one word here: pattern -> word."""

ASKING: Mapping[str, frozenset[str]] = {
    "time": frozenset({"time", "uhr", "uhrzeit", "clock"}),
    "duration": frozenset({"dauert", "dauern", "dauer", "time", "takes", "tage", "days"}),
    "number": frozenset({"anzahl", "number"}),
}
"""Words that only say which kind of question it is."""

ASKS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "de": (
        (r"\b(was|wie ?viel) (kostet|kosten)\b|\bwie (teuer|hoch)\b|\bpreis\b|\bgebühr", "money"),
        (r"\b(wann|ab wann|bis wann|um wie ?viel uhr|öffnungszeiten)\b", "time"),
        (r"\bwie (lange|schnell)\b|\bdauer", "duration"),
        (r"\b(wo|wohin|welche adresse)\b", "place"),
        (r"\bwie ?viele?\b", "number"),
    ),
    "en": (
        (r"\bhow much\b|\b(price|cost|fee|charge)", "money"),
        (r"\b(when|what time|which days|opening hours|until when)\b", "time"),
        (r"\bhow (long|fast|quickly|soon)\b", "duration"),
        (r"\b(where|what address|which floor)\b", "place"),
        (r"\bhow many\b", "number"),
    ),
    "es": (),
    "fr": (),
}
"""What a question wants to hear: pattern -> kind."""

TELLS: Mapping[str, str] = {
    "money": r"\d+([.,]\d+)?\s*(€|euro|eur|\$|dollars?|cents?|pounds?|£|%|prozent|percent)"
    r"|[€$£]\s*\d|\b(kostenlos|gratis|kostenfrei|free|no charge|inklusive|included)\b",
    "time": r"\d{1,2}([:.]\d\d)?\s*(uhr|am|pm|a\.m|p\.m|o'clock)|\d{1,2}:\d\d|\b(mon|tues|wednes|thurs|fri|satur|sun)day|\b(mon|diens"
    r"|mittwoch|donners|frei|sams|sonn)tags?\b|\b(tage?n?|days?|weeks?|wochen?|monate?n?|months?|hours?|stunden?)\b|\b(24|noon|midnight)\b",
    "duration": r"\b(\d+|ein|eine|einen|one|two|three|zwei|drei|vier|fünf)\b.{0,20}\b(tage?n?|werktage?n?|days?|weeks?|wochen?|monate?n?"
    r"|months?|hours?|stunden?|minuten?|minutes?|years?|jahre?n?)\b",
    "place": r"\b(in|im|an|am|auf|unter|neben|on|at|next to|floor|street|straße|etage|stock|erdgeschoss|lobby|portal|konto|adresse)\b",
    "number": r"\b(\d+|ein|eine|zwei|drei|vier|fünf|sechs|one|two|three|four|five|six)\b",
}
"""What an answer of that kind has in it."""
