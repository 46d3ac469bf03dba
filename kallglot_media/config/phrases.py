"""What an AI says by itself, in each language: greetings, excuses, goodbyes. A mode file may write its own."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from kallglot_media.config.announcements import FALLBACK_LANGUAGE, SpokenTexts, Texts
from kallglot_media.config.types import Language, Settings

GREETING: Texts = {
    "de": "Guten Tag. Wie kann ich Ihnen helfen?",
    "en": "Hello. How can I help you?",
    "es": "Buenos días. ¿En qué puedo ayudarle?",
    "fr": "Bonjour. Comment puis-je vous aider ?",
}
NOT_FOUND: Texts = {
    "de": "Dazu habe ich leider nichts gefunden.",
    "en": "I'm afraid I did not find anything about that.",
    "es": "Lo siento, no he encontrado nada sobre eso.",
    "fr": "Je n'ai malheureusement rien trouvé à ce sujet.",
}
OFFER_HUMAN: Texts = {
    "de": "Soll ich Sie mit einem Menschen verbinden?",
    "en": "Shall I put you through to a person?",
    "es": "¿Quiere que le pase con una persona?",
    "fr": "Voulez-vous que je vous passe quelqu'un ?",
}
NOT_UNDERSTOOD: Texts = {
    "de": "Das habe ich leider nicht verstanden. Bitte sagen Sie es noch einmal.",
    "en": "I did not understand that. Please say it again.",
    "es": "No le he entendido. Por favor, repítalo.",
    "fr": "Je n'ai pas compris. Veuillez répéter.",
}
SILENCE: Texts = {
    "de": "Sind Sie noch da?",
    "en": "Are you still there?",
    "es": "¿Sigue ahí?",
    "fr": "Êtes-vous toujours là ?",
}
GOODBYE: Texts = {
    "de": "Auf Wiederhören.",
    "en": "Goodbye.",
    "es": "Adiós.",
    "fr": "Au revoir.",
}
FILLER: Texts = {
    "de": "Einen Moment, bitte.",
    "en": "One moment, please.",
    "es": "Un momento, por favor.",
    "fr": "Un instant, s'il vous plaît.",
}
TROUBLE: Texts = {
    "de": "Es gibt gerade ein technisches Problem.",
    "en": "There is a technical problem at the moment.",
    "es": "En este momento hay un problema técnico.",
    "fr": "Il y a un problème technique en ce moment.",
}
NOTHING_TO_REPEAT: Texts = {
    "de": "Ich habe noch nichts gesagt. Wie kann ich Ihnen helfen?",
    "en": "I have not said anything yet. How can I help you?",
    "es": "Aún no he dicho nada. ¿En qué puedo ayudarle?",
    "fr": "Je n'ai encore rien dit. Comment puis-je vous aider ?",
}
ANYTHING_ELSE: Texts = {
    "de": "Kann ich sonst noch etwas für Sie tun?",
    "en": "Is there anything else I can do for you?",
    "es": "¿Puedo hacer algo más por usted?",
    "fr": "Puis-je faire autre chose pour vous ?",
}
HANDING_OVER: Texts = {
    "de": "Ich verbinde Sie.",
    "en": "I'll put you through.",
    "es": "Le paso con un compañero.",
    "fr": "Je vous mets en relation.",
}
HUMAN_BUSY: Texts = {
    "de": "Leider ist gerade besetzt.",
    "en": "I'm sorry, the line is busy.",
    "es": "Lo siento, la línea está ocupada.",
    "fr": "Désolé, la ligne est occupée.",
}
HUMAN_NO_ANSWER: Texts = {
    "de": "Leider nimmt gerade niemand ab.",
    "en": "I'm sorry, nobody is answering.",
    "es": "Lo siento, nadie contesta.",
    "fr": "Désolé, personne ne répond.",
}
HUMAN_DECLINED: Texts = {
    "de": "Leider kann der Anruf gerade nicht angenommen werden.",
    "en": "I'm sorry, the call cannot be taken at the moment.",
    "es": "Lo siento, ahora no pueden atender la llamada.",
    "fr": "Désolé, l'appel ne peut pas être pris pour le moment.",
}
HUMAN_UNREACHABLE: Texts = {
    "de": "Leider ist gerade niemand zu erreichen.",
    "en": "I'm sorry, nobody can be reached at the moment.",
    "es": "Lo siento, ahora no se puede localizar a nadie.",
    "fr": "Désolé, personne n'est joignable pour le moment.",
}
CLOSED: Texts = {
    "de": "Zu dieser Zeit ist leider niemand da.",
    "en": "I'm sorry, nobody is here at this time.",
    "es": "Lo siento, a esta hora no hay nadie.",
    "fr": "Désolé, personne n'est là à cette heure.",
}
NO_HUMAN: Texts = {
    "de": "Ich kann Sie hier leider nicht verbinden.",
    "en": "I'm sorry, I cannot put you through from here.",
    "es": "Lo siento, desde aquí no puedo pasarle con nadie.",
    "fr": "Désolé, je ne peux pas vous transférer d'ici.",
}
CALLBACK: Texts = {
    "de": "Wenn Sie möchten, sagen Sie mir nach diesem Satz, worum es geht. Wir rufen Sie zurück.",
    "en": "If you like, tell me after this sentence what it is about. We will call you back.",
    "es": "Si lo desea, dígame después de esta frase de qué se trata. Le llamaremos.",
    "fr": "Si vous le souhaitez, dites-moi après cette phrase de quoi il s'agit. Nous vous rappellerons.",
}
CALLBACK_TAKEN: Texts = {
    "de": "Danke. Das ist notiert, wir rufen Sie zurück.",
    "en": "Thank you. That is noted, we will call you back.",
    "es": "Gracias. Está anotado, le llamaremos.",
    "fr": "Merci. C'est noté, nous vous rappellerons.",
}
VOICEMAIL: Texts = {
    "de": "Bitte sprechen Sie nach dem Ton. Wenn Sie fertig sind, legen Sie auf.",
    "en": "Please leave a message after the tone. When you have finished, hang up.",
    "es": "Deje un mensaje después de la señal. Cuando termine, cuelgue.",
    "fr": "Laissez un message après le signal sonore. Quand vous avez fini, raccrochez.",
}
VOICEMAIL_TAKEN: Texts = {
    "de": "Danke. Ihre Nachricht ist gespeichert.",
    "en": "Thank you. Your message has been saved.",
    "es": "Gracias. Su mensaje se ha guardado.",
    "fr": "Merci. Votre message est enregistré.",
}
HUMAN_LEFT: Texts = {
    "de": "Die Verbindung wurde beendet.",
    "en": "The other side has hung up.",
    "es": "La otra persona ha colgado.",
    "fr": "Votre interlocuteur a raccroché.",
}
SUMMARY: Texts = {
    "de": "Anruf von der Auskunft. Es geht um:",
    "en": "A call from the assistant. It is about:",
    "es": "Llamada del asistente. Se trata de:",
    "fr": "Appel de l'assistant. Il s'agit de :",
}
OFF_TOPIC: Texts = {
    "de": "Darüber kann ich hier leider nicht sprechen.",
    "en": "I'm afraid I cannot talk about that here.",
    "es": "Lo siento, aquí no puedo hablar de eso.",
    "fr": "Je ne peux malheureusement pas parler de cela ici.",
}
TIME_UP: Texts = {
    "de": "Die längste Gesprächsdauer ist erreicht. Das Gespräch wird jetzt beendet.",
    "en": "The longest time for a call has been reached. The call ends now.",
    "es": "Se ha alcanzado la duración máxima de la llamada. La llamada termina ahora.",
    "fr": "La durée maximale de l'appel est atteinte. L'appel se termine maintenant.",
}

DEFAULT_PHRASES: Mapping[str, Texts] = {
    "greeting": GREETING,
    "not_found": NOT_FOUND,
    "offer_human": OFFER_HUMAN,
    "not_understood": NOT_UNDERSTOOD,
    "silence": SILENCE,
    "goodbye": GOODBYE,
    "filler": FILLER,
    "trouble": TROUBLE,
    "nothing_to_repeat": NOTHING_TO_REPEAT,
    "anything_else": ANYTHING_ELSE,
    "handing_over": HANDING_OVER,
    "human_busy": HUMAN_BUSY,
    "human_no_answer": HUMAN_NO_ANSWER,
    "human_declined": HUMAN_DECLINED,
    "human_unreachable": HUMAN_UNREACHABLE,
    "human_left": HUMAN_LEFT,
    "closed": CLOSED,
    "no_human": NO_HUMAN,
    "callback": CALLBACK,
    "callback_taken": CALLBACK_TAKEN,
    "voicemail": VOICEMAIL,
    "voicemail_taken": VOICEMAIL_TAKEN,
    "summary": SUMMARY,
    "off_topic": OFF_TOPIC,
    "time_up": TIME_UP,
}


class Phrases(Settings):
    """What the AI says by itself, by language. A language left out keeps its default; "" says nothing."""

    greeting: SpokenTexts = Field(default_factory=dict)
    """When the call is answered. `ai_agent.greeting` is said instead, when it is written."""

    not_found: SpokenTexts = Field(default_factory=dict)
    """The knowledge has no answer to what was asked."""

    offer_human: SpokenTexts = Field(default_factory=dict)
    """After that, when there is a human to hand over to."""

    not_understood: SpokenTexts = Field(default_factory=dict)
    """Nothing was recognised in what the caller said."""

    silence: SpokenTexts = Field(default_factory=dict)
    """The caller says nothing for `turn_taking.silence_s`."""

    goodbye: SpokenTexts = Field(default_factory=dict)
    """Before the AI hangs up."""

    filler: SpokenTexts = Field(default_factory=dict)
    """While a tool or the model takes its time."""

    trouble: SpokenTexts = Field(default_factory=dict)
    """The model cannot be had, and nothing else can answer."""

    nothing_to_repeat: SpokenTexts = Field(default_factory=dict)
    """Asked to repeat when nothing was said yet."""

    anything_else: SpokenTexts = Field(default_factory=dict)
    """After a thank-you."""

    handing_over: SpokenTexts = Field(default_factory=dict)
    """Before a human is called."""

    human_busy: SpokenTexts = Field(default_factory=dict)
    """The human's line is busy."""

    human_no_answer: SpokenTexts = Field(default_factory=dict)
    """The human does not answer."""

    human_declined: SpokenTexts = Field(default_factory=dict)
    """The human turns the call down."""

    human_unreachable: SpokenTexts = Field(default_factory=dict)
    """The human's line, or the trunk, is down."""

    human_left: SpokenTexts = Field(default_factory=dict)
    """The human hung up in the middle of the call."""

    closed: SpokenTexts = Field(default_factory=dict)
    """A human is wanted outside of `handoff.hours`."""

    no_human: SpokenTexts = Field(default_factory=dict)
    """A human is wanted, and there is no handoff here."""

    callback: SpokenTexts = Field(default_factory=dict)
    """Offered when no human could be had; what the caller says then is written down. "" offers nothing."""

    callback_taken: SpokenTexts = Field(default_factory=dict)
    """After that."""

    voicemail: SpokenTexts = Field(default_factory=dict)
    """Before the beep, where `handoff.nobody` is `voicemail`."""

    voicemail_taken: SpokenTexts = Field(default_factory=dict)
    """After a message that did not end by hanging up."""

    summary: SpokenTexts = Field(default_factory=dict)
    """Said to the human before what the caller wants, in the human's language."""

    off_topic: SpokenTexts = Field(default_factory=dict)
    """A topic of `guards.blocked_topics` came up."""

    time_up: SpokenTexts = Field(default_factory=dict)
    """`limits.max_call_s` is over, or `limits.max_turns` is reached."""

    def text(self, name: str, language: str) -> str:
        """What to say: the file's own text, else the default, else the English one; "" for nothing.

        phrases.text("silence", "de") -> "Sind Sie noch da?"
        """
        own: Texts = getattr(self, name)
        default = DEFAULT_PHRASES[name]
        for texts, spoken in ((own, language), (default, language), (own, FALLBACK_LANGUAGE)):
            if spoken in texts:
                return texts[spoken]
        return default.get(FALLBACK_LANGUAGE, "")

    def texts(self, name: str) -> dict[Language, str]:
        """A phrase in every language that it has a text in."""
        return {**DEFAULT_PHRASES[name], **getattr(self, name)}
