"""Exports are listened to: every format and channel is decoded again and compared with what was recorded."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from kallglot_media.audio.wav import read_wav, wav_bytes
from kallglot_media.media.export import CHANNELS, FORMATS, ExportChannel, ExportError, ExportFormat, export_recording
from kallglot_media.media.recorder import Recording
from kallglot_media.modes.plan import Party

RATE_HZ = 8000
SECONDS = 12
FREQUENCIES_HZ = {"said by customer": 400, "customer made over": 700, "said by agent": 1100, "agent made over": 1600}


def tone(frequency_hz: int, samples: int = SECONDS * RATE_HZ) -> npt.NDArray[np.int16]:
    wave = 5000 * np.sin(2 * np.pi * frequency_hz * np.arange(samples) / RATE_HZ)
    return np.asarray(np.rint(wave), np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded session of four tones."""
    path = tmp_path_factory.mktemp("session")
    tracks = np.stack([tone(frequency) for frequency in FREQUENCIES_HZ.values()]).reshape(2, 2, -1).transpose(0, 2, 1)
    recording = Recording("s", path, RATE_HZ)
    recording.write(0, np.ascontiguousarray(tracks))
    recording.finish(SECONDS * RATE_HZ)
    return path


def decoded(path: Path) -> tuple[npt.NDArray[np.float64], int]:
    """float[channels, n] and the rate, as a player sees it."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("s16p", stream.layout, stream.rate)
        frames = [out.to_ndarray() for frame in container.decode(stream) for out in resampler.resample(frame)]
        return np.concatenate(frames, axis=1).astype(np.float64), stream.rate


def heard_hz(channel: npt.NDArray[np.float64], rate_hz: int) -> set[int]:
    """Which of the four tones are in it."""
    spectrum = np.abs(np.fft.rfft(channel * np.hanning(len(channel))))
    bins = {frequency: round(frequency * len(channel) / rate_hz) for frequency in FREQUENCIES_HZ.values()}
    level = {frequency: spectrum[max(0, at - 4) : at + 5].max() for frequency, at in bins.items()}
    return {frequency for frequency, height in level.items() if height > 0.1 * max(level.values())}


WANTED: dict[ExportChannel, list[set[int]]] = {
    "mixed": [{400, 700, 1100, 1600}],
    "stereo": [{400, 700}, {1100, 1600}],
    "customer": [{400}, {700}],
    "agent": [{1100}, {1600}],
}


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_in_every_format(folder: Path, channel: ExportChannel, file_format: ExportFormat) -> None:
    path = export_recording(folder, channel, file_format)
    sound, rate_hz = decoded(path)
    assert [heard_hz(side, rate_hz) for side in sound] == WANTED[channel]
    assert sound.shape[1] / rate_hz == pytest.approx(SECONDS, abs=0.12), "no more than an encoder's own delay"
    assert [entry.name for entry in path.parent.iterdir() if entry.name.startswith(".")] == []


def test_a_wav_export_is_right_to_the_sample(folder: Path) -> None:
    sound, _ = read_wav(export_recording(folder, "customer", "wav").read_bytes())
    assert np.array_equal(sound[:, 0], tone(400))
    mixed, _ = read_wav(export_recording(folder, "mixed", "wav").read_bytes())
    assert np.array_equal(mixed, sum(tone(hz).astype(int) for hz in FREQUENCIES_HZ.values()))


def test_it_is_made_once_and_again_when_the_recording_has_grown(tmp_path: Path) -> None:
    recording = Recording("s", tmp_path, RATE_HZ)
    recording.write(0, np.ones((2, 4000, 2), np.int16))
    path = export_recording(tmp_path, "stereo", "wav")
    inode = path.stat().st_ino
    assert export_recording(tmp_path, "stereo", "wav").stat().st_ino == inode
    recording.write(4000, np.ones((2, 4000, 2), np.int16))
    again = export_recording(tmp_path, "stereo", "wav")
    assert again.stat().st_ino != inode
    assert len(read_wav(again.read_bytes())[0]) == 8000
    recording.abandon()


def test_files_of_unequal_length_and_loud_ones(tmp_path: Path) -> None:
    """What somebody else left: the shorter one ends in silence, and sums saturate."""
    loud = np.full((1000, 2), 30_000, np.int16)
    (tmp_path / "customer.wav").write_bytes(wav_bytes(loud, RATE_HZ))
    (tmp_path / "agent.wav").write_bytes(wav_bytes(loud[:400], RATE_HZ))
    mixed, _ = read_wav(export_recording(tmp_path, "mixed", "wav").read_bytes())
    assert set(mixed.tolist()) == {32767}
    stereo, _ = read_wav(export_recording(tmp_path, "stereo", "wav").read_bytes())
    assert not stereo[400:, 1].any()


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_empty_recording_is_an_empty_file(tmp_path: Path, file_format: ExportFormat) -> None:
    Recording("s", tmp_path, RATE_HZ).finish(0)
    assert export_recording(tmp_path, "mixed", file_format).stat().st_size > 0


def test_a_long_one_is_not_held_in_memory(tmp_path: Path) -> None:
    samples = 20 * 60 * RATE_HZ
    for party in (Party.CUSTOMER, Party.AGENT):
        with (tmp_path / f"{party}.wav").open("wb") as file:
            file.write(wav_bytes(np.zeros((0, 2), np.int16), RATE_HZ))
            file.truncate(80 + 4 * samples)  # a sparse file: sizes never set, 20 minutes of silence
    tracemalloc.start()
    path = export_recording(tmp_path, "stereo", "wav")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size == 80 + 4 * samples
    assert peak_bytes < 8_000_000, "38 MB of sound went through"


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"customer\.wav: no such file"):
        export_recording(tmp_path, "mixed", "wav")
    (tmp_path / "customer.wav").write_bytes(b"no sound at all")
    with pytest.raises(ExportError, match=r"customer\.wav: does not start with RIFF"):
        export_recording(tmp_path, "customer", "mp3")
    with pytest.raises(ExportError, match="no channel 'left'; there are mixed, customer, agent, stereo"):
        export_recording(tmp_path, "left", "mp3")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match="no format 'flac'"):
        export_recording(tmp_path, "mixed", "flac")  # type: ignore[arg-type]
    (tmp_path / "customer.wav").write_bytes(wav_bytes(np.zeros(10, np.int16), RATE_HZ))
    with pytest.raises(ExportError, match="has 1 channel"):
        export_recording(tmp_path, "customer", "wav")
