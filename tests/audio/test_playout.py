from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.playout import PlayFinished, PlayoutQueue, PlayStarted


def ramp(samples: int, first: int = 1) -> Pcm16:
    return np.arange(first, first + samples).astype(np.int16)


def test_an_empty_queue_costs_nothing() -> None:
    assert PlayoutQueue().pull(160).pcm is None


def test_items_follow_each_other_without_a_gap_and_are_marked() -> None:
    queue = PlayoutQueue()
    queue.put("a", ramp(200))
    queue.put("b", ramp(50, 201))
    first = queue.pull(160)
    assert first.pcm is not None
    assert first.pcm.tolist() == list(range(1, 161))
    assert (first.started, first.finished) == ((PlayStarted("a", 0),), ())
    second = queue.pull(160)
    assert second.pcm is not None
    assert second.pcm.tolist() == [*range(161, 251), *[0] * 70]
    assert second.started == (PlayStarted("b", 40),)
    assert second.finished == (PlayFinished("a", 40, 200, 200), PlayFinished("b", 90, 50, 50))
    assert queue.pull(160).pcm is None


def test_speech_made_piece_by_piece_starts_and_finishes_once() -> None:
    queue = PlayoutQueue()
    queue.put("a", ramp(100))
    queue.put("a", ramp(100, 101))
    first, second = queue.pull(160), queue.pull(160)
    assert (len(first.started), len(first.finished)) == (1, 0)
    assert second.finished == (PlayFinished("a", 40, 200, 200),)


def test_a_full_line_refuses_the_whole_and_says_how_much() -> None:
    queue = PlayoutQueue(8000, longest_s=0.1)
    assert queue.put("a", ramp(700)) == 0
    assert queue.put("b", ramp(101)) == 101
    assert queue.waiting_samples == 700
    assert queue.put("c", ramp(100)) == 0


def test_clear_fades_out_over_5_ms_and_says_what_was_heard() -> None:
    queue = PlayoutQueue()
    queue.put("a", np.full(1000, 10_000, np.int16))
    queue.put("b", ramp(100))
    queue.pull(160)
    assert queue.clear() == (PlayFinished("a", 0, 160, 1000), PlayFinished("b", 0, 0, 100))
    after = queue.pull(160)
    assert after.pcm is not None
    assert after.pcm[0] == 10_000
    assert np.abs(np.diff(after.pcm.astype(int))).max() <= 251
    assert not after.pcm[40:].any()
    assert (after.started, after.finished) == ((), ())
    assert queue.pull(160).pcm is None
    assert queue.waiting_samples == 0


def test_clear_before_the_first_sample_is_silent() -> None:
    queue = PlayoutQueue()
    queue.put("a", ramp(100))
    assert queue.clear() == (PlayFinished("a", 0, 0, 100),)
    assert queue.pull(160).pcm is None
    assert queue.clear() == ()


def test_new_speech_stands_behind_the_fade() -> None:
    queue = PlayoutQueue()
    queue.put("a", np.full(1000, 1000, np.int16))
    queue.pull(160)
    queue.clear()
    queue.put("b", ramp(10))
    pulled = queue.pull(160)
    assert pulled.pcm is not None
    assert pulled.started == (PlayStarted("b", 40),)
    assert pulled.pcm[40:50].tolist() == list(range(1, 11))


def test_an_item_without_sound_starts_and_finishes() -> None:
    queue = PlayoutQueue()
    queue.put("a", ramp(0))
    queue.put("b", ramp(3))
    pulled = queue.pull(160)
    assert [mark.play_id for mark in pulled.started] == [mark.play_id for mark in pulled.finished] == ["a", "b"]


@given(
    some.lists(some.one_of(some.tuples(some.integers(0, 9), some.integers(0, 500)), some.integers(1, 400)), max_size=40)
)
def test_every_sample_is_heard_once_and_in_order(steps: list[tuple[int, int] | int]) -> None:
    queue = PlayoutQueue(8000, longest_s=0.2)
    put: list[int] = []
    heard: list[int] = []
    open_marks: list[str] = []
    counter = 1
    for step in [*steps, 2000]:
        if isinstance(step, tuple):
            name, size = step
            if queue.put(str(name), ramp(size, counter)) == 0:
                put += range(counter, counter + size)
                counter += size
            assert queue.waiting_samples <= 1600
            continue
        pulled = queue.pull(step)
        if pulled.pcm is not None:
            assert len(pulled.pcm) == step
            heard += [int(sample) for sample in pulled.pcm if sample]
        open_marks += [mark.play_id for mark in pulled.started]
        for mark in pulled.finished:
            assert mark.play_id == open_marks.pop(0)
            assert mark.played_samples == mark.total_samples
            assert 0 <= mark.offset <= step
    assert heard == put
    assert not open_marks


def test_what_is_lent_is_what_pull_would_give_and_what_is_given_back_comes_next() -> None:
    queue, twin = PlayoutQueue(), PlayoutQueue()
    for each in (queue, twin):
        each.put("a", ramp(1000))
        each.put("b", ramp(50, 1001))
    assert queue.lend(160, 4) is None, "it begins: that is to be told"
    queue.pull(160)
    frames = queue.lend(160, 4)
    assert frames is not None
    twin.pull(160)
    for frame in frames[:2]:
        pulled = twin.pull(160).pcm
        assert pulled is not None
        assert frame.tolist() == pulled.tolist()
    assert queue.waiting_samples == 1050 - 5 * 160
    queue.give_back(frames[2:].reshape(-1))
    assert queue.waiting_samples == twin.waiting_samples
    for _ in range(4):
        ours, theirs = queue.pull(160), twin.pull(160)
        assert ours.pcm is not None
        assert theirs.pcm is not None
        assert ours.pcm.tolist() == theirs.pcm.tolist()
        assert (ours.started, ours.finished) == (theirs.started, theirs.finished)
    assert not queue.playing


def test_the_end_of_an_item_is_never_lent() -> None:
    queue = PlayoutQueue()
    queue.put("a", ramp(480))
    queue.pull(160)
    frames = queue.lend(160, 12)
    assert frames is not None
    assert len(frames) == 1
    assert queue.lend(160, 12) is None
    assert [mark.play_id for mark in queue.pull(160).finished] == ["a"]
    assert queue.lend(160, 12) is None
