"""What a recogniser should know of a sound before and after it listens: level, liveliness, where to cut."""

from __future__ import annotations

import numpy as np

from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, Pcm16

FRAME_SAMPLES = RECOGNIZER_RATE_HZ // 50
QUIETEST_SPEECH_DBFS = -55.0
"""A loudest frame below this is no speech: a telephone's own noise lies around -65 dBFS."""

DIGITAL_SILENCE_DBFS = -90.0
VOICE_DB, LEAD_MS = 30.0, 100
"""So far below the loudest frame a voice is still heard; and the silence that is put before one that begins at once."""

LEAST_HEARD_MS, LEAST_REST_MS, MOST_MS_A_LETTER = 500, 1000, 110
"""Of a sound up to its last word, of a voice after it, and of a text that may be whole."""

LEAST_SPREAD_DB = 3.0
"""Speech rises and falls by 20 dB and more within a word; hum, hiss and tones keep their level."""


def frame_levels_dbfs(pcm: Pcm16) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The level of each whole 20 ms, in dB below full scale; digital silence is -100."""
    whole = len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES
    frames = pcm[:whole].astype(np.float64).reshape(-1, FRAME_SAMPLES) / 32768
    return np.asarray(10 * np.log10(np.mean(frames**2, axis=1) + 1e-10))


def may_be_speech(pcm: Pcm16) -> bool:
    """False when a sound is too quiet or too even to be speech, whatever a model would make of it."""
    levels = frame_levels_dbfs(pcm)
    if len(levels) == 0 or levels.max() < QUIETEST_SPEECH_DBFS:
        return False
    heard = np.flatnonzero(levels > DIGITAL_SILENCE_DBFS)
    loud, soft = np.percentile(levels[heard[0] : heard[-1] + 1], (90, 20))
    return bool(loud - soft >= LEAST_SPREAD_DB)


def voice_end_ms(pcm: Pcm16) -> int:
    """Where the last 20 ms end that are at most VOICE_DB below the loudest; 0 for no sound."""
    levels = frame_levels_dbfs(pcm)
    return int(np.flatnonzero(levels > levels.max() - VOICE_DB)[-1]) * 20 + 20 if len(levels) else 0


def led_in(pcm: Pcm16) -> tuple[Pcm16, int]:
    """A sound that begins in a voice with LEAD_MS of silence before it, and how much that is; else as it is, and 0.

    What is cut off behind a clause begins so. Without any silence the starter's recogniser misses a short first word.
    """
    levels = frame_levels_dbfs(pcm)
    if not len(levels) or levels[:3].max() < levels.max() - VOICE_DB:
        return pcm, 0
    return np.concatenate([np.zeros(LEAD_MS * RECOGNIZER_RATE_HZ // 1000, dtype=np.int16), pcm]), LEAD_MS


def quietest_ms(pcm: Pcm16, first_ms: int, last_ms: int) -> int:
    """The middle of the quietest 20 ms between two places."""
    per_ms = RECOGNIZER_RATE_HZ // 1000
    levels = frame_levels_dbfs(pcm[first_ms * per_ms : last_ms * per_ms])
    return first_ms + (int(np.argmin(levels)) * 20 + 10 if len(levels) else 0)


def unheard_from_ms(pcm: Pcm16, last_word_ms: int, letters: int) -> int | None:
    """Where to listen again, when a text of so many letters ends so early that a voice goes on behind it; else None.

    Never so near the beginning (misplaced words) that what is left would be as long as the whole, again and again.
    """
    end_ms = voice_end_ms(pcm)
    is_whole = letters * MOST_MS_A_LETTER >= end_ms or end_ms - last_word_ms < LEAST_REST_MS
    if is_whole or last_word_ms < LEAST_HEARD_MS:
        return None
    return quietest_ms(pcm, last_word_ms, last_word_ms + LEAST_REST_MS // 2)


def pieces(pcm: Pcm16, longest_samples: int) -> list[Pcm16]:
    """`pcm` cut into pieces of at most `longest_samples`, each cut at the quietest place of its last third."""
    cut: list[Pcm16] = []
    while len(pcm) > longest_samples:
        earliest = longest_samples * 2 // 3 // FRAME_SAMPLES * FRAME_SAMPLES
        levels = frame_levels_dbfs(pcm[earliest:longest_samples])
        smooth = np.convolve(levels, np.ones(5) / 5, "same")
        at = earliest + int(np.argmin(smooth)) * FRAME_SAMPLES + FRAME_SAMPLES // 2
        cut.append(pcm[:at])
        pcm = pcm[at:]
    return [*cut, pcm]
