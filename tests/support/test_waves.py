"""WAV files come back as they were written, and files of killed writers can be read."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tests.support.waves import NotWav, babble, read_mono, read_wav, script, to_rate, write_wav


def test_two_channels_come_back_as_written(tmp_path: Path) -> None:
    both = np.stack([babble(0.5), babble(0.5, seed=8)], axis=1)
    pcm, rate_hz = read_wav(write_wav(tmp_path / "x.wav", both, 16000))
    assert rate_hz == 16000
    np.testing.assert_array_equal(pcm, both)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_header_that_was_never_finished_is_read_to_the_end(tmp_path: Path, length: int) -> None:
    path = write_wav(tmp_path / "x.wav", babble(0.5))
    data = bytearray(path.read_bytes() + b"\x01")
    struct.pack_into("<I", data, 40, length)
    path.write_bytes(data)
    np.testing.assert_array_equal(read_mono(path), babble(0.5))


def test_what_is_not_a_wav_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"ID3 and so on and on")
    with pytest.raises(NotWav, match="not RIFF"):
        read_wav(path)


def test_a_script_is_sounds_and_pauses() -> None:
    pcm = script(0.5, babble(1.0), 0.25)
    assert len(pcm) == 14000
    assert not pcm[:4000].any()
    assert not pcm[-2000:].any()
    assert len(to_rate(pcm, 8000, 16000)) == 28000
