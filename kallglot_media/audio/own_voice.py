"""Is what comes in our own voice coming back? Compared with what was played, sample by sample.

A trunk's hybrid, a speakerphone, a loop: what a listener was told returns, later, softer and coloured. Taken for
speech it would break in on itself and be translated back. The comparison is that of an echo canceller: the delay
at which the two agree best, a short filter there, and what share of the incoming sound that filter explains. A
person who speaks over the echo is not explained by it, and so is heard.

All at 4 kHz, where an echo has nearly all its energy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import Pcm16

RATE_HZ = 4000
LOOK_MS = 160
"""So much of what came in last is looked at."""

LONGEST_DELAY_MS = 800
PLAYED_MS = LONGEST_DELAY_MS + LOOK_MS

_LOOK = LOOK_MS * RATE_HZ // 1000
_PLAYED = PLAYED_MS * RATE_HZ // 1000
_TAPS = 32  # 8 ms: what a hybrid or the direct way from loudspeaker to microphone spreads over
_BEFORE = 10  # of them, ahead of the best place
_PLACES = (_PLAYED - _LOOK) // 2 + 1
_FFT = _PLAYED // 2  # at 2 kHz; what wraps round lies beyond _PLACES

_Sound = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class OwnVoiceRules:
    """explained     of the incoming energy, the share that must be explained by what was played
    candidate     correlation that is worth a closer look
    quietest_rms  of what was played, at 16 bits: softer is taken for silence
    louder_db     an echo is at most so much louder than what was played
    """

    explained: float = 0.7
    candidate: float = 0.55
    quietest_rms: float = 60.0
    louder_db: float = 6.0


def halve(pcm: Pcm16) -> Pcm16:
    """int16[..., n] at 8 kHz to int16[..., n / 2] at 4 kHz: each two samples as their mean."""
    halved: Pcm16 = (pcm[..., ::2] >> 1) + (pcm[..., 1::2] >> 1)
    return halved


class OwnVoice:
    """One leg's. The delay that was found is tried first the next time: an echo path rarely changes."""

    def __init__(self, rules: OwnVoiceRules | None = None) -> None:
        self.rules = rules or OwnVoiceRules()
        self._delay: int | None = None  # where in `played` the look began

    def is_it(self, heard: Pcm16, played: Pcm16) -> bool:
        """Whether `heard` is an echo of `played`.

        heard   int16[640], the last 160 ms that came in, at 4 kHz, the newest at the end
        played  int16[3840], the last 960 ms that were sent before the newest 20 ms of them came, at 4 kHz
        """
        return compare([self], heard[None], played[None])[0]

    def _is_where_it_was(self, x: _Sound, p: _Sound, energy: float) -> bool:
        return self._delay is not None and self._explains(x, p, self._delay, energy)

    def _is_at(self, place: int | None, x: _Sound, p: _Sound, energy: float) -> bool:
        self._delay = place if place is not None and self._explains(x, p, place, energy) else None
        return self._delay is not None

    def _explains(self, x: _Sound, p: _Sound, place: int, energy: float) -> bool:
        """Fit a filter of 8 ms round `place`; whether it makes enough of `x`, and `x` is no louder than an echo is."""
        start = max(0, place - (_TAPS - 1 - _BEFORE))
        part = p[start : start + _LOOK + _TAPS - 1]
        if len(part) < _LOOK + _TAPS - 1:
            part = np.concatenate([part, np.zeros(_LOOK + _TAPS - 1 - len(part), np.float32)])
        if energy > float(np.dot(part, part)) * 10 ** (self.rules.louder_db / 10):
            return False
        # in one piece, or the product is not left to BLAS and takes four times as long
        shifted = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(part, _TAPS))
        square = shifted.T @ shifted
        square.flat[:: _TAPS + 1] += 1e-3 * float(square.trace()) / _TAPS + 1.0
        cross = shifted.T @ x
        taps = np.linalg.solve(square, cross)
        return float(np.dot(cross, taps)) >= self.rules.explained * energy


def compare(voices: list[OwnVoice], heard: Pcm16, played: Pcm16) -> list[bool]:
    """`is_it` of many legs at once, which costs half. heard: int16[n, 640], played: int16[n, 3840]."""
    x = heard.astype(np.float32)
    p = played.astype(np.float32)
    energies, told = np.vecdot(x, x), np.vecdot(p, p)
    is_own = [False] * len(voices)
    search: list[int] = []
    for n, voice in enumerate(voices):
        # an eighth of the time at that level is enough to come back
        if energies[n] == 0.0 or told[n] < voice.rules.quietest_rms**2 * p.shape[1] / 8:
            continue
        is_own[n] = voice._is_where_it_was(x[n], p[n], float(energies[n]))
        if not is_own[n]:
            search.append(n)
    if search:
        places = _best_places([voices[n].rules for n in search], x[search], p[search])
        for n, place in zip(search, places, strict=True):
            is_own[n] = voices[n]._is_at(place, x[n], p[n], float(energies[n]))
    return is_own


def _best_places(rules: list[OwnVoiceRules], x: _Sound, p: _Sound) -> list[int | None]:
    """Where in each `p` it looks most like `x`, to within two samples; None: nowhere. At 2 kHz: half the work."""
    x, p = x[:, ::2] + x[:, 1::2], p[:, ::2] + p[:, 1::2]
    together = np.fft.irfft(np.fft.rfft(p, _FFT) * np.conj(np.fft.rfft(x, _FFT)), _FFT)[:, :_PLACES]
    sums = np.zeros((len(p), p.shape[1] + 1))
    np.cumsum(np.square(p), axis=1, dtype=np.float64, out=sums[:, 1:])
    power = sums[:, x.shape[1] :] - sums[:, : -x.shape[1]]
    quietest = np.array([it.quietest_rms for it in rules])
    np.maximum(power, (4 * quietest**2 * x.shape[1])[:, None], out=power)
    likeness = np.square(together) / power
    best = likeness.argmax(axis=1)
    least = np.array([it.candidate for it in rules]) ** 2 * np.vecdot(x, x)
    found = likeness[np.arange(len(x)), best] > least
    return [2 * place if is_there else None for place, is_there in zip(best.tolist(), found.tolist(), strict=True)]
