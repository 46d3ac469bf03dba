"""What passes between the pool and a worker: msgpack in frames of a 4-byte length.

    pool → worker   {"id": 7, "args": ["Guten Tag.", "de", "en"]}
    worker → pool   {"ready": {…facts…}}   or   {"failed": [where, wrong, mend]}, once
                    {"id": 7, "ok": {…}}   or   {"id": 7, "error": "UnknownPair", "why": "…"}
    pool → worker   {"id": 8, "all": [[…], […]]}: several, to be done in one go
    worker → pool   {"id": 8, "all": [{"ok": {…}}, {"error": …, "why": …}]}

Sound is int16 little-endian bytes. The two ends are the same program, so what does not parse is a bug
of ours and raises.
"""

from __future__ import annotations

import struct
from typing import Any

import msgpack
import numpy as np

from kallglot_media.speech import types
from kallglot_media.speech.types import Pcm16, Speech, Transcript, Translation, Word

LONGEST_FRAME_BYTES = 64 * 1024 * 1024
"""More than half an hour of speech: a longer frame is a broken stream."""

_LENGTH = struct.Struct(">I")

ERRORS: dict[str, type[types.SpeechError]] = {
    kind.__name__: kind for kind in (types.EngineFailed, types.UnknownPair, types.UnknownVoice)
}

Result = Transcript | Translation | Speech


class WireError(Exception):
    """The other end sent what this module never makes."""


def frame(message: dict[str, Any]) -> bytes:
    """One message as it goes over the socket."""
    body: bytes = msgpack.packb(message)
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Bytes in, in pieces of any size; whole messages out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that `data` completes."""
        self._held += data
        messages: list[dict[str, Any]] = []
        while len(self._held) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._held)
            if length > LONGEST_FRAME_BYTES:
                raise WireError(f"a frame of {length} bytes; the longest is {LONGEST_FRAME_BYTES}")
            end = _LENGTH.size + length
            if len(self._held) < end:
                break
            messages.append(_message(bytes(self._held[_LENGTH.size : end])))
            del self._held[:end]
        return messages


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = msgpack.unpackb(body)
    except ValueError as error:
        raise WireError(f"a frame of {len(body)} bytes is not msgpack: {error}") from None
    if not isinstance(message, dict):
        raise WireError(f"a message is a map, got {type(message).__name__}")
    return message


def pack_pcm(pcm: Pcm16) -> bytes:
    """int16 samples as little-endian bytes."""
    return pcm.astype("<i2", copy=False).tobytes()


def unpack_pcm(data: bytes) -> Pcm16:
    """The samples that `pack_pcm` packed; read-only, as they lie in the message."""
    return np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)


def pack_result(result: Result) -> dict[str, Any]:
    """A result as plain data."""
    match result:
        case Transcript():
            words = [[word.text, word.start_ms, word.end_ms, word.prob] for word in result.words]
            return {
                "text": result.text,
                "language": result.language,
                "language_prob": result.language_prob,
                "confidence": result.confidence,
                "no_speech_prob": result.no_speech_prob,
                "words": words,
                "engine_ms": result.engine_ms,
                "guard": result.guard,
            }
        case Translation():
            return {
                "text": result.text,
                "source": result.source,
                "target": result.target,
                "engine_ms": result.engine_ms,
                "repaired": result.repaired,
                "missing": result.missing,
            }
        case Speech():
            return {"pcm": pack_pcm(result.pcm), "rate_hz": result.rate_hz, "engine_ms": result.engine_ms}


def unpack_transcript(data: dict[str, Any]) -> Transcript:
    """The Transcript that `pack_result` packed."""
    return Transcript(**{**data, "words": tuple(Word(*word) for word in data["words"])})


def unpack_translation(data: dict[str, Any]) -> Translation:
    """The Translation that `pack_result` packed."""
    return Translation(**data)


def unpack_speech(data: dict[str, Any]) -> Speech:
    """The Speech that `pack_result` packed."""
    return Speech(unpack_pcm(data["pcm"]), data["rate_hz"], data["engine_ms"])


def pack_error(error: Exception, said: str = "") -> dict[str, Any]:
    """An engine's exception by name; anything that is not a SpeechError is an EngineFailed.

    said  the words that it failed on: libraries quote their input, and what was said must not reach a log
    """
    name = type(error).__name__
    if name in ERRORS:
        return {"error": name, "why": str(error)}
    why = str(error)
    for word in sorted(set(said.split()), key=len, reverse=True):
        if len(word) > 2:  # "a" is in every message
            why = why.replace(word, "…")
    return {"error": "EngineFailed", "why": f"{name}: {why}"}


def unpack_error(message: dict[str, Any]) -> types.SpeechError:
    """The exception that `pack_error` packed."""
    return ERRORS.get(message["error"], types.EngineFailed)(message["why"])
