"""A peer that sends back what it hears: neither a barge-in nor words to translate; a person still is both."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np

from kallglot_media.audio import g711
from kallglot_media.audio.resample import resample
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.audio.wav import read_wav
from kallglot_media.media.messages import CloseLeg, LegClosed, Play, SpeechStarted, Utterance
from kallglot_media.media.settings import MediaSettings
from kallglot_media.modes.plan import AI_AGENT, Party
from tests.support.studio import FRAME, Pcm16, Studio

SPEECH = Path(__file__).parents[1] / "data" / "speech"
DELAY_FRAMES = 9


def speech(name: str) -> Pcm16:
    pcm, rate_hz = read_wav((SPEECH / f"{name}.wav").read_bytes())
    sound = resample(pcm, rate_hz, 8000)
    return np.pad(sound, (0, -len(sound) % FRAME))


def call(told: Pcm16, said: Pcm16, *, guard: bool, echo_gain: float) -> Studio:
    """The AI says `told`; the customer's end sends it back softer, and from the second second on `said` too."""
    studio = Studio(MediaSettings(own_voice_guard=guard))
    studio.session(plan=AI_AGENT)
    peer = studio.leg("c", Party.CUSTOMER, listen=SegmentRules())
    studio.apply(Play("c", "p", told.astype("<i2").tobytes(), 8000))
    way = deque([np.zeros(FRAME, np.float64)] * DELAY_FRAMES)
    words = np.concatenate([np.zeros(8000, np.int16), said]).reshape(-1, FRAME)
    for n in range(max(len(told), words.size) // FRAME + 60):
        frame = way.popleft() * echo_gain + (words[n] if n < len(words) else 0)
        studio.step({"c": np.clip(frame, -32768, 32767).astype(np.int16)})
        payload = peer.received[-1].payload
        way.append(g711.ulaw_decode(np.frombuffer(payload, np.uint8)).astype(np.float64))
    return studio


NOTHING = np.zeros(0, np.int16)


def test_an_echo_neither_breaks_in_nor_is_an_utterance() -> None:
    told = speech("heldout_en_27_p")
    echoed = call(told, NOTHING, guard=False, echo_gain=0.3)
    assert echoed.take(SpeechStarted)
    assert echoed.take(Utterance), "without the guard it is both"
    studio = call(told, NOTHING, guard=True, echo_gain=0.3)
    assert studio.take(SpeechStarted) == []
    assert studio.take(Utterance) == []
    studio.apply(CloseLeg("c"))
    [closed] = [event for event in studio.plane.take_events() if isinstance(event, LegClosed)]
    assert closed.stats.counters["own_voice"] > 20


def test_a_person_who_speaks_over_the_echo_breaks_in_and_is_understood() -> None:
    said = speech("heldout_de_45_e")
    studio = call(speech("heldout_en_27_p"), said, guard=True, echo_gain=0.1)
    started = studio.take(SpeechStarted)
    assert started
    assert isinstance(started[0], SpeechStarted)
    onset = int(np.flatnonzero(np.abs(said) > 1000)[0]) + 8000
    assert -FRAME <= started[0].at_sample - onset < 0.3 * 8000
    samples = sum(len(event.pcm) // 2 for event in studio.take(Utterance) if isinstance(event, Utterance))
    assert samples > 0.7 * len(said)


def test_without_anything_played_nothing_changes() -> None:
    said = speech("heldout_de_45_e")
    plain = call(NOTHING, said, guard=False, echo_gain=0.0)
    guarded = call(NOTHING, said, guard=True, echo_gain=0.0)
    assert guarded.take(Utterance) == plain.take(Utterance) != []
