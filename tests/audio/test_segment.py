"""Speech decisions as letters: `s` speech, `.` silence, 20 ms each; a minute is a short string."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.segment import Dropped, Ended, Grew, Segmenter, SegmentEvent, SegmentRules, Started

FRAME = 160
RULES = SegmentRules()


def source(frames: int, amplitude: int = 8000) -> Pcm16:
    """Sound in which no two stretches are alike."""
    return np.random.default_rng(1).integers(-amplitude, amplitude, frames * FRAME).astype(np.int16)


def run(
    decisions: str, rules: SegmentRules = RULES, pcm: Pcm16 | None = None, first_sample: int = 0
) -> list[SegmentEvent]:
    sound = source(len(decisions)) if pcm is None else pcm
    segmenter = Segmenter(rules)
    events: list[SegmentEvent] = []
    for index, letter in enumerate(decisions):
        at = index * FRAME
        events += segmenter.push(sound[at : at + FRAME], letter == "s", first_sample + at)
    return events + segmenter.flush()


def test_lead_in_is_kept_and_silence_ends() -> None:
    started, ended = run("." * 20 + "s" * 10 + "." * 25)
    assert started == Started(20 * FRAME)
    assert isinstance(ended, Ended)
    assert ended.first_sample == (20 - 12) * FRAME  # lead_ms 240
    assert ended.speech_end_sample == 30 * FRAME
    assert len(ended.pcm) == (12 + 10 + 10) * FRAME  # tail_ms 200
    assert ended.ended_by == "silence"
    assert np.array_equal(ended.pcm, source(55)[8 * FRAME : 40 * FRAME])


def test_it_ends_exactly_stop_ms_after_the_speech() -> None:
    segmenter = Segmenter(RULES)
    sound = source(60)
    ends = []
    for index, letter in enumerate("s" * 20 + "." * 40):
        at = index * FRAME
        ends += [
            index for event in segmenter.push(sound[at : at + FRAME], letter == "s", at) if isinstance(event, Ended)
        ]
    assert ends == [19 + 25]


def test_less_lead_in_than_asked_when_the_call_begins_with_speech() -> None:
    _, ended = run("s" * 10 + "." * 30, first_sample=4000)
    assert isinstance(ended, Ended)
    assert ended.first_sample == 4000


def test_two_frames_of_speech_are_not_believed() -> None:
    assert run("..ss" * 10 + "." * 30) == []


def test_flickering_speech_is_believed_when_it_prevails() -> None:
    events = run("." * 20 + "ss.ss.ss.ssss" + "." * 30)
    assert events[0] == Started(20 * FRAME)


def test_a_pause_shorter_than_stop_ms_does_not_end() -> None:
    events = run("s" * 10 + "." * 24 + "s" * 10 + "." * 30)
    assert [type(event) for event in events] == [Started, Ended]


def test_a_click_in_the_pause_does_not_keep_it_open() -> None:
    _, ended = run("s" * 10 + "." * 12 + "s" + "." * 12)
    assert isinstance(ended, Ended)
    assert ended.ended_by == "silence"
    assert ended.speech_end_sample == 10 * FRAME


def test_a_click_is_announced_and_then_dropped() -> None:
    assert run("." * 5 + "sss" + "." * 30) == [Started(5 * FRAME), Dropped(5 * FRAME, 60)]


def test_speech_below_the_floor_is_no_speech() -> None:
    assert run("s" * 50, pcm=source(50, amplitude=20)) == []


def test_the_level_may_come_from_outside() -> None:
    segmenter = Segmenter(RULES)
    frames = source(50).reshape(50, FRAME)
    assert [e for i, f in enumerate(frames) for e in segmenter.push(f, True, i * FRAME, level_dbfs=-60.0)] == []


def test_closing_the_leg_flushes_what_was_said() -> None:
    _, ended = run("s" * 20)
    assert isinstance(ended, Ended)
    assert (ended.ended_by, len(ended.pcm)) == ("close", 20 * FRAME)


def test_the_longest_is_cut_at_the_quietest_place_and_nothing_is_lost() -> None:
    rules = SegmentRules(longest_ms=2000)
    sound = source(150)
    sound[80 * FRAME : 81 * FRAME] //= 10
    events = run("s" * 120 + "." * 30, rules, sound)
    assert isinstance(events[0], Started)
    first, second = events[1:]
    assert isinstance(first, Ended)
    assert isinstance(second, Ended)
    assert (first.ended_by, second.ended_by) == ("longest", "silence")
    assert len(first.pcm) == 80 * FRAME + FRAME // 2
    assert second.first_sample == len(first.pcm)
    assert second.speech_end_sample == 120 * FRAME
    assert np.array_equal(np.concatenate([first.pcm, second.pcm]), sound[: 130 * FRAME])


def test_what_is_left_after_a_cut_is_no_click() -> None:
    rules = SegmentRules(longest_ms=1000)
    sound = source(90)
    sound[48 * FRAME : 49 * FRAME] = 0
    events = run("s" * 50 + "." * 40, rules, sound)
    assert [event.ended_by for event in events if isinstance(event, Ended)] == ["longest", "silence"]


def test_a_cut_in_the_silence_behind_the_speech_leaves_no_second_utterance() -> None:
    rules = SegmentRules(longest_ms=1000)
    sound = source(120)
    sound[40 * FRAME :] = 0
    events = run("s" * 40 + "." * 80, rules, sound)
    assert len([event for event in events if isinstance(event, Ended)]) == 1


GROWING = SegmentRules(partial_ms=400, pause_ms=200)


def grown(events: list[SegmentEvent]) -> list[Grew]:
    return [event for event in events if isinstance(event, Grew)]


def test_what_is_said_is_told_while_it_is_said() -> None:
    events = run("." * 20 + "s" * 50 + "." * 30, GROWING)
    told = grown(events)
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert told[0].first_sample == ended.first_sample
    assert [event.paused for event in told] == [False, False, False, True]
    whole = np.concatenate([event.pcm for event in told])
    assert np.array_equal(whole, ended.pcm[: len(whole)]), "each sample once, in order"
    assert [event.speech_end_sample for event in told[-2:]] == [68 * FRAME, 70 * FRAME]
    assert told[-1].first_sample + len(told[-1].pcm) == 80 * FRAME, "a pause is told as soon as it is one"


def test_a_silence_is_told_once_and_again_after_more_speech() -> None:
    told = grown(run("s" * 30 + "." * 15 + "s" * 30 + "." * 24, GROWING))
    assert [event.paused for event in told].count(True) == 2


def test_a_silence_that_is_a_frame_too_short_is_no_pause() -> None:
    rules = SegmentRules(partial_ms=400, pause_ms=320)
    assert [event.paused for event in grown(run("s" * 30 + "." * 15 + "s" * 30, rules))].count(True) == 0
    assert [event.paused for event in grown(run("s" * 30 + "." * 16 + "s" * 30, rules))].count(True) == 1


def test_a_click_is_not_told_as_growing_speech() -> None:
    assert grown(run("s" * 4 + "." * 30, GROWING)) == []


def test_nothing_is_told_meanwhile_unless_asked_for() -> None:
    assert grown(run("s" * 100 + "." * 30)) == []


def test_after_a_cut_the_next_utterance_is_told_from_its_first_sample() -> None:
    rules = SegmentRules(longest_ms=1000, partial_ms=400)
    events = run("s" * 80 + "." * 30, rules)
    first, second, *_ = (event for event in events if isinstance(event, Ended))
    after = events[events.index(first) + 1]
    assert isinstance(after, Grew)
    assert after.first_sample == second.first_sample
    assert np.array_equal(after.pcm, second.pcm[: len(after.pcm)])


def test_a_gap_of_the_clock_is_filled_with_silence() -> None:
    segmenter = Segmenter(RULES)
    sound = source(40)
    for index in [*range(20), *range(26, 40)]:
        segmenter.push(sound[index * FRAME : (index + 1) * FRAME], True, index * FRAME)
    (ended,) = segmenter.flush()
    assert isinstance(ended, Ended)
    sound[20 * FRAME : 26 * FRAME] = 0
    assert np.array_equal(ended.pcm, sound)


def test_a_long_gap_ends_the_utterance() -> None:
    segmenter = Segmenter(RULES)
    for index in range(20):
        segmenter.push(source(1), True, index * FRAME)
    (ended,) = segmenter.push(source(1), False, 200 * FRAME)
    assert isinstance(ended, Ended)
    assert ended.ended_by == "silence"
    with pytest.raises(ValueError, match="frame at sample 0 after one that ended at"):
        segmenter.push(source(1), False, 0)


def test_frames_may_be_reused_by_the_caller() -> None:
    segmenter = Segmenter(RULES)
    frame = np.full(FRAME, 5000, np.int16)
    for index in range(10):
        segmenter.push(frame, True, index * FRAME)
    frame[:] = 0
    (ended,) = segmenter.flush()
    assert isinstance(ended, Ended)
    assert (ended.pcm == 5000).all()


@given(
    some.lists(some.tuples(some.sampled_from("s."), some.integers(1, 60)), max_size=25),
    some.builds(
        SegmentRules,
        start_ms=some.sampled_from([20, 60]),
        stop_ms=some.sampled_from([100, 500]),
        lead_ms=some.sampled_from([0, 240]),
        tail_ms=some.sampled_from([0, 200, 900]),
        longest_ms=some.sampled_from([400, 2000, 15_000]),
        shortest_ms=some.sampled_from([0, 120]),
    ),
)
def test_no_sample_is_doubled_or_lost(runs: list[tuple[str, int]], rules: SegmentRules) -> None:
    decisions = "".join(letter * count for letter, count in runs)
    sound = source(len(decisions))
    events = run(decisions, rules, sound)
    utterances = [event for event in events if isinstance(event, Ended)]
    end = 0
    covered = np.zeros(len(decisions), bool)
    for one in utterances:
        assert one.first_sample >= end
        end = one.first_sample + len(one.pcm)
        assert np.array_equal(one.pcm, sound[one.first_sample : end])
        assert one.first_sample <= one.speech_end_sample <= end
        covered[one.first_sample // FRAME : end // FRAME] = True
    if rules.shortest_ms == 0:  # every long run of speech is in some utterance
        at = 0
        for letter, count in runs:
            if letter == "s" and count >= 3:
                assert covered[at + 1 : at + count - 1].all()
            at += count
