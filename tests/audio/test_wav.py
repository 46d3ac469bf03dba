from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.audio.wav import (
    HEADER_BYTES,
    WavError,
    WavInfo,
    fix_sizes,
    parse_wav_header,
    read_wav,
    wav_bytes,
    wav_header,
)


@given(some.integers(1, 8), some.integers(1, 192_000), some.integers(0, 2**40))
def test_every_header_comes_back(channels: int, rate_hz: int, frames: int) -> None:
    head = wav_header(rate_hz, channels, frames * channels * 2)
    assert len(head) == HEADER_BYTES
    assert parse_wav_header(head) == WavInfo(channels, rate_hz, HEADER_BYTES, frames * channels * 2)


@pytest.mark.parametrize("shape", [(160,), (160, 2)])
def test_other_readers_understand_it(shape: tuple[int, ...]) -> None:
    pcm = np.random.default_rng(0).integers(-32768, 32767, shape).astype(np.int16)
    with wave.open(io.BytesIO(wav_bytes(pcm, 8000))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, len(shape), 160)
        assert file.readframes(160) == pcm.tobytes()
    again, rate_hz = read_wav(wav_bytes(pcm, 8000))
    assert rate_hz == 8000
    assert np.array_equal(again, pcm)


def test_what_others_write_is_understood() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((2, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(64))
    assert parse_wav_header(buffer.getvalue()) == WavInfo(2, 16_000, 44, 64)
    odd_chunk = b"LIST\x03\x00\x00\x00abc\x00"
    data = buffer.getvalue()
    assert read_wav(data[:12] + odd_chunk + data[12:])[0].shape == (16, 2)


def test_extensible_pcm_is_pcm() -> None:
    data = wav_bytes(np.arange(4, dtype=np.int16), 8000)
    form = b"\xfe\xff" + data[58:72] + b"\x16\x00" + b"\x10\x00" + bytes(4) + b"\x01\x00" + bytes(14)
    extensible = data[:12] + b"fmt " + len(form).to_bytes(4, "little") + form + data[72:]
    assert read_wav(extensible)[0].tolist() == [0, 1, 2, 3]


def test_beyond_4_gib_it_is_rf64() -> None:
    head = wav_header(8000, 2, 2**32)
    assert head[:4] == b"RF64"
    assert wav_header(8000, 2, 2**32 - 200)[:4] == b"RIFF"


def test_a_file_that_was_cut_is_mended() -> None:
    pcm = np.arange(200, dtype=np.int16).reshape(100, 2)
    growing = wav_header(8000, 2, 80) + pcm.tobytes()[:203]  # the header is behind, half a sample at the end
    head, length = fix_sizes(growing[:HEADER_BYTES], len(growing))
    assert length == HEADER_BYTES + 200
    again, _ = read_wav(head + growing[HEADER_BYTES:length])
    assert np.array_equal(again, pcm[:50])
    assert fix_sizes(growing[:HEADER_BYTES], HEADER_BYTES)[1] == HEADER_BYTES


def test_sizes_that_were_never_set_give_what_is_there() -> None:
    data = wav_header(8000, 1, 0) + bytes(33)
    assert len(read_wav(data)[0]) == 16


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "does not start with RIFF"),
        (b"OggS" + bytes(40), "but with b'OggS"),
        (wav_header(8000, 1, 0)[:72], "no data chunk in the first 72 bytes"),
        (wav_header(8000, 1, 0)[:12] + wav_header(8000, 1, 0)[72:], "data chunk at byte 12 comes before the fmt chunk"),
        (wav_header(8000, 1, 0).replace(b"\x10\x00data", b"\x08\x00data"), "coding 1 with 8 bits; want PCM"),
        (wav_header(8000, 1, 0).replace(b"\x01\x00\x01\x00", b"\x07\x00\x01\x00"), "coding 7 with 16 bits"),
        (
            wav_header(8000, 1, 0).replace(b"\x01\x00\x01\x00", b"\x01\x00\x03\x00"),
            "3 channels at 8000 Hz in blocks of 2",
        ),
        (wav_header(8000, 1, 0)[:12] + b"fmt \x02\x00\x00\x00ab" + bytes(8), "fmt chunk has 2 bytes"),
    ],
)
def test_the_mistake_is_named(data: bytes, wrong: str) -> None:
    with pytest.raises(WavError, match=wrong):
        parse_wav_header(data)


def test_only_our_own_files_are_mended() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
    with pytest.raises(WavError, match="samples start at byte 44"):
        fix_sizes(buffer.getvalue(), 44)


@given(
    some.binary(max_size=100), some.sampled_from([b"", wav_header(8000, 1, 8)[:60], wav_header(8000, 1, 2**33)[:20]])
)
def test_no_bytes_can_raise_anything_but_wav_error(data: bytes, head: bytes) -> None:
    try:
        read_wav(head + data)
    except WavError:
        return
