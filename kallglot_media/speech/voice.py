"""Is there a human voice in a sound? Silero, from inside faster-whisper, asked before Whisper's time is spent.

webrtcvad, which cuts utterances, takes music, fax and much noise for speech; Silero does not.
"""

from __future__ import annotations

import numpy as np
from faster_whisper.vad import get_vad_model

from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, Pcm16

WINDOW_SAMPLES = 512
LIKELY_PROB = 0.5


def voiced_ms(pcm: Pcm16) -> int:
    """How much of `pcm` (16 kHz) is likely to be somebody speaking. 4 to 15 ms of a core for an utterance.

    One model for the whole process: call it from one thread.
    """
    if not len(pcm):
        return 0
    sound = pcm.astype(np.float32) / np.float32(32768)  # a copy: the model writes into what it is given
    whole = np.concatenate([sound, np.zeros(-len(sound) % WINDOW_SAMPLES, np.float32)])
    likely = get_vad_model()(whole).ravel() > LIKELY_PROB
    return int(likely.sum()) * WINDOW_SAMPLES * 1000 // RECOGNIZER_RATE_HZ
