"""Clocks that do not agree: the delay stays where it is, and correcting it is not heard."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kallglot_media.media.messages import CloseLeg, LegClosed
from kallglot_media.modes.plan import BRIDGED, Party
from kallglot_media.rtp.jitter import JitterBuffer, JitterRules
from kallglot_media.rtp.packet import RtpPacket
from tests.support.studio import FRAME, Pcm16, Studio

HOUR_TICKS = 50 * 3600


@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_the_delay_is_the_same_after_an_hour(ppm: float) -> None:
    """A conversation: four seconds of voice, two of pause. 200 ppm are 720 ms in an hour: 36 frames."""
    jitter = JitterBuffer(JitterRules())
    sent, depths = 0, []
    step_s = 0.02 / (1 + ppm * 1e-6)
    payload = b"\x55" * FRAME
    for tick in range(HOUR_TICKS):
        while sent * step_s <= tick * 0.02 + 0.010:
            jitter.insert(RtpPacket(0, sent & 0xFFFF, sent * FRAME & 0xFFFFFFFF, 7, payload))
            sent += 1
        jitter.pop(quiet=tick % 300 > 200)
        if tick > 500:
            depths.append(jitter.depth_ms)
    minutes = [float(np.mean(depths[n : n + 3000])) for n in range(0, len(depths) - 3000, 3000)]
    assert max(minutes) - min(minutes) <= 20, "within one frame"
    stats = jitter.stats
    assert abs((stats.shrunk_frames if ppm > 0 else stats.stretched_frames) - 36) <= 3
    assert (stats.lost, stats.late, stats.overflow) == (0, 0, 0)


def music(frames: int) -> Pcm16:
    """Sound without a pause: three tones that never stop."""
    at = np.arange(frames * FRAME)
    wave = sum(3000 * np.sin(2 * np.pi * hz * at / 8000) for hz in (196.0, 294.0, 392.0))
    return np.asarray(wave, np.float64).astype(np.int16)


def test_a_frame_dropped_from_music_does_not_click() -> None:
    studio = Studio()
    studio.session(plan=BRIDGED)
    fast = studio.leg("c", Party.CUSTOMER)
    studio.leg("a", Party.AGENT)
    sound = music(2000)
    frames = iter(sound.reshape(-1, FRAME))
    for tick in range(1500):
        for _ in range(2 if tick % 300 == 299 else 1):  # a clock that is fast beyond belief, so as not to wait an hour
            studio.send(fast, fast.packet(next(frames)))
        studio.step()
    heard = studio.peers["a"].heard().astype(int)
    studio.apply(CloseLeg("c"))
    [closed] = [event for event in studio.plane.take_events() if isinstance(event, LegClosed)]
    assert closed.stats.counters["shrunk_frames"] >= 1
    largest = max(abs(b - a) for a, b in itertools.pairwise(sound.astype(int)))
    steps = np.abs(np.diff(heard[20 * FRAME :]))
    assert steps.max() <= 1.35 * largest, "no larger step than the music itself has"
