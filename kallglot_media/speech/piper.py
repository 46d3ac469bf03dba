"""Speech with Piper voices. piper-tts is GPL-3.0-or-later: only this file imports it, only in a worker."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from piper import PiperConfig, PiperVoice, SynthesisConfig

from kallglot_media.audio.stretch import FASTEST, faster, shorter_pauses
from kallglot_media.audio.voice import shaped
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.models import Model, read_json
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.speakers import PRESETS, voice_and_speaker
from kallglot_media.speech.spoken_form import spoken_form
from kallglot_media.speech.types import EngineFailed, Pcm16, Speech, UnknownVoice

BETWEEN_SENTENCES_MS = 150
HURRIED_PAUSE_MS = 80
"""No pause is longer than this in speech that catches up."""

KEPT_LEAD_MS = 20
QUIET = 0.005
"""Of full scale: softer than this at the start is waiting, not speech."""


class PiperSynthesizer:
    """A `types.Synthesizer` on any number of voices, one thread."""

    def __init__(self, models: list[Model], settings: SpeechSettings) -> None:
        self._voices = {model.name: _load(model) for model in models}
        self._by_language = _defaults(models, settings)
        self._peak = settings.voice_peak
        for voice in self._voices.values():
            list(voice.synthesize("1"))  # the first run allocates

    def facts(self) -> dict[str, Any]:
        """What was loaded: for the log, doctor and metrics."""
        return {"voices": sorted(self._voices), "defaults": self._by_language}

    def synthesize(self, text: str, language: str, voice: str | None, speed: float = 1.0) -> Speech:
        """`text` spoken, its first sound within 20 ms of the start. Empty text gives no samples.

        speed  above 1.0 it is spoken so much faster at the same pitch, and its pauses are cut short
        """
        started_s = time.perf_counter()
        chosen, speaker = self._voice(language, voice)
        how = SynthesisConfig(volume=self._peak, speaker_id=_number(chosen, speaker))
        rate_hz = chosen.config.sample_rate
        pause = np.zeros(rate_hz * BETWEEN_SENTENCES_MS // 1000, dtype=np.int16)
        parts: list[Pcm16] = []
        for chunk in chosen.synthesize(_plain(spoken_form(text, language)), how):
            if not np.isfinite(chunk.audio_float_array).all():
                raise EngineFailed(f"the voice for {language} made no sound but numbers that are none")
            parts += [pause, chunk.audio_int16_array] if parts else [_without_lead(chunk.audio_int16_array, rate_hz)]
        pcm = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)
        if speaker in PRESETS and how.speaker_id is None and PRESETS[speaker] != (1.0, 1.0) and len(pcm):
            pcm, rate_hz = shaped(pcm, rate_hz, *PRESETS[speaker])
        if speed > 1.0:
            pcm = faster(shorter_pauses(pcm, rate_hz, HURRIED_PAUSE_MS), rate_hz, min(speed, FASTEST))
        return Speech(pcm, rate_hz, (time.perf_counter() - started_s) * 1000)

    def _voice(self, language: str, name: str | None) -> tuple[PiperVoice, str | None]:
        """The voice, and which of its speakers."""
        voice, speaker = voice_and_speaker(name)
        own, own_speaker = voice_and_speaker(self._by_language.get(language))
        chosen = voice or own
        if chosen is None or chosen not in self._voices:
            wanted = f"voice {voice!r}" if voice else f"voice for {language!r}"
            raise UnknownVoice(
                f"no {wanted} (installed: {', '.join(sorted(self._voices)) or 'none'}); "
                f"put its .onnx and .onnx.json into the models folder's piper/"
            )
        if voice is None and own_speaker is not None and (speaker is None or speaker in PRESETS):
            speaker = own_speaker  # the settings name one
        return self._voices[chosen], speaker


def _number(voice: PiperVoice, speaker: str | None) -> int | None:
    """A speaker's number in its voice; None: the first one's. Raises UnknownVoice."""
    config = voice.config
    if speaker is None:
        return None
    if speaker in config.speaker_id_map:
        return int(config.speaker_id_map[speaker])
    if speaker.isdecimal() and int(speaker) < config.num_speakers:
        return int(speaker)
    if speaker in PRESETS:
        return None
    known = ", ".join(config.speaker_id_map) or f"0 to {config.num_speakers - 1}"
    raise UnknownVoice(f"the voice has no speaker {speaker!r} (it has {known}); write one of them behind the #")


def _load(model: Model) -> PiperVoice:
    """PiperVoice.load starts a thread per core; a worker has one."""
    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    described = model.path.with_name(model.path.name + ".json")
    try:
        config = PiperConfig.from_dict(read_json(described))
    except (KeyError, ValueError) as error:
        raise SpeechSetupError(str(described), f"is no Piper description: {error!r}", "take the voice's own") from None
    session = InferenceSession(str(model.path), sess_options=options, providers=["CPUExecutionProvider"])
    return PiperVoice(session=session, config=config)


def _defaults(models: list[Model], settings: SpeechSettings) -> dict[str, str]:
    """language -> voice: the settings' choice, else the first one installed."""
    defaults: dict[str, str] = {}
    for model in models:
        defaults.setdefault(model.languages[0], model.name)
    names = {model.name for model in models}
    for language, name in settings.voices.items():
        if voice_and_speaker(name)[0] not in names:
            raise SpeechSetupError(
                f"speech.synthesizer.voices.{language}",
                f"no voice {name!r}",
                f"write one of {', '.join(sorted(names))}",
            )
        defaults[language] = name
    return defaults


def _plain(text: str) -> str:
    """Without Piper's [[raw phonemes]], which nobody on a call may write."""
    return text.replace("[[", "(").replace("]]", ")")


def _without_lead(pcm: Pcm16, rate_hz: int) -> Pcm16:
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > QUIET * 32768)
    return pcm[max(0, loud[0] - rate_hz * KEPT_LEAD_MS // 1000) :] if len(loud) else pcm
