"""Frames go to the segmenters in bursts; what is said to control, and in which tick, is as if each had gone at once."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from kallglot_media.audio import g711
from kallglot_media.audio.level import rms_dbfs
from kallglot_media.audio.segment import Segmenter, SegmentEvent, SegmentRules
from kallglot_media.media.cutter import Cutter
from kallglot_media.media.leg import Leg
from kallglot_media.media.messages import SpeechDropped, SpeechGrew, SpeechStarted, Utterance
from kallglot_media.media.rows import FRAME_SAMPLES, Rows
from kallglot_media.media.watch import Watch, as_messages

SPEECH, NOISE, SILENCE = (int(code) for code in g711.ulaw_encode(np.array([4000, -3000, 0], np.int16)))
SPOKEN = int(g711.ulaw_decode(np.array([SPEECH], np.uint8))[0])
RULES = {
    "turns": SegmentRules(),
    "while they speak": SegmentRules(partial_ms=500, longest_ms=3000),
    "short": SegmentRules(partial_ms=200, pause_ms=100, stop_ms=160, longest_ms=1000, start_ms=20, shortest_ms=60),
    "long lead-in": SegmentRules(lead_ms=600, partial_ms=500),
}


def detect(sound: bytes, _samples: int) -> bool:
    return int.from_bytes(sound[:2], "little", signed=True) == SPOKEN


class Bench:
    """Three legs: what `Watch` says of them, and what a segmenter says that gets each frame in its tick."""

    def __init__(self, rules: SegmentRules, seed: int, *, legs: int = 3, guards: bool = False) -> None:
        self.rules, self.random = rules, random.Random(seed)
        self.rows = Rows()
        self.legs = [self._leg(self.rows.take(), first_tick=-(n % 3)) for n in range(legs)]
        self.plain = {leg.slot: Segmenter(rules) for leg in self.legs}
        self.watch = Watch(self.rows, guards=guards)
        self.arrange()
        self.tick = 0
        self.state = {leg.slot: SILENCE for leg in self.legs}
        self.burst: list[Any] = []
        self.at_once: list[Any] = []

    def _leg(self, slot: int, first_tick: int) -> Leg:
        cutter = Cutter(self.rules)
        cutter.detect = detect
        session = SimpleNamespace(first_tick=first_tick)
        leg = SimpleNamespace(slot=slot, leg_id=f"l{slot}", cutter=cutter, session=session, counters=Counter())
        return cast("Leg", leg)

    def arrange(self) -> None:
        self.watch.arrange(self.legs, self.rows.high)

    def step(self, *, flips: float) -> None:
        codes = np.full((self.rows.high, FRAME_SAMPLES), SILENCE, np.uint8)
        for leg in self.legs:
            if self.random.random() < flips:
                self.state[leg.slot] = self.random.choice([SPEECH, SPEECH, NOISE, SILENCE, SILENCE])
            codes[leg.slot] = self.state[leg.slot]
        heard = self.rows.decode(codes, self.tick)
        levels = rms_dbfs(heard)
        self.burst += [(self.tick, event) for event in self.watch.look(heard, levels, self.tick)]
        for leg in self.legs:
            frame = heard[leg.slot]
            at = (self.tick - leg.session.first_tick) * FRAME_SAMPLES
            is_speech = levels[leg.slot] >= self.rules.floor_dbfs and detect(frame.tobytes(), FRAME_SAMPLES)
            self.say(leg, self.plain[leg.slot].push(frame, is_speech, at, float(levels[leg.slot])))
        self.tick += 1

    def say(self, leg: Leg, pieces: list[SegmentEvent]) -> None:
        twin = cast("Leg", SimpleNamespace(leg_id=leg.leg_id, counters=Counter()))
        self.at_once += [(self.tick, event) for piece in pieces for event in as_messages(twin, piece)]

    def skip(self, ticks: int) -> None:
        self.burst += [(self.tick, event) for event in self.watch.skip(ticks)]
        self.rows.forget()
        self.tick += ticks

    def flush(self, leg: Leg) -> None:
        """What is under way ends, and somebody else is listened to at the same place."""
        self.burst += [(self.tick, event) for event in self.watch.flush(leg)]
        self.say(leg, self.plain[leg.slot].flush())
        self.legs[self.legs.index(leg)] = self._leg(leg.slot, first_tick=leg.session.first_tick)
        self.plain[leg.slot] = Segmenter(self.rules)
        self.arrange()


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("flips", [0.02, 0.1, 0.4])
def test_what_is_said_is_as_if_each_frame_were_cut_in_its_tick(name: str, flips: float) -> None:
    kinds: set[type] = set()
    for seed in range(12):
        bench = Bench(RULES[name], seed)
        for n in range(700):
            bench.step(flips=flips)
            if n % 151 == 150:
                bench.flush(bench.legs[seed % 3])
            if n % 233 == 232:
                bench.skip(bench.random.randint(1, 60))
        for leg in list(bench.legs):
            bench.flush(leg)
        assert bench.burst == bench.at_once
        kinds |= {type(event) for _, event in bench.burst}
    assert kinds >= {SpeechStarted, Utterance, SpeechDropped}
    assert (SpeechGrew in kinds) == bool(RULES[name].partial_ms)


def test_a_segmenter_is_seldom_given_a_single_frame() -> None:
    bench = Bench(SegmentRules(partial_ms=500), seed=1)
    bursts: list[int] = []
    push = bench.watch._push
    bench.watch._push = lambda slot, tick: (bursts.append(slot), push(slot, tick))[1]  # type: ignore[method-assign,func-returns-value]
    for _ in range(1000):
        bench.step(flips=0.02)
    assert len(bursts) < 1000 * len(bench.legs) / 4


def test_when_all_sound_at_once_each_is_compared_with_what_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Persons want it seldom, echoes all the time; neither keeps the others from it."""
    bench = Bench(SegmentRules(), seed=1, legs=40, guards=True)
    compared: Counter[int] = Counter()
    echoes = {leg.slot for leg in bench.legs[::2]}

    def look(slots: list[int], tick: int) -> None:
        assert len(slots) <= 4
        compared.update(slots)
        bench.watch._is_own[slots] = [slot in echoes for slot in slots]
        bench.watch._compared[slots] = tick

    monkeypatch.setattr(bench.watch, "_compare", look)
    bench.state = dict.fromkeys(bench.state, SPEECH)
    for _ in range(400):
        bench.step(flips=0.0)
    persons = {leg.slot for leg in bench.legs} - echoes
    assert all(5 <= compared[slot] <= 16 for slot in persons), "every half second and a little more"
    assert all(compared[slot] >= 20 for slot in echoes)
