"""Carries out a script, one 20 ms frame a tick. No clock, no socket: the tick's sample position is the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kallglot_media.audio.pcm import FRAME_MS, Pcm16, samples_of
from kallglot_media.phone.ear import Ear
from kallglot_media.phone.script import HangUp, Keys, Pause, PlayFile, Step, WaitHangup, WaitSilence, WaitSpeech


@dataclass(frozen=True, slots=True)
class Played:
    """A file that was said, from its first to after its last sample on the phone's clock."""

    file: str
    start_sample: int
    end_sample: int


@dataclass(frozen=True, slots=True)
class Missed:
    """A wait whose time ran out. step: counted from 1."""

    step: int
    what: str
    at_sample: int


@dataclass(frozen=True, slots=True)
class Acts:
    """What a tick asks for.

    frame    int16[160 at 8 kHz] to send now, silence included
    digits   keys to press from now on
    hang_up  the script is over
    """

    frame: Pcm16
    digits: str = ""
    hang_up: bool = False


class Performer:
    """Walks through the steps of a script. `sounds` holds the samples of every file that is played."""

    def __init__(self, steps: Sequence[Step], sounds: Mapping[Path, Pcm16], ear: Ear) -> None:
        self.played: list[Played] = []
        self.missed: list[Missed] = []
        self._steps = steps
        self._sounds = sounds
        self._ear = ear
        self._frame_samples = samples_of(FRAME_MS, ear.rate_hz)
        self._silence = np.zeros(self._frame_samples, np.int16)
        self._index = 0
        self._began_at: int | None = None

    @property
    def is_done(self) -> bool:
        """Whether every step was carried out."""
        return self._index >= len(self._steps)

    def tick(self, now: int, *, keys_are_pressed: bool = False) -> Acts:
        """What to do in the frame that starts at sample `now`. keys_are_pressed: DTMF is still being sent."""
        while not self.is_done:
            step = self._steps[self._index]
            if self._began_at is None:
                self._began_at = now
                if isinstance(step, Keys):
                    return Acts(self._silence, digits=step.digits)
            began_at = self._began_at
            if isinstance(step, PlayFile):
                sound = self._sounds[step.path]
                if now - began_at < len(sound):
                    return Acts(self._frame_of(sound, now - began_at))
                self.played.append(Played(step.path.name, began_at, began_at + len(sound)))
            elif isinstance(step, HangUp):
                return Acts(self._silence, hang_up=True)
            elif not self._is_over(step, now, began_at, keys_are_pressed):
                return Acts(self._silence)
            self._index += 1
            self._began_at = None
        return Acts(self._silence, hang_up=True)

    def other_side_hung_up(self, now: int) -> None:
        """The call ended: what was left to say, to press or to hear is missed; silence there is now."""
        for number, step in enumerate(self._steps[self._index :], start=self._index + 1):
            if _needs_the_call(step):
                self.missed.append(Missed(number, f"{describe(step)}: the call ended before", now))
        self._index = len(self._steps)

    def _frame_of(self, sound: Pcm16, at: int) -> Pcm16:
        frame = sound[at : at + self._frame_samples]
        if len(frame) < self._frame_samples:
            return np.concatenate([frame, self._silence[len(frame) :]])
        return frame

    def _is_over(self, step: Step, now: int, began_at: int, keys_are_pressed: bool) -> bool:
        waited_ms = (now - began_at) * 1000 // self._ear.rate_hz
        if isinstance(step, Pause):
            return waited_ms >= step.ms
        if isinstance(step, Keys):
            return not keys_are_pressed
        assert isinstance(step, WaitSpeech | WaitSilence | WaitHangup)
        if self._is_heard(step, now, began_at):
            return True
        if waited_ms < step.within_ms:
            return False
        self.missed.append(Missed(self._index + 1, f"{describe(step)}: not within {step.within_ms} ms", now))
        return True

    def _is_heard(self, step: WaitSpeech | WaitSilence | WaitHangup, now: int, began_at: int) -> bool:
        last = self._ear.speech_last_sample
        heard_since = last is not None and last > began_at
        if isinstance(step, WaitSpeech):
            return heard_since
        if isinstance(step, WaitSilence):
            quiet = min(self._ear.quiet_for(now), now - began_at) >= samples_of(step.silence_ms, self._ear.rate_hz)
            return quiet and (heard_since or not step.after_speech)
        return False


def _needs_the_call(step: Step) -> bool:
    return isinstance(step, PlayFile | Keys | WaitSpeech) or (isinstance(step, WaitSilence) and step.after_speech)


def describe(step: Step) -> str:
    """A step in the words of the script."""
    if isinstance(step, PlayFile):
        return f"play {step.path.name}"
    if isinstance(step, Pause):
        return f"pause {step.ms}ms"
    if isinstance(step, Keys):
        return f"dtmf {step.digits}"
    if isinstance(step, WaitSilence):
        return f"wait {'reply' if step.after_speech else 'silence'} {step.silence_ms}ms"
    return {WaitSpeech: "wait speech", WaitHangup: "wait hangup", HangUp: "hangup"}[type(step)]
