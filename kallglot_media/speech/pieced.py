"""What a recogniser's results become: words with times, and the transcripts of a sound's pieces as one."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from kallglot_media.speech.types import Transcript, Word


def compression_ratio(text: str) -> float:
    """How much shorter gzip makes `text`: above 2.4 it says the same over and over."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def words_of(aligned: Iterable[tuple[str, float, float, float]]) -> tuple[Word, ...]:
    """Words from (text, start_s, end_s, probability); lone punctuation goes to the word before it."""
    words: list[Word] = []
    for text, start_s, end_s, prob in aligned:
        plain = text.strip()
        if words and not any(letter.isalnum() for letter in plain):
            words[-1] = replace(words[-1], text=words[-1].text + plain)
        elif plain:
            words.append(Word(plain, round(start_s * 1000), round(end_s * 1000), float(prob)))
    return tuple(words)


def later(part: Transcript, by_ms: int) -> Transcript:
    """A piece's transcript with the times that it has in the whole."""
    words = ((word, max(0, word.start_ms + by_ms), max(0, word.end_ms + by_ms)) for word in part.words)
    return replace(part, words=tuple(replace(word, start_ms=start, end_ms=end) for word, start, end in words))


def joined(parts: list[Transcript]) -> Transcript:
    """One transcript of all pieces; marks are those of the pieces that have words, or of the first."""
    if len(parts) == 1:
        return parts[0]
    said = [part for part in parts if part.text] or parts[:1]
    return Transcript(
        text=" ".join(part.text for part in said),
        language=said[0].language,
        language_prob=said[0].language_prob,
        confidence=float(np.mean([part.confidence for part in said])),
        no_speech_prob=min(part.no_speech_prob for part in said),
        words=tuple(word for part in said for word in part.words),
        engine_ms=0.0,
        guard=said[0].guard,
    )
