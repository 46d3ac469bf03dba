"""Recordings under a key: they grow, survive kills and full disks, are read from anywhere, and every change shows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from kallglot_media.audio.wav import read_wav
from kallglot_media.media import track_writers
from kallglot_media.media.export import ExportError, export_recording
from kallglot_media.media.recorder import MARKER, Recording, RepairFailed, repair, repair_all
from kallglot_media.media.sealed import (
    CHUNK_SAMPLES,
    HEADER_BYTES,
    KEY_VARIABLE,
    SLOT_BYTES,
    SealError,
    file_bytes,
    read_keys,
    samples_in,
)
from kallglot_media.media.track_files import TrackError, open_track
from kallglot_media.modes.plan import Party

KEY, OLD_KEY = "a1" * 32, "0b" * 32
KEYS = read_keys(KEY)
RATE_HZ = 8000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    path = tmp_path / "sess_1"
    path.mkdir()
    return path


def sound(samples: int, first: int = 0) -> npt.NDArray[np.int16]:
    """Four tracks whose every sample is another one."""
    places = np.arange(first, first + samples)
    tracks = [(places * factor % 30_011 + 1).astype(np.int16) for factor in (3, 5, 7, 11)]
    return np.ascontiguousarray(np.stack(tracks).reshape(2, 2, samples).transpose(0, 2, 1))


def recorded(folder: Path, sizes: list[int]) -> npt.NDArray[np.int16]:
    recording = Recording("sess_1", folder, RATE_HZ, KEYS)
    at = 0
    for size in sizes:
        recording.write(at, sound(size, at))
        at += size
    closed = recording.finish(at)
    assert recording.take_gaps() == []
    assert len(closed.files) == 2
    return sound(at)


def read(folder: Path, party: Party = Party.CUSTOMER) -> npt.NDArray[np.int16]:
    with open_track(folder, party) as track:
        return track.read(0, track.samples)


@pytest.mark.parametrize("sizes", [[4000] * 3, [1600, 4000, 4000, 37], [10], [9000, 1, 3999], []])
def test_what_was_written_is_read(folder: Path, sizes: list[int]) -> None:
    wanted = recorded(folder, sizes)
    for party, tracks in zip((Party.CUSTOMER, Party.AGENT), wanted, strict=True):
        assert np.array_equal(read(folder, party), tracks)
    raw = (folder / "customer.wav").read_bytes()
    assert raw[:8] == b"KGSEALED"
    if sizes:
        assert sound(20)[0].tobytes() not in raw


def test_any_part_is_read_by_itself(folder: Path) -> None:
    wanted = recorded(folder, [1234, 4000, 3000])[0]
    with open_track(folder, Party.CUSTOMER) as track:

        @settings(max_examples=40, deadline=None)
        @given(some.integers(0, 9000), some.integers(0, 9000))
        def compare(first: int, count: int) -> None:
            assert np.array_equal(track.read(first, count), wanted[first : first + count])

        compare()


def test_it_is_exported_as_any_other(folder: Path) -> None:
    wanted = recorded(folder, [4000, 4000, 500])
    exported, _ = read_wav(export_recording(folder, "agent", "wav").read_bytes())
    assert np.array_equal(exported, wanted[1])


def test_it_reads_while_it_grows_and_is_mended_after_a_kill(folder: Path) -> None:
    recording = Recording("sess_1", folder, RATE_HZ, KEYS)
    for n in range(3):
        recording.write(n * 3000, sound(3000, n * 3000))
        assert np.array_equal(read(folder), sound((n + 1) * 3000)[0])
    recording._tracks[0].write(9000, sound(700, 9000)[0].data)  # and the process dies before the agent's
    recording.abandon()
    closed = repair(folder)
    assert closed is not None
    assert {file.samples for file in closed.files} == {9700}
    assert np.array_equal(read(folder), sound(9700)[0])
    agent = read(folder, Party.AGENT)
    assert np.array_equal(agent[:9000], sound(9000)[1])
    assert not agent[9000:].any()


def test_a_slot_torn_by_a_power_cut_is_silence_and_told(folder: Path) -> None:
    recording = Recording("sess_1", folder, RATE_HZ, KEYS)
    recording.write(0, sound(9000))
    recording.abandon()
    path = folder / "customer.wav"
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES + SLOT_BYTES + 100)
        file.write(bytes(50))
    with pytest.raises(TrackError, match="slot 1 "):
        read(folder)
    assert repair(folder) is not None
    mended = read(folder)
    assert np.array_equal(mended[:4000], sound(4000)[0])
    assert not mended[4000:8000].any()
    assert np.array_equal(mended[8000:], sound(9000)[0][8000:])
    assert '"first_sample": 4000' in (folder / "recording.json").read_text()


def test_a_full_disk_leaves_silence_and_it_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording("sess_1", folder, RATE_HZ, KEYS)
    recording.write(0, sound(5000))

    def refuse(fd: int, data: object, offset: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(track_writers, "write_at", refuse)
        for at in (5000, 9000, 13_000):
            recording.write(at, sound(4000, at))
    recording.write(17_000, sound(4000, 17_000))
    closed = recording.finish(21_000)
    assert {file.samples for file in closed.files} == {21_000}
    gaps = recording.take_gaps()
    assert sum(gap.samples for gap in gaps) == 12_000
    heard = read(folder)
    assert np.array_equal(heard[:5000], sound(5000)[0])
    assert np.array_equal(heard[17_000:], sound(21_000)[0][17_000:])
    assert not heard[8000:16_000].any()


def test_every_change_is_noticed(folder: Path) -> None:
    recorded(folder, [9000])
    path = folder / "customer.wav"
    whole = path.read_bytes()

    def refused(changed: bytes, why: str) -> None:
        path.write_bytes(changed)
        with pytest.raises(TrackError, match=why):
            read(folder)

    flipped = bytearray(whole)
    flipped[HEADER_BYTES + 500] ^= 1
    refused(bytes(flipped), r"slot 0 \(from 0 s on\) was changed")
    first, second = (whole[HEADER_BYTES + n * SLOT_BYTES :][:SLOT_BYTES] for n in range(2))
    refused(whole[:HEADER_BYTES] + second + first + whole[HEADER_BYTES + 2 * SLOT_BYTES :], "slot 0")
    refused(whole[: file_bytes(8000)], "has 8000 samples, it was finished with 9000")
    refused(whole[:12] + b"\1" + whole[13:], "header that was changed")
    refused(whole[:50], "header is cut off")
    other = (folder / "agent.wav").read_bytes()
    refused(whole[:HEADER_BYTES] + other[HEADER_BYTES:], "slot 0")


def test_keys_that_do_not_fit_are_named_and_never_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(folder, [100])
    monkeypatch.setenv(KEY_VARIABLE, OLD_KEY)
    with pytest.raises(ExportError, match=f"was sealed with key .*, there is .*; set {KEY_VARIABLE}") as refused:
        export_recording(folder, "customer", "wav")
    assert OLD_KEY not in str(refused.value)
    monkeypatch.setenv(KEY_VARIABLE, "not a key")
    with pytest.raises(ExportError, match="recording key 1 has 9 characters") as refused:
        export_recording(folder, "customer", "wav")
    assert "not a key" not in str(refused.value)
    monkeypatch.setenv(KEY_VARIABLE, f"{OLD_KEY}, {KEY}")
    assert len(read(folder)) == 100, "an older key still opens what it sealed"


def test_a_repair_without_the_key_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording("sess_1", folder, RATE_HZ, KEYS)
    recording.write(0, sound(5000))
    recording.abandon()
    before = (folder / "customer.wav").read_bytes()
    for value, why in (("", f"set {KEY_VARIABLE}"), (OLD_KEY, "was sealed with key")):
        monkeypatch.setenv(KEY_VARIABLE, value)
        [failed] = repair_all(folder.parent)
        assert isinstance(failed, RepairFailed)
        assert why in failed.why
        assert (folder / "customer.wav").read_bytes() == before
        assert (folder / MARKER).exists()
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert repair(folder) is not None


@given(some.integers(0, 10**9))
def test_lengths_and_file_sizes_agree(samples: int) -> None:
    assert samples_in(file_bytes(samples)) == samples


def test_keys_are_read_in_both_spellings() -> None:
    import base64

    raw = os.urandom(32)
    assert read_keys(raw.hex()) == read_keys(base64.b64encode(raw).decode()) == (raw,)
    assert read_keys(" ") == ()
    assert CHUNK_SAMPLES * 2 == RATE_HZ, "half a second"
    with pytest.raises(SealError, match="openssl rand -hex 32"):
        read_keys("12")
