"""Legs without RTP: sound in messages, whatever the pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kallglot_media.audio import g711
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.media.messages import (
    Clear,
    CloseLeg,
    LegClosed,
    Listen,
    OpenStreamLeg,
    Play,
    RtpLost,
    StreamAudioIn,
    StreamAudioOut,
    StreamCleared,
    Utterance,
)
from kallglot_media.media.roster import PlaneError
from kallglot_media.media.stream_leg import HOLD_FRAMES, LOOK_FRAMES, MOST_FRAMES, StreamBuffer
from kallglot_media.modes.plan import BRIDGED, SILENT, Party
from tests.support.studio import FRAME, Pcm16, Studio, tone

SPEECH = Path(__file__).parents[1] / "data" / "speech_en_8k.wav"

C, A = Party.CUSTOMER, Party.AGENT


def mulaw(pcm: Pcm16) -> bytes:
    return g711.ENCODERS["PCMU"](pcm).tobytes()


def studio_with_streams() -> Studio:
    studio = Studio()
    studio.session(plan=BRIDGED)
    studio.apply(OpenStreamLeg("s", "c", C))
    studio.apply(OpenStreamLeg("s", "a", A))
    return studio


def heard(studio: Studio, leg_id: str) -> list[StreamAudioOut]:
    return [event for event in studio.events if isinstance(event, StreamAudioOut) and event.leg_id == leg_id]


@pytest.mark.parametrize("piece_bytes", [80, 160, 161, 800, 1600], ids="{} bytes a piece".format)
def test_what_one_says_the_other_hears_whatever_the_pieces(piece_bytes: int) -> None:
    studio = studio_with_streams()
    said = mulaw(tone(20))
    for start in range(0, len(said), piece_bytes):
        studio.apply(StreamAudioIn("c", said[start : start + piece_bytes]))
    for _ in range(30):
        studio.step()
    batches = heard(studio, "a")
    assert b"".join(batch.sound for batch in batches)[: len(said)] == said, "then it fades out"
    assert batches[0].first_sample == HOLD_FRAMES * FRAME
    assert [len(batch.sound) // FRAME for batch in batches[:4]] == [5, 5, 5, 5]
    assert not heard(studio, "c"), "silence is not sent"


def test_a_stream_hears_rtp_and_the_other_way_round() -> None:
    studio = Studio()
    studio.session(plan=BRIDGED)
    studio.leg("c", C)
    studio.apply(OpenStreamLeg("s", "a", A))
    studio.apply(StreamAudioIn("a", mulaw(tone(10, 700))))
    studio.say({"c": tone(10, 300)}, more_steps=10)
    assert b"".join(batch.sound for batch in heard(studio, "a"))[: 10 * FRAME] == mulaw(tone(10, 300))
    by_rtp = b"".join(packet.payload for packet in studio.peers["c"].received)
    assert mulaw(tone(10, 700)) in by_rtp


def test_made_speech_goes_to_the_stream_and_stands_where_it_was_heard() -> None:
    studio = studio_with_streams()
    for _ in range(7):
        studio.step()
    studio.apply(Play("a", "p1", tone(3).astype("<i2").tobytes(), 8000))
    for _ in range(6):
        studio.step()
    (batch,) = heard(studio, "a")
    assert (batch.first_sample, len(batch.sound)) == (7 * FRAME, 3 * FRAME)


def test_barge_in_takes_back_what_was_collected() -> None:
    studio = studio_with_streams()
    studio.apply(Play("a", "p1", tone(50).astype("<i2").tobytes(), 8000))
    for _ in range(3):
        studio.step()
    studio.apply(Clear("a"))
    for _ in range(10):
        studio.step()
    assert studio.take(StreamCleared) == [StreamCleared("a")]
    assert sum(len(batch.sound) for batch in heard(studio, "a")) <= FRAME, "at most the fade-out"


def test_speech_on_a_stream_is_cut_into_utterances() -> None:
    studio = studio_with_streams()
    studio.apply(Listen("c", SegmentRules()))
    voice = np.concatenate([np.frombuffer(SPEECH.read_bytes()[44:], "<i2"), np.zeros(60 * FRAME, np.int16)])
    for start in range(0, len(voice), 10 * FRAME):
        studio.apply(StreamAudioIn("c", mulaw(voice[start : start + 10 * FRAME])))
        for _ in range(10):
            studio.step()
    assert {event.leg_id for event in studio.events if isinstance(event, Utterance)} == {"c"}


def test_a_stream_that_says_nothing_is_no_lost_rtp_and_has_no_port_to_free() -> None:
    studio = studio_with_streams()
    studio.now_s += 3600
    for _ in range(100):
        studio.step()
    studio.apply(CloseLeg("c"))
    studio.step()
    assert not studio.take(RtpLost)
    assert studio.take(LegClosed)
    assert studio.plane.take_freed() == []


def test_what_was_collected_is_sent_before_the_leg_is_closed() -> None:
    studio = studio_with_streams()
    studio.apply(Play("a", "p1", tone(2).astype("<i2").tobytes(), 8000))
    studio.step()
    studio.apply(CloseLeg("a"))
    studio.step()
    kinds = [type(event) for event in studio.events if isinstance(event, StreamAudioOut | LegClosed)]
    assert kinds == [StreamAudioOut, LegClosed]


def test_a_stream_leg_needs_an_open_session() -> None:
    studio = Studio()
    with pytest.raises(PlaneError, match="not open"):
        studio.apply(OpenStreamLeg("s", "c", C))
    studio.session(plan=SILENT)
    studio.apply(OpenStreamLeg("s", "c", C))
    with pytest.raises(PlaneError, match="open already"):
        studio.apply(OpenStreamLeg("s", "c", C))


# ── the buffer alone ─────────────────────────────────────────────────────────────

FRAME_BYTES = b"\x55" * FRAME


def test_a_client_faster_than_time_loses_the_oldest() -> None:
    buffer = StreamBuffer()
    buffer.put(FRAME_BYTES * (MOST_FRAMES + 7))
    assert (buffer.waiting, buffer.counters["stream_overflow"]) == (MOST_FRAMES, 7)


def test_a_burst_after_a_pause_of_the_network_is_worked_off_in_quiet_frames() -> None:
    buffer = StreamBuffer()
    buffer.put(FRAME_BYTES * 30)
    for _ in range(6 * LOOK_FRAMES):
        buffer.put(FRAME_BYTES)
        buffer.pop(quiet=True)
    assert buffer.waiting <= HOLD_FRAMES + 3
    assert buffer.counters["stream_gaps"] == 0


def test_nothing_is_dropped_while_somebody_speaks() -> None:
    buffer = StreamBuffer()
    buffer.put(FRAME_BYTES * 30)
    for _ in range(6 * LOOK_FRAMES):
        buffer.put(FRAME_BYTES)
        buffer.pop(quiet=False)
    assert buffer.counters["stream_shrunk"] == 0


def test_pieces_of_200_ms_in_real_time_leave_no_holes() -> None:
    buffer = StreamBuffer()
    frames = 0
    for tick in range(500):
        if tick % 10 == (2 if tick % 20 < 10 else 0):  # each second piece comes 40 ms late
            buffer.put(FRAME_BYTES * 10)
        frames += buffer.pop() is not None
    assert buffer.counters["stream_gaps"] == 0
    assert frames >= 490


@pytest.mark.parametrize("frames", [1, 5, 10], ids="pieces of {} frames".format)
def test_a_reserve_that_is_too_large_goes_in_a_second_or_two_and_no_further(frames: int) -> None:
    buffer = StreamBuffer()
    buffer.put(FRAME_BYTES * 60)
    for tick in range(4 * LOOK_FRAMES):
        if tick % frames == 0:
            buffer.put(FRAME_BYTES * frames)
        buffer.pop(quiet=True)
    least = []
    for tick in range(4 * LOOK_FRAMES):
        if tick % frames == 0:
            least.append(buffer.waiting)
            buffer.put(FRAME_BYTES * frames)
        buffer.pop(quiet=True)
    assert max(least) <= HOLD_FRAMES + 1
    assert min(least) >= HOLD_FRAMES - 1
    assert buffer.counters["stream_gaps"] == 0
