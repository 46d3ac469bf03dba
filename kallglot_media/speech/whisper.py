"""Recognition with faster-whisper, encoding only as much as was said.

Whisper pads every utterance to 30 s, and the encoder's time is the window's, not the utterance's.
CTranslate2 takes a shorter window; what faster-whisper does around `encode` and `generate` for a
window is small enough to do here for the short one. The full window stays for what is longer than
SHORT_WINDOW_S; what was decoded into repetition is handed to faster-whisper as a whole.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from ctranslate2 import StorageView
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from kallglot_media.audio.condition import for_recognition
from kallglot_media.speech.compute import compute_type_for, weights_bytes
from kallglot_media.speech.denoise import denoiser
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.inventions import goes_in_circles, is_invented
from kallglot_media.speech.model_check import check_recognizer
from kallglot_media.speech.models import Model
from kallglot_media.speech.pieced import compression_ratio, joined, later, words_of
from kallglot_media.speech.recognizer_rules import detectable, guards_of, is_clearly
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.sound import led_in, may_be_speech, pieces, unheard_from_ms
from kallglot_media.speech.types import (
    DOUBTFUL,
    NO_HINTS,
    RECOGNIZER_RATE_HZ,
    EngineFailed,
    Hints,
    Pcm16,
    Transcript,
    Word,
)
from kallglot_media.speech.voice import voiced_ms

SHORT_WINDOW_S = 20.0
WINDOW_MARGIN_FRAMES = 128
"""Encoder frames (20 ms) after the sound. Fewer, and real models start to repeat the end."""

FULL_WINDOW_FRAMES = 3000
TOKENS_PER_S = 12
"""Fast speech has about 7 tokens a second; a decoder that wants more than this is repeating itself."""

LEAST_TOKENS = 12
MOST_PROMPT_TOKENS = 100
MOST_TOKENS = 448
"""Whisper's text positions, the prompt included."""

REPEATS_ABOVE = 2.4
"""gzip ratio of a text that says the same over and over; OpenAI's value."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    text: str
    avg_logprob: float
    no_speech_prob: float
    repeats: bool
    words: tuple[Word, ...] = ()
    second_try: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A sound that the guards let through, at the recogniser's level."""

    pcm: Pcm16
    language: str | None
    hints: Hints


@dataclass(frozen=True, slots=True)
class _Encoded:
    """frames: of the sound in the window."""

    output: Any
    frames: int
    language: str
    language_prob: float
    prompt: list[int]


class WhisperRecognizer:
    """A `types.Recognizer` on one faster-whisper model, one thread."""

    def __init__(self, model: Model, settings: SpeechSettings) -> None:
        check_recognizer(model.path)
        self._name = model.name
        self._settings = settings
        self._denoised = denoiser(settings.denoise)
        self._guards = guards_of(model)
        self._compute_type = compute_type_for(settings.compute_type, weights_bytes(model.path))
        self._beam = settings.recognizer_beam or self._guards.beam
        self._languages = detectable(settings.languages, self._guards.languages)
        self._whisper = WhisperModel(
            str(model.path.absolute()),
            device="cpu",
            compute_type=self._compute_type,
            cpu_threads=1,
            num_workers=1,
            local_files_only=True,
        )
        self._mel_bands_must_agree(model)
        self._tokenizers: dict[str, Tokenizer] = {}
        self._warm_up()

    def facts(self) -> dict[str, Any]:
        """What was loaded: for the log, doctor and metrics."""
        return {
            "model": self._name,
            "compute_type": self._compute_type,
            "window": self._settings.window,
            "languages": sorted(self._languages),
        }

    def transcribe(
        self,
        pcm: Pcm16,
        language: str | None,
        usual: str | None = None,
        among: Sequence[str] = (),
        words: Sequence[str] = (),
        before: str = "",
    ) -> Transcript:
        """The words in `pcm` (16 kHz mono); empty text for what is no speech. language None: detect it.

        usual, among, words, before  see types.Hints
        """
        started_s = time.perf_counter()
        self._must_know(language)
        hints = _hints(usual, among, words, before)
        guard = self._why_not_listen(pcm)
        if guard:
            heard = _nothing(guard, language, hints)
        else:
            heard = self._listen(for_recognition(self._denoised(pcm), RECOGNIZER_RATE_HZ), language, hints)
        return replace(heard, engine_ms=(time.perf_counter() - started_s) * 1000)

    def transcribe_all(self, requests: Sequence[Sequence[Any]]) -> list[Transcript | Exception]:
        """Several sounds, each with what transcribe() takes: their texts are decoded in one go, which is faster."""
        started_s = time.perf_counter()
        results: dict[int, Transcript | Exception] = {}
        together: list[tuple[int, _Wanted]] = []
        for number, (pcm, language, *more) in enumerate(requests):
            hints = _hints(*more)
            try:
                self._must_know(language)
            except EngineFailed as error:
                results[number] = error
                continue
            guard = self._why_not_listen(pcm)
            if guard:
                results[number] = _nothing(guard, language, hints)
                continue
            sound = for_recognition(self._denoised(pcm), RECOGNIZER_RATE_HZ)
            if len(pcm) > self._guards.longest_s * RECOGNIZER_RATE_HZ:
                results[number] = self._listen(sound, language, hints)
            else:
                together.append((number, _Wanted(sound, language, hints)))
        heard = self._hear_all([wanted for _, wanted in together])
        results |= {number: one for (number, _), one in zip(together, heard, strict=True)}
        took_ms = (time.perf_counter() - started_s) * 1000
        in_order = [results[number] for number in range(len(requests))]
        return [one if isinstance(one, Exception) else replace(one, engine_ms=took_ms) for one in in_order]

    def _must_know(self, language: str | None) -> None:
        if language is not None and language not in self._whisper.supported_languages:
            raise EngineFailed(f"Whisper has no language {language!r}; write an ISO 639-1 code such as 'de'")

    def _why_not_listen(self, pcm: Pcm16) -> str:
        """The guard that keeps a sound from the model, cheapest first; "" when it may be speech."""
        if not may_be_speech(pcm):
            return "quiet"
        return "no_voice" if voiced_ms(pcm) < self._guards.least_voice_ms else ""

    def _listen(self, pcm: Pcm16, language: str | None, hints: Hints) -> Transcript:
        """All pieces of a sound; the language that the first one is in goes for the others."""
        parts: list[Transcript] = []
        offset_ms = 0
        for piece in pieces(pcm, int(self._guards.longest_s * RECOGNIZER_RATE_HZ)):
            (part,) = self._hear_all([_Wanted(piece, language, hints)])
            language = language or part.language
            parts.append(later(part, offset_ms))
            offset_ms += len(piece) * 1000 // RECOGNIZER_RATE_HZ
        return joined(parts)

    def _hear_all(self, wanted: Sequence[_Wanted]) -> list[Transcript]:
        """Each encoded by itself, in windows of one length; all that have prompts of one length decoded together."""
        led = [led_in(one.pcm) for one in wanted]
        wanted = [replace(one, pcm=pcm) for one, (pcm, _) in zip(wanted, led, strict=True)]
        window = max((self._window_frames(len(one.pcm)) for one in wanted), default=0)
        encoded = [self._encoded(one, window) for one in wanted]
        by_prompt: dict[int, list[int]] = {}
        for number, one in enumerate(encoded):
            by_prompt.setdefault(len(one.prompt), []).append(number)
        decoded: dict[int, _Decoded] = {}
        for numbers in by_prompt.values():
            decoded |= zip(numbers, self._decode([encoded[number] for number in numbers]), strict=True)
        heard = []
        for number, (one, sound) in enumerate(zip(encoded, wanted, strict=True)):
            found = self._second_try(sound.pcm, one.language) if decoded[number].repeats else decoded[number]
            whole = self._to_the_end(sound, self._transcript(found, one.language, one.language_prob))
            heard.append(later(whole, -led[number][1]))
        return heard

    def _to_the_end(self, sound: _Wanted, heard: Transcript) -> Transcript:
        """Where a model took a pause for the end, and somebody speaks on behind it, that is heard by itself."""
        from_ms = unheard_from_ms(sound.pcm, heard.words[-1].end_ms, len(heard.text)) if heard.words else None
        if from_ms is None:
            return heard
        rest = sound.pcm[from_ms * RECOGNIZER_RATE_HZ // 1000 :]
        if self._why_not_listen(rest):
            return heard
        (more,) = self._hear_all([_Wanted(rest, heard.language, sound.hints)])
        return joined([heard, later(more, from_ms)]) if more.text else heard

    def _encoded(self, wanted: _Wanted, window: int) -> _Encoded:
        output, frames = self._encode(wanted.pcm, window)
        language, hints, language_prob = wanted.language, wanted.hints, 1.0
        if language is None and not self._whisper.model.is_multilingual:
            language = "en"  # a model that knows no other cannot be asked
        if language is None:
            language, language_prob = self._detect(output, hints.among)
            if hints.usual and language != hints.usual and not is_clearly(language_prob, len(wanted.pcm)):
                language, language_prob = hints.usual, 1.0 - language_prob
        return _Encoded(output, frames, language, language_prob, self._prompt(hints, language))

    def _encode(self, pcm: Pcm16, window: int) -> tuple[Any, int]:
        """The encoder's output for a window of so many frames, and the sound's own feature frames."""
        features = self._whisper.feature_extractor(_as_float(pcm))[:, :FULL_WINDOW_FRAMES]
        frames = features.shape[-1]
        padded = np.zeros((features.shape[0], window), dtype=np.float32)
        padded[:, :frames] = features[:, : padded.shape[-1]]
        return self._whisper.encode(padded), frames

    def _window_frames(self, samples: int) -> int:
        seconds = samples / RECOGNIZER_RATE_HZ
        if self._settings.window == "full" or seconds > SHORT_WINDOW_S:
            return FULL_WINDOW_FRAMES
        return min(FULL_WINDOW_FRAMES, 2 * (math.ceil(50 * seconds) + WINDOW_MARGIN_FRAMES))

    def _prompt(self, hints: Hints, language: str) -> list[int]:
        """Tokens of what may come and what came before, as Whisper was trained to be told."""
        if not self._guards.prompts or not (hints.words or hints.before):
            return []
        tokenizer = self._tokenizer(language)
        terms = tokenizer.encode(" " + ", ".join(hints.words) + ".")[:MOST_PROMPT_TOKENS] if hints.words else []
        before = tokenizer.encode(" " + hints.before.strip()) if hints.before else []
        room = MOST_PROMPT_TOKENS - len(terms)
        return [tokenizer.sot_prev, *terms, *(before[-room:] if room > 0 else [])]

    def _detect(self, encoded: Any, among: Sequence[str]) -> tuple[str, float]:
        """The most probable language among the allowed ones, and its probability among those."""
        found = [(token.strip("<|>"), prob) for token, prob in self._whisper.model.detect_language(encoded)[0]]
        wanted = self._languages & frozenset(among) if self._languages and among else self._languages or set(among)
        allowed = [(code, prob) for code, prob in found if not wanted or code in wanted]
        best, prob = max(allowed, key=lambda each: each[1])
        return best, float(prob / (sum(each for _, each in allowed) or 1.0))

    def _decode(self, wanted: Sequence[_Encoded]) -> list[_Decoded]:
        """The texts of encoded sounds whose windows, and whose prompts, are of one length."""
        prompts = [
            [*one.prompt, *(tokenizer := self._tokenizer(one.language)).sot_sequence, tokenizer.no_timestamps]
            for one in wanted
        ]
        most_tokens = [_most_tokens(one.frames) for one in wanted]
        results = self._whisper.model.generate(
            wanted[0].output if len(wanted) == 1 else _stacked([one.output for one in wanted]),
            prompts,
            beam_size=self._beam,
            length_penalty=self._guards.length_penalty,
            max_length=min(
                MOST_TOKENS, 2 * (max(most_tokens) + len(wanted[0].prompt))
            ),  # CTranslate2 generates at most half of it after a short prompt
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=[-1],
        )
        return [
            self._decoded(one, result, most) for one, result, most in zip(wanted, results, most_tokens, strict=True)
        ]

    def _decoded(self, one: _Encoded, result: Any, most_tokens: int) -> _Decoded:
        tokenizer = self._tokenizer(one.language)
        tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        text = tokenizer.decode(tokens).strip()
        repeats = len(tokens) >= most_tokens or compression_ratio(text) > REPEATS_ABOVE or goes_in_circles(text)
        # A score is the sum of log-probabilities divided by length ** length_penalty.
        avg_logprob = result.scores[0] * max(1, len(tokens)) ** (self._guards.length_penalty - 1)
        believed = bool(text) and not repeats and self._guards.believe(avg_logprob, result.no_speech_prob)
        aligns = believed and self._settings.word_times
        words = self._align(tokenizer, tokens, one.output, one.frames) if aligns else ()
        return _Decoded(text, avg_logprob, result.no_speech_prob, repeats, words)

    def _align(self, tokenizer: Tokenizer, tokens: list[int], encoded: Any, frames: int) -> tuple[Word, ...]:
        smooth = self._guards.smooth_positions
        (aligned,) = self._whisper.find_alignment(tokenizer, [tokens], encoded, frames, smooth)
        return words_of((one["word"], one["start"], one["end"], one["probability"]) for one in aligned)

    def _second_try(self, pcm: Pcm16, language: str) -> _Decoded:
        """Whisper's own 30 s window, with faster-whisper's temperatures against repetition."""
        segments, _info = self._whisper.transcribe(
            _as_float(pcm),
            language=language,
            beam_size=self._beam,
            length_penalty=self._guards.length_penalty,
            condition_on_previous_text=False,
            without_timestamps=True,
            word_timestamps=self._settings.word_times,
        )
        heard = list(segments)  # a generator: the decoding happens here
        kept = [one for one in heard if one.compression_ratio <= REPEATS_ABOVE and not goes_in_circles(one.text)]
        return _Decoded(
            text=" ".join(one.text.strip() for one in kept),
            avg_logprob=float(np.mean([one.avg_logprob for one in kept])) if kept else -math.inf,
            no_speech_prob=max((one.no_speech_prob for one in heard), default=1.0),
            repeats=False,
            words=words_of(
                (word.word, word.start, word.end, word.probability) for one in kept for word in one.words or ()
            ),
            second_try=True,
        )

    def _transcript(self, decoded: _Decoded, language: str, language_prob: float) -> Transcript:
        confidence = math.exp(min(0.0, decoded.avg_logprob))
        guard = ""
        if not decoded.text:
            guard = "circles" if decoded.second_try else DOUBTFUL
        elif not self._guards.believe(decoded.avg_logprob, decoded.no_speech_prob):
            guard = DOUBTFUL
        elif is_invented(decoded.text, language, decoded.no_speech_prob):
            guard = "invented"
        if guard:
            return Transcript("", language, language_prob, confidence, decoded.no_speech_prob, (), 0.0, guard)
        return Transcript(decoded.text, language, language_prob, confidence, decoded.no_speech_prob, decoded.words, 0.0)

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._whisper.hf_tokenizer, self._whisper.model.is_multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]

    def _mel_bands_must_agree(self, model: Model) -> None:
        wanted = self._whisper.model.n_mels
        made = self._whisper.feature_extractor.mel_filters.shape[0]
        if wanted != made:
            raise SpeechSetupError(
                str(model.path / "preprocessor_config.json"),
                f"asks for {made} mel bands (or is missing), the model takes {wanted}",
                "download the model again",
            )

    def _warm_up(self) -> None:
        """The first run allocates: better now than in somebody's first sentence."""
        voiced_ms(np.zeros(RECOGNIZER_RATE_HZ, dtype=np.int16))
        silence = _Wanted(np.zeros(RECOGNIZER_RATE_HZ, np.int16), min(self._languages, default="en"), NO_HINTS)
        self._decode([self._encoded(silence, self._window_frames(RECOGNIZER_RATE_HZ))])


def _hints(usual: str | None = None, among: Sequence[str] = (), words: Sequence[str] = (), before: str = "") -> Hints:
    return Hints(usual, tuple(among), tuple(words), before)


def _nothing(guard: str, language: str | None, hints: Hints) -> Transcript:
    return Transcript("", language or hints.usual or "", 1.0 if language else 0.0, 0.0, 1.0, (), 0.0, guard)


def _most_tokens(frames: int) -> int:
    return LEAST_TOKENS + math.ceil(frames / 100 * TOKENS_PER_S)


def _stacked(outputs: Sequence[Any]) -> Any:
    """The encoder's outputs of several sounds as those of one batch."""
    return StorageView.from_array(np.concatenate([np.asarray(output, np.float32) for output in outputs]))


def _as_float(pcm: Pcm16) -> npt.NDArray[np.float32]:
    return np.asarray(pcm, dtype=np.float32) / np.float32(32768)
