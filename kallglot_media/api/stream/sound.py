"""How sound is coded on the stream, to and from the media plane's µ-law at 8 kHz."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kallglot_media.audio import g711
from kallglot_media.audio.halfband import Doubler, Halver
from kallglot_media.call.stream_leg import StreamAudio

ALAW = StreamAudio("alaw", 8000)
"""Only on the media streams of carriers."""

_BYTES_A_SAMPLE: Mapping[str, int] = {"mulaw": 1, "alaw": 1, "pcm_s16le": 2}
_EVERY_CODE = np.arange(256, dtype=np.uint8)
_TO_MULAW = g711.ulaw_encode(g711.alaw_decode(_EVERY_CODE)).tobytes()
_TO_ALAW = g711.alaw_encode(g711.ulaw_decode(_EVERY_CODE)).tobytes()


def bytes_a_second(audio: StreamAudio) -> int:
    """bytes_a_second(StreamAudio("pcm_s16le", 16000)) == 32000"""
    return audio.rate_hz * _BYTES_A_SAMPLE[audio.encoding]


class Ear:
    """One party's sound, from the client."""

    def __init__(self, audio: StreamAudio) -> None:
        self._encoding = audio.encoding
        self._halver = Halver() if audio.rate_hz == 16_000 else None

    def hear(self, payload: bytes) -> bytes:
        """The same as µ-law at 8 kHz. payload: whole samples."""
        if self._encoding == "mulaw":
            return payload
        if self._encoding == "alaw":
            return payload.translate(_TO_MULAW)
        pcm = np.frombuffer(payload, "<i2").astype(np.int16)
        return g711.ulaw_encode(pcm if self._halver is None else self._halver.push(pcm)).tobytes()


class Mouth:
    """What one party hears, to the client."""

    def __init__(self, audio: StreamAudio) -> None:
        self._encoding = audio.encoding
        self._wide = audio.rate_hz == 16_000
        self._doubler = Doubler()
        self._next_sample = -1

    def say(self, first_sample: int, sound: bytes) -> bytes:
        """µ-law at 8 kHz as the client has it. After a pause nothing of what went before sounds on."""
        if self._encoding == "mulaw":
            return sound
        if self._encoding == "alaw":
            return sound.translate(_TO_ALAW)
        pcm = g711.ulaw_decode(np.frombuffer(sound, np.uint8))
        if self._wide:
            if first_sample != self._next_sample:
                self._doubler = Doubler()
            self._next_sample = first_sample + len(sound)
            pcm = self._doubler.push(pcm)
        return pcm.astype("<i2").tobytes()
