"""How a recogniser is used, when its words are not believed (its own rules, from kallglot.json), and its languages."""

from __future__ import annotations

from dataclasses import dataclass

from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.models import Model, read_json
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ

SWITCH_PROB = 0.85
SWITCH_S = 0.8
"""Somebody who has spoken one language so far is only believed to speak another with this much to go by."""


@dataclass(frozen=True, slots=True)
class Guards:
    """How a model is used, and when it is not believed. From kallglot.json beside the weights, else OpenAI's values.

    languages              what the model knows; empty: all of Whisper's
    longest_s              the longest sound that it understands in one piece; longer ones are cut
    min_avg_logprob        below this mean token log-probability, the text is dropped
    no_speech_avg_logprob  the same, when no_speech_prob is high
    no_speech_prob         what "high" means
    least_voice_ms         less of a human voice than this (Silero), and it is not listened to at all
    prompts                whether the model was trained to be told what came before and what may come
    beam                   hypotheses that are kept while it writes; 1 is greedy
    length_penalty         above 1, longer texts are preferred among those kept: against one that ends at a pause
    smooth_positions       over how many of its positions of 20 ms it is smoothed what it looks at for word times
    """

    languages: tuple[str, ...] = ()
    longest_s: float = 30.0
    min_avg_logprob: float = -1.0
    no_speech_avg_logprob: float = -0.7
    no_speech_prob: float = 0.6
    least_voice_ms: int = 90
    prompts: bool = True
    beam: int = 1
    length_penalty: float = 1.0
    smooth_positions: int = 7

    def believe(self, avg_logprob: float, no_speech_prob: float) -> bool:
        """True when a text with these marks is passed on."""
        if no_speech_prob > self.no_speech_prob and avg_logprob < self.no_speech_avg_logprob:
            return False
        return avg_logprob >= self.min_avg_logprob


def guards_of(model: Model) -> Guards:
    """The rules of a model. Raises SpeechSetupError when its file cannot be read."""
    own = model.path / "kallglot.json"
    if not own.is_file():
        return Guards()
    said = read_json(own)
    try:
        return Guards(**{**said, "languages": tuple(said.get("languages", ()))})
    except TypeError as error:
        raise SpeechSetupError(str(own), str(error), "correct it, or take the file away") from None


def is_clearly(prob: float, samples: int) -> bool:
    """Whether so much sound shows that somebody has changed over to another language."""
    return prob >= SWITCH_PROB and samples >= SWITCH_S * RECOGNIZER_RATE_HZ


def detectable(wanted: tuple[str, ...], known: tuple[str, ...]) -> frozenset[str]:
    """Among which languages to look: those of the calls that the model knows; empty: all of Whisper's."""
    if not wanted or not known:
        return frozenset(wanted or known)
    return frozenset(wanted) & frozenset(known) or frozenset(known)
