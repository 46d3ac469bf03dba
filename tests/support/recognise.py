"""The starter recogniser as a judge of what was heard: word errors against what should have been heard."""

from __future__ import annotations

import jiwer

from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, Recognizer
from tests.support import correlate
from tests.support.waves import RATE_HZ, Pcm16, to_rate


class Ear:
    """Listens to 8 kHz sound, one stretch of speech after the other."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer

    def words(self, heard: Pcm16, language: str) -> str:
        """What is said in it."""
        parts = [correlate.cut(heard, stretch) for stretch in correlate.sounds(heard, floor_dbfs=-45, join_s=0.6)]
        texts = [self._transcribe(part, language) for part in parts if len(part) > RATE_HZ // 4]
        return " ".join(text for text in texts if text)

    def word_errors(self, heard: Pcm16, language: str, expected: str) -> float:
        """Word error rate, 0.0–1.0 and above, without case and punctuation."""
        return float(jiwer.wer(_plain(expected), _plain(self.words(heard, language)) or "-"))

    def _transcribe(self, pcm: Pcm16, language: str) -> str:
        return self._recognizer.transcribe(to_rate(pcm, RATE_HZ, RECOGNIZER_RATE_HZ), language).text


def _plain(text: str) -> str:
    return " ".join("".join(char.lower() if char.isalnum() else " " for char in text).split())
