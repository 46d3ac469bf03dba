from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from kallglot_media.audio.g711 import (
    ALAW_SILENCE,
    ALAW_TO_PCM,
    DECODERS,
    ENCODERS,
    PCM_TO_ALAW,
    PCM_TO_ULAW,
    ULAW_SILENCE,
    ULAW_TO_PCM,
    alaw_encode,
    ulaw_decode,
    ulaw_encode,
)

EVERY_SAMPLE = np.arange(65536, dtype=np.uint16).view(np.int16)


def ulaw_compress(sample: int) -> int:
    """One sample as ITU-T G.191 `ulaw_compress` does it."""
    magnitude = min((~sample >> 2 if sample < 0 else sample >> 2) + 33, 0x1FFF)
    segment = (magnitude >> 6).bit_length() + 1
    code = (8 - segment) << 4 | (15 - (magnitude >> segment & 15))
    return code if sample < 0 else code | 0x80


def alaw_compress(sample: int) -> int:
    """One sample as ITU-T G.191 `alaw_compress` does it."""
    code = ~sample >> 4 if sample < 0 else sample >> 4
    if code > 15:
        exponent = 1
        while code > 31:
            code >>= 1
            exponent += 1
        code = code - 16 + (exponent << 4)
    return (code if sample < 0 else code | 0x80) ^ 0x55


def test_every_sample_is_coded_as_the_itu_reference_does() -> None:
    assert PCM_TO_ULAW[EVERY_SAMPLE.view(np.uint16)].tolist() == [ulaw_compress(int(s)) for s in EVERY_SAMPLE]
    assert PCM_TO_ALAW[EVERY_SAMPLE.view(np.uint16)].tolist() == [alaw_compress(int(s)) for s in EVERY_SAMPLE]


def test_known_values_of_the_decoders() -> None:
    """G.711 tables 1 and 2: the outermost values of each segment, at 16 bit."""
    assert ULAW_TO_PCM[[0x80, 0x8F, 0x90, 0xEF, 0xF0, 0xFE, 0xFF]].tolist() == [32124, 16764, 15996, 132, 120, 8, 0]
    assert ULAW_TO_PCM[[0x00, 0x7E, 0x7F]].tolist() == [-32124, -8, 0]
    assert ALAW_TO_PCM[[0xAA, 0xA5, 0xD5, 0xD4]].tolist() == [32256, 16896, 8, 24]
    assert ALAW_TO_PCM[[0x2A, 0x55]].tolist() == [-32256, -8]


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_a_code_survives_decoding_and_encoding(codec: str) -> None:
    codes = np.arange(256, dtype=np.uint8)
    again = ENCODERS[codec](DECODERS[codec](codes))
    minus_zero = 0x7F if codec == "PCMU" else None  # µ-law has two zeros
    assert [int(c) for c in codes if again[c] != c] == ([minus_zero] if minus_zero is not None else [])


def test_silence_codes_are_the_quietest() -> None:
    silence = np.zeros(1, np.int16)
    assert ulaw_encode(silence)[0] == ULAW_SILENCE
    assert alaw_encode(silence)[0] == ALAW_SILENCE


@given(arrays.arrays(np.int16, some.tuples(some.integers(0, 4), some.integers(0, 9))))
def test_any_shape_goes_through_and_the_error_is_within_the_step(
    pcm: np.ndarray[tuple[int, int], np.dtype[np.int16]],
) -> None:
    back = ulaw_decode(ulaw_encode(pcm))
    assert back.shape == pcm.shape
    error = np.abs(back.astype(int) - pcm)
    assert (error <= np.maximum(4, np.abs(pcm.astype(int)) // 16)).all() or np.abs(pcm.astype(int)).max() > 32_124


def test_the_tables_agree_with_ffmpeg() -> None:
    av = pytest.importorskip("av")
    for codec, decode in (("pcm_mulaw", ULAW_TO_PCM), ("pcm_alaw", ALAW_TO_PCM)):
        context = av.CodecContext.create(codec, "r")
        context.sample_rate, context.layout = 8000, "mono"
        (frame,) = context.decode(av.Packet(bytes(range(256))))
        assert frame.to_ndarray().ravel().tolist() == decode.tolist()
