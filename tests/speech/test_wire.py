"""Messages between the pool and a worker."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.speech import wire
from kallglot_media.speech.types import EngineFailed, Speech, Transcript, Translation, UnknownPair, UnknownVoice, Word


@given(some.lists(some.binary(max_size=50), max_size=5), some.integers(1, 20))
def test_messages_survive_being_cut_anywhere(bodies: list[bytes], step: int) -> None:
    stream = b"".join(wire.frame({"body": body}) for body in bodies)
    reader = wire.FrameReader()
    got = [message for at in range(0, len(stream), step) for message in reader.feed(stream[at : at + step])]
    assert got == [{"body": body} for body in bodies]


def test_a_length_that_no_message_has_is_a_broken_stream() -> None:
    with pytest.raises(wire.WireError, match="a frame of 4294967295 bytes"):
        wire.FrameReader().feed(b"\xff\xff\xff\xff")


@pytest.mark.parametrize("body", [b"\xc1", b"\x01", b""])
def test_what_is_no_map_is_a_broken_stream(body: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.FrameReader().feed(struct.pack(">I", len(body)) + body)


def test_results_come_back_as_they_went() -> None:
    transcript = Transcript("Ja.", "de", 0.9, 0.8, 0.1, (Word("Ja.", 0, 240, 0.7),), 12.5)
    translation = Translation("Yes.", "de", "en", 3.0)
    speech = Speech(np.array([0, -32768, 32767], dtype=np.int16), 16_000, 2.0)
    assert wire.unpack_transcript(wire.pack_result(transcript)) == transcript
    assert wire.unpack_translation(wire.pack_result(translation)) == translation
    back = wire.unpack_speech(wire.pack_result(speech))
    assert (back.pcm.tolist(), back.rate_hz) == ([0, -32768, 32767], 16_000)
    assert back.pcm.dtype == np.int16


@pytest.mark.parametrize("error", [UnknownPair("no de→fi"), UnknownVoice("no fi"), EngineFailed("no memory")])
def test_engine_errors_keep_their_type_and_words(error: Exception) -> None:
    back = wire.unpack_error(wire.pack_error(error))
    assert (type(back), str(back)) == (type(error), str(error))


def test_any_other_error_is_the_engines_failure() -> None:
    back = wire.unpack_error(wire.pack_error(ZeroDivisionError("division by zero")))
    assert (type(back), str(back)) == (EngineFailed, "ZeroDivisionError: division by zero")
