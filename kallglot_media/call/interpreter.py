"""From somebody's words to made speech in the other party's ear: one Interpreter per talker.

hear() takes utterances as the media plane cuts them, grow() what is said meanwhile, of which
stable clauses may be passed on before the utterance is over (policy.py). A line of four waits in
front of the engines, and when it is full the oldest is given up and said so. run() works the line
off in order. When an engine fails, the talker's own voice is let through until it works again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kallglot_media.audio.resample import resample
from kallglot_media.call.clauses import speakable
from kallglot_media.call.floor import Floor
from kallglot_media.call.glimpses import Glimpses
from kallglot_media.call.listening import Clause, Heard, Rest
from kallglot_media.call.spoken import SpokenLanguages
from kallglot_media.call.stretches import ends_sentence
from kallglot_media.call.turn import TranslatedText, Turn, TurnTimings
from kallglot_media.media.messages import PlayoutStarted, SpeechGrew, Utterance
from kallglot_media.modes.plan import Party
from kallglot_media.modes.policy import TURN_BY_TURN, Policy
from kallglot_media.speech.types import (
    RECOGNIZER_RATE_HZ,
    Context,
    SpeechEngines,
    SpeechError,
    Transcript,
    Translation,
)

LONGEST_LINE = 4
"""Utterances of one talker that may wait for the engines."""


@dataclass(frozen=True, slots=True)
class Direction:
    """Whose words become whose, and in which languages.

    source  the talker's language; None: found out from each utterance, out of `target` and its other
    target  what the listener hears; None: what `spoken` says the listener speaks
    pair    with source None: the two languages, each translated into the other
    voices  language -> voice name; a missing language gets its default voice
    aloud   False: the translation is written down, not spoken
    """

    talker: Party
    listener: Party
    source: str | None
    target: str | None
    pair: tuple[str, str] | None = None
    voices: dict[str, str | None] = field(default_factory=dict)
    spoken: SpokenLanguages | None = None
    aloud: bool = True

    def target_for(self, language: str) -> str:
        """What to translate `language` into; `language` itself when the listener's is not known yet."""
        if self.pair is None:
            found = self.spoken.of(self.listener) if self.spoken else None
            return self.target or found or language
        return self.pair[1] if language == self.pair[0] else self.pair[0]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each engine may take for one utterance, waiting in line included, in seconds."""

    transcribe_s: float
    translate_s: float
    synthesize_s: float


@dataclass(frozen=True, slots=True)
class _Said:
    """A place in line: the rest of an utterance, or a clause of one that goes on."""

    what: Rest | Clause
    heard_s: float


@dataclass(frozen=True, slots=True)
class _Spoken:
    """Words on their way. Times on the session's clock."""

    transcript: Transcript
    start_ms: int
    end_ms: int
    progress: _Progress


@dataclass(slots=True)
class _Progress:
    """The clock readings of one turn on its way, in seconds of the loop's clock."""

    sequence: int
    speech_end_sample: int
    rate_hz: int
    heard_s: float
    text_s: float = 0.0
    words_s: float = 0.0
    sound_s: float = 0.0
    engine_ms: float = 0.0


class Interpreter:
    """One direction. `now_s` is the loop's clock, given so that tests can hold it."""

    def __init__(
        self,
        direction: Direction,
        engines: SpeechEngines,
        floor: Floor,
        now_s: Callable[[], float],
        deadlines: Deadlines,
        longest_line: int = LONGEST_LINE,
        policy: Policy = TURN_BY_TURN,
    ) -> None:
        self.direction = direction
        self._glimpses = Glimpses(policy, engines, self._language, floor.partials_wanted, self._on_heard)
        self._context: tuple[str, Context] | None = None  # target language, and the sentence that goes on
        self._engines = engines
        self._floor = floor
        self._now_s = now_s
        self._deadlines = deadlines
        self._line: deque[_Said] = deque()
        self._wake = asyncio.Event()
        self._longest_line = longest_line
        self._closing = False
        self._working = False
        self._through = False
        self._playing: dict[str, _Progress] = {}

    # ── what comes in ────────────────────────────────────────────────────────────

    def grow(self, piece: SpeechGrew) -> None:
        """This direction's talker goes on speaking; never waits."""
        self._glimpses.grow(piece)

    def hear(self, utterance: Utterance) -> None:
        """Take an utterance of this direction's talker; never waits."""
        rest = self._glimpses.rest_of(utterance)
        if rest is not None:
            self._join_line(rest)

    def _on_heard(self, heard: Heard) -> None:
        """A glimpse understood something."""
        if heard.clause is not None:
            self._join_line(heard.clause)
        if heard.text:
            self._floor.partial(self.direction.talker, heard.text, heard.stable, heard.language, heard.start_ms)

    def _join_line(self, what: Rest | Clause) -> None:
        if len(self._line) >= self._longest_line:
            self._note_dropped(self._line.popleft())
        self._line.append(_Said(what, self._now_s()))
        self._wake.set()

    def _language(self) -> str | None:
        """What the talker speaks, as far as it is known."""
        return self.direction.source

    def playout_started(self, started: PlayoutStarted) -> None:
        """The first sample of a play of ours is on the wire: the turn's timings are complete."""
        progress = self._playing.pop(started.play_id, None)
        if progress is None:
            return
        # Counted in samples the whole is exact, so it is the end-pointing that is found by subtraction.
        total_ms = 1000 * (started.at_sample - progress.speech_end_sample) / progress.rate_hz
        now_s = self._now_s()
        timings = TurnTimings(
            endpoint_ms=max(0.0, total_ms - 1000 * (now_s - progress.heard_s)),
            recognize_ms=1000 * (progress.text_s - progress.heard_s),
            translate_ms=1000 * (progress.words_s - progress.text_s),
            synthesize_ms=1000 * (progress.sound_s - progress.words_s),
            playout_wait_ms=1000 * (now_s - progress.sound_s),
            speech_end_to_first_sample_ms=total_ms,
            engine_ms=progress.engine_ms,
        )
        first_sample_ms = round(1000 * started.at_sample / progress.rate_hz)
        self._floor.turn_played(progress.sequence, first_sample_ms, timings)

    def playout_finished(self, play_id: str) -> None:
        """A play is over; if it was cleared before it started, it has no timings."""
        self._playing.pop(play_id, None)

    def close(self) -> None:
        """The call is over: what waits in line is still written down, but no longer spoken."""
        self._closing = True
        self._glimpses.close()
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being made over."""
        return not self._line and not self._working

    async def glimpse(self) -> None:
        """Recognise what is being said while it is said; returns after close()."""
        await self._glimpses.run()

    async def run(self) -> None:
        """Work the line off; returns after close(), when it is empty."""
        while True:
            while self._line:
                self._working = True
                await self._interpret(self._line.popleft())
            self._working = False
            self._floor.became_idle()
            if self._closing:
                return
            self._wake.clear()
            await self._wake.wait()

    # ── one utterance, or a clause of one ────────────────────────────────────────

    async def _interpret(self, said: _Said) -> None:
        try:
            spoken = await self._words_of(said)
            made_over = spoken is not None and await self._make_over(spoken, said.what)
        except SpeechError as error:
            self._fall_back(said.what, type(error).__name__, str(error))
            return
        if made_over:
            self._recovered()

    async def _words_of(self, said: _Said) -> _Spoken | None:
        """A turn's words; None when nothing was said."""
        what = said.what
        if isinstance(what, Clause):
            progress = _Progress(self._floor.next_sequence(), what.end_sample, what.rate_hz, said.heard_s)
            progress.text_s = self._now_s()
            return _Spoken(what.transcript, what.start_ms, what.end_ms, progress)
        utterance = what.utterance
        transcript = what.transcript or await self._recognise(utterance)
        if not transcript.text:
            self._floor.event(
                "utterance.empty",
                utterance.speech_end_sample,
                speaker=self.direction.talker,
                ended_by=utterance.ended_by,
            )
            return None
        progress = _Progress(
            self._floor.next_sequence(), utterance.speech_end_sample, utterance.rate_hz, said.heard_s, self._now_s()
        )
        # The first word's start is where speech starts; without words it is where the sound starts.
        start_ms = 1000 * utterance.first_sample // utterance.rate_hz
        if transcript.words:
            start_ms += transcript.words[0].start_ms
        end_ms = 1000 * utterance.speech_end_sample // utterance.rate_hz
        return _Spoken(transcript, min(start_ms, end_ms), end_ms, progress)

    async def _make_over(self, spoken: _Spoken, what: Rest | Clause) -> bool:
        """Translate, keep the turn, speak. False when there was nothing to make over."""
        transcript, progress = spoken.transcript, spoken.progress
        if self.direction.spoken is not None:
            self.direction.spoken.heard(self.direction.talker, transcript.language)
        target = self.direction.target_for(transcript.language)
        if transcript.language == target:
            self._keep(spoken, None)
            self._fall_back(what, "same_language", f"{self.direction.talker} already speaks {target}")
            return False
        try:
            translation = await self._translate(transcript, target)
        except SpeechError:
            self._keep(spoken, None)
            raise
        progress.words_s = self._now_s()
        progress.engine_ms = transcript.engine_ms + translation.engine_ms
        self._keep(spoken, translation)
        if not self._closing and self.direction.aloud:
            await self._speak(translation, progress)
        return True

    async def _recognise(self, utterance: Utterance) -> Transcript:
        pcm = np.frombuffer(utterance.pcm, dtype=np.int16)
        return await self._engines.transcribe(
            resample(pcm, utterance.rate_hz, RECOGNIZER_RATE_HZ),
            self._language(),
            deadline_s=self._deadlines.transcribe_s,
        )

    async def _translate(self, transcript: Transcript, target: str) -> Translation:
        """With the beginning of its sentence, when that was passed on before."""
        before = self._context[1] if self._context is not None and self._context[0] == target else None
        self._context = None
        translation = await self._engines.translate(
            transcript.text, transcript.language, target, deadline_s=self._deadlines.translate_s, after=before
        )
        if not ends_sentence(transcript.text):
            began = before or Context("", "")
            self._context = (
                target,
                Context(f"{began.source} {transcript.text}".strip(), f"{began.target} {translation.text}".strip()),
            )
        return translation

    async def _speak(self, translation: Translation, progress: _Progress) -> None:
        """Make the words piece by piece: the first plays while the next is being made."""
        voice = self.direction.voices.get(translation.target)
        for index, piece in enumerate(speakable(translation.text)):
            speech = await self._engines.synthesize(
                piece, translation.target, voice, deadline_s=self._deadlines.synthesize_s
            )
            if self._closing:
                return
            play_id = f"{progress.sequence}.{index}"
            if index == 0:
                progress.sound_s = self._now_s()
                progress.engine_ms += speech.engine_ms
                self._playing[play_id] = progress
            self._floor.play(self.direction.listener, play_id, speech.pcm, speech.rate_hz)

    def _keep(self, spoken: _Spoken, translation: Translation | None) -> None:
        transcript = spoken.transcript
        self._floor.turn_done(
            Turn(
                sequence=spoken.progress.sequence,
                speaker=str(self.direction.talker),
                language=transcript.language,
                text=transcript.text,
                translation=TranslatedText(translation.target, translation.text) if translation else None,
                start_ms=spoken.start_ms,
                end_ms=spoken.end_ms,
                confidence=transcript.confidence,
            )
        )

    # ── when it does not work ────────────────────────────────────────────────────

    def _fall_back(self, what: Rest | Clause, reason: str, why: str) -> None:
        """Let the talker be heard as they are: this utterance now, the next ones live."""
        self._floor.event("interpreter.through", _end_of(what), speaker=self.direction.talker, reason=reason, why=why)
        if self._through or self._closing or not self.direction.aloud:
            return  # it was already heard live
        self._through = True
        self._floor.let_through(self.direction.talker, True)
        if isinstance(what, Rest):
            utterance = what.utterance
            pcm = np.frombuffer(utterance.pcm, dtype=np.int16)
            self._floor.play(self.direction.listener, f"through.{utterance.first_sample}", pcm, utterance.rate_hz)

    def _recovered(self) -> None:
        if self._through:
            self._through = False
            self._floor.let_through(self.direction.talker, False)
            self._floor.event("interpreter.back", speaker=self.direction.talker)

    def _note_dropped(self, lost: _Said) -> None:
        what = lost.what
        first_ms = (
            what.start_ms if isinstance(what, Clause) else 1000 * what.utterance.first_sample // what.utterance.rate_hz
        )
        self._floor.event(
            "utterance.dropped",
            _end_of(what),
            speaker=self.direction.talker,
            first_ms=first_ms,
            why=f"{self._longest_line} utterances wait for the engines; its sound is in the recording",
        )


def _end_of(what: Rest | Clause) -> int:
    """The sample at which the speech in it ends."""
    return what.end_sample if isinstance(what, Clause) else what.utterance.speech_end_sample
