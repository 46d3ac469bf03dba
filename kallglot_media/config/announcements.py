"""What the server itself says to a caller, in each language. These are the defaults; a mode may write its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from kallglot_media.config.types import Language, Settings

Texts = Mapping[str, str]

FALLBACK_LANGUAGE = "en"
"""Spoken when a language has no text of its own."""

BUSY: Texts = {
    "de": "Der Anschluss ist besetzt. Bitte rufen Sie später noch einmal an.",
    "en": "The line is busy. Please call again later.",
    "es": "La línea está ocupada. Por favor, llame más tarde.",
    "fr": "La ligne est occupée. Veuillez rappeler plus tard.",
}
NO_ANSWER: Texts = {
    "de": "Im Moment nimmt niemand ab. Bitte rufen Sie später noch einmal an.",
    "en": "Nobody is answering at the moment. Please call again later.",
    "es": "En este momento nadie contesta. Por favor, llame más tarde.",
    "fr": "Personne ne répond pour le moment. Veuillez rappeler plus tard.",
}
UNAVAILABLE: Texts = {
    "de": "Der Anschluss ist zur Zeit nicht erreichbar. Bitte rufen Sie später noch einmal an.",
    "en": "The line cannot be reached at the moment. Please call again later.",
    "es": "No se puede establecer la llamada en este momento. Por favor, llame más tarde.",
    "fr": "La ligne n'est pas joignable pour le moment. Veuillez rappeler plus tard.",
}
ENGINE_LOST: Texts = {
    "de": "Die Übersetzung ist gestört. Sie hören jetzt die Originalstimme.",
    "en": "The translation is not working. You now hear the original voice.",
    "es": "La traducción no funciona. Ahora oye la voz original.",
    "fr": "La traduction est en panne. Vous entendez maintenant la voix originale.",
}
ENGINE_BACK: Texts = {
    "de": "Die Übersetzung geht wieder.",
    "en": "The translation is working again.",
    "es": "La traducción funciona de nuevo.",
    "fr": "La traduction fonctionne à nouveau.",
}
TIME_UP: Texts = {
    "de": "Die längste Gesprächsdauer ist erreicht. Das Gespräch wird jetzt beendet.",
    "en": "The longest time for a call has been reached. The call ends now.",
    "es": "Se ha alcanzado la duración máxima de la llamada. La llamada termina ahora.",
    "fr": "La durée maximale de l'appel est atteinte. L'appel se termine maintenant.",
}
INTERPRETER: Texts = {
    "de": "Sagen Sie etwas. Sie hören es dann in der anderen Sprache.",
    "en": "Say something. You will then hear it in the other language.",
    "es": "Diga algo. Después lo oirá en el otro idioma.",
    "fr": "Dites quelque chose. Vous l'entendrez ensuite dans l'autre langue.",
}
STARTER_ONLY: Texts = {
    "de": "Hier sind nur Startmodelle installiert. Sie verstehen künstliche Stimmen und noch keine Menschen.",
    "en": "Only starter models are installed here. They understand made voices, and no people yet.",
    "es": "Aquí solo hay modelos de inicio. Entienden voces artificiales y todavía no a las personas.",
    "fr": "Seuls des modèles de départ sont installés ici. Ils comprennent les voix artificielles, non les gens.",
}

DEFAULT_TEXTS: Mapping[str, Texts] = {
    "welcome": {},
    "busy": BUSY,
    "no_answer": NO_ANSWER,
    "unavailable": UNAVAILABLE,
    "engine_lost": ENGINE_LOST,
    "engine_back": ENGINE_BACK,
    "time_up": TIME_UP,
    "interpreter": INTERPRETER,
    "starter_only": STARTER_ONLY,
}

SpokenTexts = Annotated[dict[Language, Annotated[str, Field(max_length=1000)]], Field(examples=[{"de": "Guten Tag."}])]


class Announcements(Settings):
    """What the server says, by language. A language left out keeps its default; "" says nothing."""

    welcome: SpokenTexts = Field(default_factory=dict)
    """To the customer, when the server answers at once. Nothing by default."""

    busy: SpokenTexts = Field(default_factory=dict)
    """To the customer: the agent is busy."""

    no_answer: SpokenTexts = Field(default_factory=dict)
    """To the customer: the agent did not answer in time."""

    unavailable: SpokenTexts = Field(default_factory=dict)
    """To the customer: the agent cannot be reached."""

    engine_lost: SpokenTexts = Field(default_factory=dict)
    """To both, each in their language: an engine failed, the original voice is let through."""

    engine_back: SpokenTexts = Field(default_factory=dict)
    """To both: the engine is back."""

    time_up: SpokenTexts = Field(default_factory=dict)
    """To both: limits.max_call_s is over."""

    interpreter: SpokenTexts = Field(default_factory=dict)
    """By the service `interpreter`, at the start."""

    starter_only: SpokenTexts = Field(default_factory=dict)
    """By the service `interpreter`, when it has only starter models."""

    def text(self, name: str, language: str) -> str:
        """What to say: the file's own text, else the default, else the English one; "" for nothing.

        announcements.text("busy", "de") -> "Der Anschluss ist besetzt. …"
        """
        own: Texts = getattr(self, name)
        default = DEFAULT_TEXTS[name]
        for texts, spoken in ((own, language), (default, language), (own, FALLBACK_LANGUAGE)):
            if spoken in texts:
                return texts[spoken]
        return default.get(FALLBACK_LANGUAGE, "")
