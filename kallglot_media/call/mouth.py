"""What the AI says, in the caller's ear: queued, interrupted, taken up again, and what of it was really heard.

    await mouth.say(text, speech, …)      # queued; the next one may be made meanwhile
    mouth.pause()                         # the caller starts to speak: silence within a tick
    mouth.resume()                        # it was nothing: from where it stopped
    heard = mouth.drop()                  # it was something: what they heard until then

Implements nothing of conversations: it turns sentences into plays and plays into turns of the transcript.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kallglot_media.call.clock import RATE_HZ
from kallglot_media.call.events import AgentMessage
from kallglot_media.call.session import Session
from kallglot_media.call.turn import TranslatedText, Turn, TurnTimings
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party
from kallglot_media.speech.types import Pcm16, Speech

BACK_UP_MS = 240
"""Taken up again, a sentence starts a little before where it stopped: half a word helps nobody."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer is to, for its timings; all readings of the loop's clock in s.

    speech_end_sample  where the caller's last word ended, on the session's clock; None: they typed or pressed keys
    heard_s            when the end was noticed; text_s: when it was text; engine_ms: what the recogniser took
    """

    speech_end_sample: int | None
    heard_s: float
    text_s: float
    engine_ms: float = 0.0


@dataclass(slots=True)
class _Clip:
    """A sentence on its way to the ear. offset: where in `pcm` the present play begins; played: how much was heard."""

    text: str
    inner: str
    pcm: Pcm16
    rate_hz: int
    language: str
    translated_from: str | None
    sources: tuple[str, ...]
    asked: Asked | None
    words_s: float
    sound_s: float
    engine_ms: float
    play_id: str = ""
    offset: int = 0
    played: int = 0
    started_sample: int | None = None
    ended_sample: int | None = None
    state: str = "waiting"  # waiting → playing → done | cut; paused in between
    timings: TurnTimings | None = field(default=None)

    @property
    def heard(self) -> str:
        """The words that were played: whole words only."""
        if self.state == "done":
            return self.text
        share = self.played / max(1, len(self.pcm))
        words = self.text.split()
        return " ".join(words[: int(share * len(words))])


class Mouth:
    """See the module. redact: applied to what is written down and told; now_s: the loop's clock."""

    def __init__(self, session: Session, now_s: Callable[[], float], redact: Callable[[str], str]) -> None:
        self._session = session
        self._now_s = now_s
        self._redact = redact
        self._clips: list[_Clip] = []
        self._count = 0
        self.paused = False

    # ── what is said ─────────────────────────────────────────────────────────────

    def say(
        self,
        text: str,
        inner: str,
        speech: Speech,
        language: str,
        *,
        translated_from: str | None = None,
        sources: tuple[str, ...] = (),
        asked: Asked | None = None,
        words_s: float = 0.0,
        engine_ms: float = 0.0,
    ) -> None:
        """Queue a sentence. asked: only for the first one of an answer; inner: the same in the inner language."""
        clip = _Clip(
            text, inner, speech.pcm, speech.rate_hz, language, translated_from, sources, asked,
            words_s, self._now_s(), engine_ms + speech.engine_ms,
        )  # fmt: skip
        self._clips.append(clip)
        self._session.world.bus.publish(AgentMessage(self._session.session_id, self._redact(text)))
        if not self.paused:
            self._send(clip)

    def add_sources(self, sources: tuple[str, ...]) -> None:
        """Where the last sentence is from, when that comes after it."""
        if self._clips:
            self._clips[-1].sources = tuple(dict.fromkeys((*self._clips[-1].sources, *sources)))

    def _send(self, clip: _Clip) -> None:
        self._count += 1
        clip.play_id = f"ai.{self._count}"
        clip.state = "playing"
        self._session.play(Party.CUSTOMER, clip.play_id, clip.pcm[clip.offset :], clip.rate_hz)

    @property
    def busy(self) -> bool:
        """Something is being heard, or waits to be."""
        return any(clip.state in ("waiting", "playing", "paused") for clip in self._clips)

    @property
    def audible(self) -> bool:
        """Something is being heard now."""
        return any(clip.state == "playing" for clip in self._clips)

    async def until_quiet(self, limit_s: float) -> bool:
        """Wait until all was heard."""
        return await self._session.until(lambda: not self.busy, limit_s)

    @property
    def left_s(self) -> float:
        """About how long what waits will take."""
        clips = (clip for clip in self._clips if clip.state in ("waiting", "playing", "paused"))
        return sum((len(clip.pcm) - clip.offset) / clip.rate_hz for clip in clips)

    # ── interruptions ────────────────────────────────────────────────────────────

    def pause(self) -> None:
        """Silence within a tick; what was not heard is kept."""
        if not self.paused and self.audible:
            self.paused = True
            self._session.sound.hush(Party.CUSTOMER)

    def resume(self) -> None:
        """Go on where it stopped."""
        if self.paused:
            self.paused = False
            self._send_waiting()

    def _send_waiting(self) -> None:
        """What was cleared comes back only after its PlayoutFinished said how much of it was heard."""
        if self.paused or self.audible:
            return
        for clip in self._clips:
            if clip.state in ("waiting", "paused"):
                self._send(clip)

    def drop(self) -> str | None:
        """Give up what was not heard; what was heard of the sentence, in the inner language where it was whole.

        "" between two sentences; None where nothing of what was being said was heard yet.
        """
        begun = any(clip.state == "done" for clip in self._clips)
        self._session.sound.hush(Party.CUSTOMER)
        self.paused = False
        heard = []
        for clip in self._clips:
            if clip.state == "done":
                continue
            cut_at = clip.heard
            clip.state = "cut"
            if cut_at:
                heard.append(cut_at if clip.inner == clip.text else f"{clip.inner}")
                self._write(clip, cut_at + " —")
        self._clips = []
        return " ".join(heard) if heard or begun else None

    # ── what the media plane says ────────────────────────────────────────────────

    def on_media(self, event: m.FromMedia) -> str | None:
        """A play began or ended. The inner text of a sentence that was now heard to its end."""
        if isinstance(event, m.PlayoutStarted):
            clip = self._of(event.play_id)
            if clip is not None and clip.started_sample is None:
                clip.started_sample = event.at_sample
                clip.timings = self._timings(clip, event.at_sample)
        elif isinstance(event, m.PlayoutFinished):
            clip = self._of(event.play_id)
            if clip is not None and clip.state == "playing":
                return self._finished(clip, event)
        return None

    def _finished(self, clip: _Clip, event: m.PlayoutFinished) -> str | None:
        clip.ended_sample = event.at_sample
        if event.played_samples >= event.total_samples:
            clip.state = "done"
            self._write(clip, clip.text)
            if all(one.state == "done" for one in self._clips):
                self._clips = []
            return clip.inner
        share = event.played_samples / max(1, event.total_samples)
        clip.played = max(clip.played, clip.offset + round(share * (len(clip.pcm) - clip.offset)))
        clip.offset = max(clip.offset, clip.played - BACK_UP_MS * clip.rate_hz // 1000)
        clip.state = "paused"
        if not any(one.state == "playing" for one in self._clips):
            self._send_waiting()
        return None

    def _of(self, play_id: str) -> _Clip | None:
        return next((clip for clip in self._clips if clip.play_id == play_id), None)

    def _timings(self, clip: _Clip, at_sample: int) -> TurnTimings | None:
        asked = clip.asked
        if asked is None or asked.speech_end_sample is None:
            return None
        total_ms = 1000 * (at_sample - asked.speech_end_sample) / RATE_HZ
        now_s = self._now_s()
        return TurnTimings(
            endpoint_ms=max(0.0, total_ms - 1000 * (now_s - asked.heard_s)),
            recognize_ms=1000 * (asked.text_s - asked.heard_s),
            translate_ms=1000 * (clip.words_s - asked.text_s),
            synthesize_ms=1000 * (clip.sound_s - clip.words_s),
            playout_wait_ms=1000 * (now_s - clip.sound_s),
            speech_end_to_first_sample_ms=total_ms,
            engine_ms=asked.engine_ms + clip.engine_ms,
        )

    def _write(self, clip: _Clip, text: str) -> None:
        """A turn of the AI, as it was heard."""
        session = self._session
        start_ms = round(1000 * clip.started_sample / RATE_HZ) if clip.started_sample is not None else session.now_ms()
        end_ms = round(1000 * clip.ended_sample / RATE_HZ) if clip.ended_sample is not None else start_ms
        sequence = session.next_sequence()
        translation = None
        language = clip.language
        if clip.translated_from is not None:
            translation, language = TranslatedText(clip.language, self._redact(text)), clip.translated_from
        turn = Turn(
            sequence=sequence,
            speaker=str(Party.AI),
            language=language,
            text=self._redact(clip.inner if translation is not None else text),
            translation=translation,
            start_ms=start_ms,
            end_ms=max(start_ms, end_ms),
            confidence=1.0,
            sources=clip.sources,
        )
        session.turn_done(turn)
        if clip.timings is not None:
            session.turn_played(sequence, start_ms, clip.timings)
