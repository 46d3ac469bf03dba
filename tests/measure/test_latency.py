"""Lag from waveforms: it must say what the media plane itself knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.audio.wav import wav_bytes
from kallglot_media.cli import app
from kallglot_media.measure.activity import Span, made
from kallglot_media.measure.latency import Lags, TurnLag, aligned, lags_of
from kallglot_media.media.messages import PlayoutStarted, Utterance
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, Party
from kallglot_media.phone.session_folder import Track
from tests.support.studio import FRAME, SILENCE, Pcm16, Studio, tone

C, A = Party.CUSTOMER, Party.AGENT
FRAME_MS = 20
JITTER_MS = 60


def vowel(frames: int) -> Pcm16:
    """Something a voice detector takes for speech, soft at its ends as words are."""
    at = np.arange(frames * FRAME)
    sound = sum(np.sin(2 * np.pi * 120 * k * at / 8000) / (1 + abs(k - 5)) for k in range(1, 28))
    fade = np.minimum(1, np.minimum(at, at[::-1]) / 400)
    return np.asarray(sound * 3000 * fade, np.float64).astype(np.int16)


def spans(*pairs: tuple[float, float]) -> list[Span]:
    return [Span(start, end) for start, end in pairs]


@pytest.mark.parametrize("answer_ms", [[400, 900, 650], [120, 2200, 40]])
def test_the_waveform_and_the_plane_agree_to_a_frame(answer_ms: list[int]) -> None:
    """Three utterances; each is answered some time after the plane has cut it, by a play that starts at once."""
    rules = SegmentRules()
    studio = Studio()
    studio.session(plan=BIDIRECTIONAL_TRANSLATION)
    studio.leg("c", C, listen=rules)
    studio.leg("a", A)
    known_ms = []
    for n, wait_ms in enumerate(answer_ms):
        studio.say({"c": vowel(40 + 7 * n)}, more_steps=40)
        utterance = studio.take(Utterance)[-1]
        studio.say({"c": np.resize(SILENCE, wait_ms // FRAME_MS * FRAME)})
        studio.play("a", f"{n}", tone(30))
        studio.step({"c": SILENCE})
        started = studio.take(PlayoutStarted)[-1]
        assert isinstance(utterance, Utterance)
        assert isinstance(started, PlayoutStarted)
        known_ms.append((started.at_sample - utterance.speech_end_sample) / 8)
        studio.say({"c": np.resize(SILENCE, 60 * FRAME)})
    tape = studio.sink.tapes["s"].file(C)
    found = lags_of("customer", Track(tape[:, 0].copy(), tape[:, 1].copy(), 8000), rules)
    assert [turn.gap_ms for turn in found.turns] == pytest.approx(known_ms, abs=FRAME_MS)


def test_made_speech_is_one_stretch_until_it_is_silent_to_the_bit() -> None:
    track = np.zeros(8000, np.int16)
    track[800:1600] = 5
    track[1000:1200] = 0
    track[4000:4800] = -3
    assert made(track, 8000) == spans((100, 200), (500, 600))
    assert made(np.zeros(800, np.int16), 8000) == []


@pytest.mark.parametrize(
    ("said", "heard", "owners"),
    [
        ([(0, 1000), (3000, 4000)], [(1500, 2500), (4500, 5000)], [0, 1]),
        ([(0, 1000), (3000, 4000)], [(4500, 5000)], [1]),
        ([(0, 1000), (1600, 2600), (3200, 4000)], [(1800, 3000), (3100, 4200), (4300, 5000)], [0, 1, 2]),
        ([(0, 8000)], [(2000, 3000), (4000, 5000), (8500, 9000)], [0, 0, 0]),
        ([(0, 1000), (5000, 9000)], [(1500, 2000), (6500, 7000), (9300, 9900)], [0, 1, 1]),
        ([], [(0, 100)], [None]),
        ([(1000, 2000)], [(0, 500)], [None]),
        ([(0, 1000)], [], []),
    ],
    ids=["turns", "one left out", "behind all the time", "clauses", "both", "nobody", "announcement", "nothing made"],
)
def test_who_is_translated(
    said: list[tuple[float, float]], heard: list[tuple[float, float]], owners: list[int | None]
) -> None:
    assert aligned(spans(*said), spans(*heard)) == owners


def test_numbers_of_a_turn_and_of_all() -> None:
    turn = TurnLag(Span(1000, 9000), (Span(3000, 5000), Span(8000, 11_000)))
    assert (turn.ear_voice_ms, turn.gap_ms, turn.tail_ms, turn.overlap_ms) == (2000, -6000, 2000, 3000)
    growing = [TurnLag(Span(at, at + 1000), (Span(at + 1500, at + 2000 + at / 10),)) for at in (0, 10_000, 20_000)]
    assert Lags("customer", tuple(growing)).slope_ms_per_s == pytest.approx(100, abs=0.1)
    assert Lags("customer", (turn,)).slope_ms_per_s is None
    assert Lags("customer", (turn,)).percentile("ear_voice_ms", 50, longer_than_ms=9000) is None


def test_the_command_reads_a_folder(tmp_path: Path) -> None:
    original, answer = np.zeros(5 * 8000, np.int16), np.zeros(5 * 8000, np.int16)
    original[8000:16_000] = vowel(50)
    answer[20_000:28_000] = tone(50)
    for party in ("customer", "agent"):
        (tmp_path / f"{party}.wav").write_bytes(wav_bytes(np.stack([original, answer], axis=1), 8000))
    (tmp_path / "session.json").write_text("{}")
    ran = CliRunner().invoke(app, ["latency", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    assert "ear-voice span p50" in ran.output
    ran = CliRunner().invoke(app, ["latency", str(tmp_path / "nowhere")])
    assert ran.exit_code == 2
