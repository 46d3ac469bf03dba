"""Recordings that play at every moment: while they grow, after kill -9, on a full disk."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import textwrap
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from kallglot_media.audio.wav import HEADER_BYTES
from kallglot_media.media import track_writers
from kallglot_media.media.messages import RecordingGap, SessionClosed
from kallglot_media.media.recorder import MARKER, Recording, RepairFailed, repair, repair_all
from kallglot_media.media.recorder_thread import Recorder
from kallglot_media.media.track_files import open_track
from kallglot_media.modes.plan import Party

CHUNK = 4000


def chunk(level: int, samples: int = CHUNK) -> npt.NDArray[np.int16]:
    """Four tracks that can be told apart: level, level + 1 | level + 2, level + 3."""
    return np.broadcast_to(np.arange(level, level + 4, dtype=np.int16).reshape(2, 1, 2), (2, samples, 2)).copy()


def tracks(path: Path) -> npt.NDArray[np.int16]:
    """int16[n, 2] of a WAV file as an ordinary reader sees it."""
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (2, 2, 8000)
        return np.frombuffer(sound.readframes(sound.getnframes()), np.int16).reshape(-1, 2)


def test_two_files_of_equal_length_with_their_sums(tmp_path: Path) -> None:
    recording = Recording("s1", tmp_path, 8000)
    recording.write(0, chunk(10))
    recording.write(CHUNK, chunk(20, 100))
    closed = recording.finish(CHUNK + 100)
    assert [(file.party, file.samples, file.rate_hz) for file in closed.files] == [
        (Party.CUSTOMER, 4100, 8000),
        (Party.AGENT, 4100, 8000),
    ]
    for file, left in zip(closed.files, (10, 12), strict=True):
        sound = tracks(Path(file.path))
        assert sound.shape == (4100, 2)
        assert sound[0].tolist() == [left, left + 1]
        assert sound[-1].tolist() == [left + 10, left + 11]
        assert file.sha256 == hashlib.sha256(Path(file.path).read_bytes()).hexdigest()
    assert recording.take_gaps() == []
    assert not (tmp_path / MARKER).exists()


def test_files_play_while_they_grow(tmp_path: Path) -> None:
    recording = Recording("s1", tmp_path, 8000)
    for n in range(3):
        recording.write(n * CHUNK, chunk(n))
        assert tracks(tmp_path / "customer.wav").shape == ((n + 1) * CHUNK, 2)
    recording.abandon()


def test_a_session_without_a_tick_has_two_empty_files(tmp_path: Path) -> None:
    closed = Recording("s1", tmp_path, 8000).finish(0)
    assert [file.samples for file in closed.files] == [0, 0]
    assert tracks(tmp_path / "agent.wav").shape == (0, 2)


def test_a_chunk_left_out_is_silence_and_a_gap(tmp_path: Path) -> None:
    recording = Recording("s1", tmp_path, 8000)
    recording.write(0, chunk(10))
    recording.write(3 * CHUNK, chunk(20))
    closed = recording.finish(4 * CHUNK)
    [gap] = recording.take_gaps()
    assert (gap.first_sample, gap.samples) == (CHUNK, 2 * CHUNK)
    assert "slower than the calls" in gap.why
    sound = tracks(Path(closed.files[0].path))
    assert sound[CHUNK : 3 * CHUNK].any() == False  # noqa: E712 - numpy bool
    assert sound[3 * CHUNK].tolist() == [20, 21]


def test_a_disk_that_refuses_leaves_a_gap_and_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording("s1", tmp_path, 8000)
    recording.write(0, chunk(10))
    with monkeypatch.context() as patched:
        patched.setattr(track_writers, "write_at", _refuse)
        for n in range(1, 4):
            recording.write(n * CHUNK, chunk(n))
        [told_at_once] = recording.take_gaps()
        assert (told_at_once.first_sample, told_at_once.samples) == (CHUNK, CHUNK)
        assert told_at_once.why == f"{tmp_path}: No space left on device"
    recording.write(4 * CHUNK, chunk(40))
    [the_rest] = recording.take_gaps()
    assert (the_rest.first_sample, the_rest.samples) == (2 * CHUNK, 2 * CHUNK)
    closed = recording.finish(5 * CHUNK)
    for file in closed.files:
        sound = tracks(Path(file.path))
        assert sound.shape == (5 * CHUNK, 2)
        assert not sound[CHUNK : 4 * CHUNK].any()
        assert sound[-1].all()


def test_beyond_four_gigabytes_the_header_is_rf64(tmp_path: Path) -> None:
    """EBU Tech 3306: 37 hours of two channels; the file is sparse, its first 4.4 GB take no room."""
    path, far = tmp_path / "customer.wav", 1_100_000_000
    writer = track_writers.PlainWriter(path, 8000)
    writer.write(far, np.full((100, 2), 7, np.int16).data)
    writer.grown(far + 100)
    writer.close()
    assert path.stat().st_size > 1 << 32
    with path.open("rb") as file:
        assert file.read(4) == b"RF64"
    with open_track(tmp_path, Party.CUSTOMER) as track:
        assert track.samples == far + 100
        assert track.read(far - 1, 1000)[:2].tolist() == [[0, 0], [7, 7]]


def _refuse(fd: int, data: object, offset: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_long_gap_is_told_every_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_writers, "write_at", _refuse)
    recording = Recording("s1", tmp_path, 8000)
    for n in range(60):
        recording.write(n * CHUNK, chunk(n))
    gaps = recording.take_gaps()
    assert [gap.samples for gap in gaps] == [CHUNK, 80_000, 80_000]
    assert [gap.first_sample for gap in gaps] == [0, CHUNK, CHUNK + 80_000]


def test_a_folder_that_is_not_there_ends_with_no_files_but_a_reason(tmp_path: Path) -> None:
    recording = Recording("s1", tmp_path / "gone", 8000)
    recording.write(0, chunk(1))
    closed = recording.finish(CHUNK)
    assert closed == SessionClosed("s1", CHUNK, ())
    assert "No such file" in recording.take_gaps()[0].why


def test_file_size_limit_cuts_both_files_to_what_both_have(tmp_path: Path) -> None:
    """A real limit of the system, in a process of its own: RLIMIT_FSIZE."""
    script = textwrap.dedent(f"""
        import resource, pathlib, numpy as np
        from kallglot_media.media.recorder import Recording
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
        recording = Recording("s1", pathlib.Path({str(tmp_path)!r}), 8000)
        for n in range(5):
            recording.write(n * 4000, np.full((2, 4000, 2), n + 1, np.int16))
        closed = recording.finish(20_000)
        print(*(file.samples for file in closed.files), sum(gap.samples for gap in recording.take_gaps()))
    """)
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    kept = int(told[0])
    assert told[1] == told[0]
    assert 8000 <= kept <= (40_000 - HEADER_BYTES) // 4
    assert int(told[2]) >= 20_000 - kept
    for name in ("customer.wav", "agent.wav"):
        assert tracks(tmp_path / name).shape == (kept, 2)


def test_after_kill_9_both_files_play_and_repair_makes_them_equal(tmp_path: Path) -> None:
    folder = tmp_path / "2026" / "sess_1"
    folder.mkdir(parents=True)
    script = textwrap.dedent(f"""
        import sys, pathlib, numpy as np
        from kallglot_media.media.recorder_thread import Recorder
        recorder = Recorder()
        recorder.start()
        recorder.open("sess_1", {str(folder)!r}, 8000)
        for n in range(7):
            recorder.write("sess_1", n * 4000, np.full((2, 4000, 2), n + 1, np.int16))
        recorder.hand_over()
        while recorder._written_bytes < 7 * 4000 * 8 or recorder._line.qsize():
            pass
        recorder.write("sess_1", 28_000, np.full((2, 4000, 2), 8, np.int16))
        recorder.hand_over()
        print("written", flush=True)
        sys.stdin.read()
    """)
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "written\n"
    assert repair(folder) is None, "a living process still records here"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    child.stdin.close()
    assert tracks(folder / "customer.wav").shape[0] >= 24_000
    with (folder / "agent.wav").open("ab") as torn:
        torn.write(b"\x01\x02\x03")  # a write that power cut short
    [closed] = repair_all(tmp_path)
    assert isinstance(closed, SessionClosed)
    assert closed.session_id == "sess_1"
    assert {file.samples for file in closed.files} == {closed.samples}
    assert closed.samples >= 28_000
    assert tracks(folder / "customer.wav").shape == tracks(folder / "agent.wav").shape
    assert list(repair_all(tmp_path)) == []


def test_repair_lives_with_an_empty_marker_and_a_missing_file(tmp_path: Path) -> None:
    recording = Recording("s1", tmp_path, 8000)
    recording.write(0, chunk(10))
    recording.abandon()
    (tmp_path / MARKER).write_bytes(b"")
    (tmp_path / "agent.wav").unlink()
    closed = repair(tmp_path)
    assert closed is not None
    assert closed.session_id == tmp_path.name
    assert tracks(tmp_path / "agent.wav").shape == (CHUNK, 2)


def test_one_folder_that_cannot_be_repaired_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        recording = Recording(name, tmp_path / name, 8000)
        recording.write(0, chunk(10))
        recording.abandon()
    (tmp_path / "a" / "customer.wav").unlink()
    (tmp_path / "a" / "customer.wav").mkdir()
    first, second = repair_all(tmp_path)
    assert isinstance(first, RepairFailed)
    assert "customer.wav" in first.why
    assert isinstance(second, SessionClosed)


def finished(line: Recorder) -> list[object]:
    assert line.stop(deadline_s=10)
    return list(line.take_events())


def test_the_thread_writes_what_the_tick_hands_over(tmp_path: Path) -> None:
    line = Recorder(clock=iter(range(100)).__next__)
    line.start()
    line.open("s1", str(tmp_path), 8000)
    for n in range(4):
        line.write("s1", n * CHUNK, chunk(n))
    line.close("s1", 4 * CHUNK)
    [closed] = finished(line)
    assert isinstance(closed, SessionClosed)
    assert closed.files[0].samples == 4 * CHUNK


def test_a_full_line_drops_sound_never_the_end(tmp_path: Path) -> None:
    line = Recorder(longest_line_bytes=2 * chunk(0).nbytes)
    line.open("s1", str(tmp_path), 8000)
    for n in range(5):
        line.write("s1", n * CHUNK, chunk(n))
    line.close("s1", 5 * CHUNK)
    assert line.left_out == 3
    line.start()
    gap, closed = finished(line)
    assert isinstance(gap, RecordingGap)
    assert (gap.first_sample, gap.samples) == (2 * CHUNK, 3 * CHUNK)
    assert isinstance(closed, SessionClosed)
    assert closed.files[1].samples == 5 * CHUNK


def test_our_own_mistake_ends_one_recording_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write = Recording.write

    def fail(recording: Recording, first_sample: int, pcm: npt.NDArray[np.int16]) -> None:
        if recording.session_id == "bad":
            raise KeyError("ours")
        write(recording, first_sample, pcm)

    monkeypatch.setattr(Recording, "write", fail)
    line = Recorder()
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
        line.open(name, str(tmp_path / name), 8000)
        for n in range(3):
            line.write(name, n * CHUNK, chunk(n))
        line.close(name, 3 * CHUNK)
    line.start()
    gap, bad, good = finished(line)
    assert gap == RecordingGap("bad", 0, 0, "recorder: KeyError: 'ours'")
    assert bad == SessionClosed("bad", 3 * CHUNK, ())
    assert isinstance(good, SessionClosed)
    assert [file.samples for file in good.files] == [3 * CHUNK, 3 * CHUNK]
    assert capfd.readouterr().err.count("Traceback") == 1


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for n in range(3):
        (tmp_path / str(n)).mkdir()
        recording = Recording(str(n), tmp_path / str(n), 8000)
        recording.write(0, chunk(1))
        recording.sync()
        recording.finish(CHUNK)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
