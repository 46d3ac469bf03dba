"""A telephone line to train on: what a voice goes through before a recogniser gets it.

G.711 with the product's own tables, packet loss with the product's own concealment; besides these noise, gain, echo,
clipping and a handset's band. All by a given random generator: the same seed makes the same line.
"""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import soxr

from kallglot_media.audio.conceal import Concealer
from kallglot_media.audio.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from train_starter.mix import FULL, Mix

Pcm16 = npt.NDArray[np.int16]
Sound = npt.NDArray[np.float32]

WIDE_HZ, NARROW_HZ = 16_000, 8_000
FRAME_SAMPLES = 160


def as_pcm(sound: Sound) -> Pcm16:
    """Rounded and cut off at the ends of the scale."""
    return np.asarray(np.clip(np.rint(sound), -32768, 32767), dtype=np.int16)


def _quick(samples: int) -> int:
    """A length that a Fourier transform is fast with, not shorter."""
    return -(-samples // 4096) * 4096


def noise(rng: np.random.Generator, samples: int, colour: float) -> Sound:
    """Noise of unit power; colour 0 is white, 1 falls by 3 dB an octave, 2 by 6."""
    spectrum = np.fft.rfft(rng.standard_normal(_quick(samples)).astype(np.float32))
    spectrum /= np.maximum(1.0, np.arange(len(spectrum))) ** (colour / 2)
    made = np.fft.irfft(spectrum)[:samples].astype(np.float32)
    return np.asarray(made / max(1e-9, float(np.sqrt(np.mean(made**2)))), dtype=np.float32)


def with_noise(sound: Sound, rng: np.random.Generator, snr_db: float) -> Sound:
    """Noise of some colour under it; the ratio is to the mean power of the sound."""
    power = float(np.sqrt(np.mean(sound**2)))
    return sound + noise(rng, len(sound), rng.uniform(0, 2)) * np.float32(power * 10 ** (-snr_db / 20))


def with_echo(sound: Sound, delay_samples: int, gain: float) -> Sound:
    """Itself once more, later and softer."""
    made = sound.copy()
    made[delay_samples:] += np.float32(gain) * sound[: len(sound) - delay_samples]
    return made


def handset(sound: Sound, rate_hz: int) -> Sound:
    """300 to 3400 Hz."""
    length = _quick(len(sound))
    spectrum = np.fft.rfft(sound, length)
    frequencies = np.fft.rfftfreq(length, 1 / rate_hz)
    shape = 1 / (1 + (300 / np.maximum(frequencies, 1)) ** 6) / (1 + (frequencies / 3400) ** 12)
    return np.asarray(np.fft.irfft(spectrum * shape)[: len(sound)], dtype=np.float32)


def with_loss(pcm: Pcm16, rng: random.Random, share: float, longest_burst: int = 3) -> Pcm16:
    """8 kHz sound of whose 20 ms frames `share` are lost, singly and in bursts, and concealed."""
    concealer, heard, burst = Concealer(NARROW_HZ), [], 0
    for start in range(0, len(pcm) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        if burst == 0 and rng.random() < share / (1 + longest_burst) * 2:
            burst = rng.randint(1, longest_burst)
        if burst:
            burst -= 1
            heard.append(concealer.conceal())
        else:
            heard.append(concealer.good(pcm[start : start + FRAME_SAMPLES]))
    return np.concatenate([*heard, pcm[len(heard) * FRAME_SAMPLES :]])


def bad_mobile(pcm: Pcm16, rng: random.Random) -> Pcm16:
    """A mobile phone with one bar: few bits, and now and then the frame before again, softer."""
    step = np.float32(2 ** rng.uniform(5, 8.3))
    sound: Sound = np.round(handset(pcm.astype(np.float32), WIDE_HZ) / step) * step
    frame, every = 2 * FRAME_SAMPLES, rng.randint(8, 20)
    for at in range(frame * every, len(sound) - frame, frame * every):
        sound[at : at + frame] = sound[at - frame : at] * np.float32(0.7)
    return as_pcm(sound)


def telephone(pcm: Pcm16, rng: random.Random, loss: float = 0.0) -> Pcm16:
    """16 kHz → G.711 (either law) over a network that loses `loss` of the frames → 16 kHz."""
    narrow = np.asarray(soxr.resample(pcm, WIDE_HZ, NARROW_HZ), dtype=np.int16)
    narrow = ulaw_decode(ulaw_encode(narrow)) if rng.random() < 0.5 else alaw_decode(alaw_encode(narrow))
    if loss:
        narrow = with_loss(narrow, rng, loss)
    wide = np.asarray(soxr.resample(narrow, NARROW_HZ, WIDE_HZ), dtype=np.int16)
    return np.pad(wide, (0, max(0, len(pcm) - len(wide))))[: len(pcm)]


def line(pcm: Pcm16, rng: random.Random, mix: Mix = FULL) -> Pcm16:
    """A line by chance: everything above, each at its share. As long as before."""
    noises = np.random.default_rng(rng.getrandbits(63))
    sound = pcm.astype(np.float32) * np.float32(10 ** (rng.uniform(-18, 3) / 20))
    if rng.random() < mix.echo:
        sound = with_echo(sound, rng.randrange(800, 4800), rng.uniform(0.05, 0.3))
    if rng.random() < mix.noisy:
        sound = with_noise(sound, noises, rng.uniform(mix.least_snr_db, 40))
    if rng.random() < mix.clipped:
        sound *= np.float32(32767 / max(1.0, float(np.abs(sound).max())) * rng.uniform(1.2, 2.5))
    if rng.random() >= mix.telephone:
        return as_pcm(sound)
    if rng.random() < mix.handset:
        sound = handset(sound, WIDE_HZ)
    if rng.random() < mix.bad_mobile:
        sound = bad_mobile(telephone(as_pcm(sound), rng), rng).astype(np.float32)
    return telephone(as_pcm(sound), rng, rng.uniform(0.01, 0.08) if rng.random() < mix.lossy else 0.0)
