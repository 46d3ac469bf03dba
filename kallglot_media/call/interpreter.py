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
from dataclasses import dataclass

import numpy as np

from kallglot_media.audio.resample import resample
from kallglot_media.call.direction import Deadlines, Direction
from kallglot_media.call.fillers import without_fillers
from kallglot_media.call.floor import SAME_LANGUAGE, Floor
from kallglot_media.call.glimpses import Glimpses
from kallglot_media.call.listening import Clause, Heard, Rest, words_behind
from kallglot_media.call.speaking import Progress, Speaking
from kallglot_media.call.stretches import ends_sentence
from kallglot_media.call.turn import TranslatedText, Turn
from kallglot_media.media.messages import PlayoutStarted, SpeechGrew, Utterance
from kallglot_media.modes.policy import TURN_BY_TURN, Policy
from kallglot_media.speech.types import (
    DOUBTFUL,
    RECOGNIZER_RATE_HZ,
    Context,
    Hints,
    SpeechEngines,
    SpeechError,
    Transcript,
    Translation,
)

LONGEST_LINE = 4
"""Utterances of one talker that may wait for the engines."""


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
    progress: Progress


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
        self._policy = policy
        self._before = ""  # the talker's last words
        self._glimpses = Glimpses(policy, engines, self._expects, floor.partials_wanted, self.on_heard)
        self._speaking = Speaking(direction, engines, floor, now_s, deadlines.synthesize_s)
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
        self._through = ""  # why the talker is let through; "": is not

    # ── what comes in ────────────────────────────────────────────────────────────

    def grow(self, piece: SpeechGrew) -> None:
        """This direction's talker goes on speaking; never waits."""
        self._glimpses.grow(piece)

    def hear(self, utterance: Utterance) -> None:
        """Take an utterance of this direction's talker; never waits."""
        rest = self._glimpses.rest_of(utterance)
        if rest is not None:
            self._join_line(rest)

    def on_heard(self, heard: Heard) -> None:
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

    def _expects(self) -> tuple[str | None, Hints]:
        """What the talker speaks, None when the recogniser is to find out, and what else is known beforehand."""
        direction, before = self.direction, self._before
        if direction.pair is not None:
            return direction.source, Hints(among=direction.pair, before=before)
        if direction.source is None:
            usual = direction.spoken.of(direction.talker) if direction.spoken is not None else None
            return None, Hints(usual=usual, before=before)
        target = direction.target_for(direction.source)
        if not self._policy.follow_language or target == direction.source:
            return direction.source, Hints(before=before)
        return None, Hints(usual=direction.source, among=(direction.source, target), before=before)

    def playout_started(self, started: PlayoutStarted) -> None:
        """The first sample of a play of ours is on the wire."""
        self._speaking.playout_started(started)

    def playout_finished(self, play_id: str) -> None:
        """A play is over, heard or thrown away."""
        self._speaking.playout_finished(play_id)

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
                await self._interpret(self._next())
            self._working = False
            self._floor.became_idle()
            if self._closing:
                return
            self._wake.clear()
            await self._wake.wait()

    def _next(self) -> _Said:
        """The first in line; clauses that wait behind each other are made over as one, which is faster and better."""
        said = self._line.popleft()
        while isinstance(said.what, Clause) and self._line and isinstance(following := self._line[0].what, Clause):
            merged = said.what.merged(following)
            if merged is None:
                break
            self._line.popleft()
            said = _Said(merged, said.heard_s)
        return said

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
            progress = Progress(self._floor.next_sequence(), what.end_sample, what.rate_hz, said.heard_s)
            progress.text_s = self._now_s()
            return _Spoken(what.transcript, what.start_ms, what.end_ms, progress)
        utterance = what.utterance
        transcript = what.transcript or await self._recognise(utterance)
        if transcript.guard == DOUBTFUL and (understood := await self._with_its_beginning(what)) is not None:
            transcript = understood
        if not transcript.text:
            self._floor.event(
                "utterance.empty",
                utterance.speech_end_sample,
                speaker=self.direction.talker,
                ended_by=utterance.ended_by,
                guard=transcript.guard,
            )
            return None
        progress = Progress(
            self._floor.next_sequence(), utterance.speech_end_sample, utterance.rate_hz, said.heard_s, self._now_s()
        )
        # The first word's start is where speech starts; without words it is where the sound starts.
        start_ms = 1000 * utterance.first_sample // utterance.rate_hz
        if transcript.words:
            start_ms += transcript.words[0].start_ms
        end_ms = 1000 * utterance.speech_end_sample // utterance.rate_hz
        return _Spoken(transcript, min(start_ms, end_ms), end_ms, progress)

    async def _with_its_beginning(self, what: Rest) -> Transcript | None:
        """A short rest ("…, please") may only be understood together with what was passed on before it.

        None: there is no such beginning, or it is too long, or it is understood otherwise now.
        """
        whole = what.whole
        if whole is None or not what.passed_on:
            return None
        if len(whole.pcm) > 2 * self._policy.longest_held_s * whole.rate_hz:
            return None
        from_ms = 1000 * (what.utterance.first_sample - whole.first_sample) // whole.rate_hz
        return words_behind(await self._recognise(whole), what.passed_on, from_ms)

    async def _make_over(self, spoken: _Spoken, what: Rest | Clause) -> bool:
        """Translate, keep the turn, speak. False when there was nothing to make over."""
        transcript, progress = spoken.transcript, spoken.progress
        self._before = transcript.text
        if self.direction.spoken is not None:
            self.direction.spoken.heard(self.direction.talker, transcript.language)
        target = self.direction.target_for(transcript.language)
        if transcript.language == target:
            self._keep(spoken, None)
            self._fall_back(what, SAME_LANGUAGE, f"{self.direction.talker} already speaks {target}")
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
            await self._speaking.speak(translation, progress, lambda: self._closing)
        return True

    async def _recognise(self, utterance: Utterance) -> Transcript:
        pcm = np.frombuffer(utterance.pcm, dtype=np.int16)
        language, hints = self._expects()
        return await self._engines.transcribe(
            resample(pcm, utterance.rate_hz, RECOGNIZER_RATE_HZ),
            language,
            deadline_s=self._deadlines.transcribe_s,
            hints=hints,
        )

    async def _translate(self, transcript: Transcript, target: str) -> Translation:
        """With the beginning of its sentence, when that was passed on before."""
        before = self._context[1] if self._context is not None and self._context[0] == target else None
        self._context = None
        text = transcript.text
        if self._speaking.is_far_behind:
            text = without_fillers(text, transcript.language)
        translation = await self._engines.translate(
            text, transcript.language, target, deadline_s=self._deadlines.translate_s, after=before
        )
        if translation.repaired or translation.missing:
            self._floor.event(
                "entities.repaired" if not translation.missing else "entities.missing",
                speaker=self.direction.talker,
                repaired=translation.repaired,
                missing=translation.missing,
            )
        if not ends_sentence(transcript.text):
            began = before or Context("", "")
            self._context = (
                target,
                Context(f"{began.source} {transcript.text}".strip(), f"{began.target} {translation.text}".strip()),
            )
        return translation

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
        self._through = reason
        self._floor.let_through(self.direction.talker, True, reason)
        sound = what.utterance if isinstance(what, Rest) else what
        pcm = np.frombuffer(sound.pcm, dtype=np.int16)
        self._floor.play(self.direction.listener, f"through.{sound.first_sample}", pcm, sound.rate_hz)

    def _recovered(self) -> None:
        if self._through:
            reason, self._through = self._through, ""
            self._floor.let_through(self.direction.talker, False, reason)
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
