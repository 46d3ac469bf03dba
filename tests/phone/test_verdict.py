"""The demo's judgement: a good call passes, and every way in which it can go wrong makes it fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kallglot_media.phone.match import find, find_in_pieces, sound_end
from kallglot_media.phone.session_folder import read_session
from kallglot_media.phone.verdict import Line, Verdict, judge, load_lines, word_ratio
from tests.support.sessions import LINES, RATE_HZ, MadeUpCall, put, turn_of, voice, write_wav

EXPECTED = [
    Line(f"{number}.wav", line.speaker, "de", line.text, line.translation, line.said)
    for number, line in enumerate(LINES, start=1)
]


def verdict_of(call: MadeUpCall, tmp_path: Path) -> Verdict:
    return judge(read_session(call.write(tmp_path / "sess")), EXPECTED, call.heard)


def failed(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.detail for check in verdict.checks if not check.passed}


def test_a_good_call_passes_with_its_numbers(tmp_path: Path) -> None:
    verdict = verdict_of(MadeUpCall(), tmp_path)
    assert verdict.passed
    assert len(verdict.checks) == 1 + 2 * len(LINES)
    for result, line in zip(verdict.lines, LINES, strict=True):
        assert result.heard is not None
        assert result.lag_ms == pytest.approx(line.lag_ms, abs=25)


def lose_a_turn(call: MadeUpCall) -> None:
    del call.turns[2]


def forget_a_translation(call: MadeUpCall) -> None:
    call.turns[1]["translation"] = None


def forget_the_text(call: MadeUpCall) -> None:
    call.turns[1]["text"] = ""


def mishear(call: MadeUpCall) -> None:
    call.turns[0]["text"] = "Ich wohne in Paris."


def give_the_turn_to_the_other(call: MadeUpCall) -> None:
    call.turns[0]["speaker"] = "agent"


def never_play(call: MadeUpCall) -> None:
    call.turns[3]["play"] = None


def record_nothing(call: MadeUpCall) -> None:
    call.original["customer"][:] = 0


def make_silence(call: MadeUpCall) -> None:
    call.made["agent"][:] = 0


def hear_nothing(call: MadeUpCall) -> None:
    call.heard["agent"][:] = 0


def hear_only_the_original(call: MadeUpCall) -> None:
    call.heard["customer"][:] = 0
    for line in (LINES[1], LINES[3]):
        put(call.heard["customer"], line.start_s + 0.31, line.said)


def hear_another_sentence(call: MadeUpCall) -> None:
    line = LINES[0]
    start = round((line.first_s + 0.12) * RATE_HZ)
    call.heard["agent"][start : start + len(line.made)] = voice(len(line.made) / RATE_HZ, 99)


def hear_it_faintly(call: MadeUpCall) -> None:
    call.heard["agent"] = (call.heard["agent"] * 0.07).astype(np.int16)


def hear_half_of_it(call: MadeUpCall) -> None:
    line = LINES[0]
    start = round((line.first_s + 0.12) * RATE_HZ)
    call.heard["agent"][start + len(line.made) // 2 : start + len(line.made)] = 0


def hear_one_late(call: MadeUpCall) -> None:
    line = LINES[2]
    start = round((line.first_s + 0.12) * RATE_HZ)
    call.heard["agent"][start : start + len(line.made)] = 0
    put(call.heard["agent"], line.first_s + 0.12 + 0.4, line.made)


@pytest.mark.parametrize(
    ("spoil", "name", "detail"),
    [
        (lose_a_turn, "line 3, customer: has its turn", "no turn covers"),
        (forget_a_translation, "line 2, agent: has its turn", "turn 2 has no translation"),
        (forget_the_text, "line 2, agent: has its turn", "turn 2 has no text"),
        (mishear, "line 1, customer: has its turn", "was understood as"),
        (give_the_turn_to_the_other, "line 1, customer: has its turn", "no turn covers"),
        (never_play, "line 4, agent: translation heard by the customer", "never played"),
        (record_nothing, "line 1, customer: has its turn", "not found on the original track"),
        (make_silence, "line 2, agent: translation heard by the customer", "made track is silent"),
        (hear_nothing, "line 1, customer: translation heard by the agent", "correlation 0.00"),
        (hear_only_the_original, "line 2, agent: translation heard by the customer", "correlation 0."),
        (hear_another_sentence, "line 1, customer: translation heard by the agent", "correlation 0."),
        (hear_it_faintly, "line 1, customer: translation heard by the agent", "dBFS is too faint"),
        (hear_half_of_it, "line 1, customer: translation heard by the agent", "correlation 0."),
        (hear_one_late, "line 3, customer: translation heard by the agent", "ms away from where it belongs"),
    ],
)
def test_each_fault_fails_its_check(
    tmp_path: Path, spoil: Callable[[MadeUpCall], None], name: str, detail: str
) -> None:
    call = MadeUpCall()
    spoil(call)
    verdict = verdict_of(call, tmp_path)
    assert not verdict.passed
    assert detail in failed(verdict)[name]


def test_a_fault_of_one_line_leaves_the_others_alone(tmp_path: Path) -> None:
    call = MadeUpCall()
    hear_another_sentence(call)
    assert list(failed(verdict_of(call, tmp_path))) == ["line 1, customer: translation heard by the agent"]


@pytest.mark.parametrize("short", ["customer", "agent"])
def test_tracks_of_unequal_length_fail(tmp_path: Path, short: str) -> None:
    call = MadeUpCall()
    folder = call.write(tmp_path / "sess")
    write_wav(folder / f"{short}.wav", call.original[short][:-1], call.made[short][:-1])
    verdict = judge(read_session(folder), EXPECTED, call.heard)
    assert list(failed(verdict)) == ["tracks are equal in length"]


def test_tracks_shorter_than_the_session_says_fail(tmp_path: Path) -> None:
    folder = MadeUpCall().write(tmp_path / "sess")
    facts = json.loads((folder / "session.json").read_text())
    (folder / "session.json").write_text(json.dumps(facts | {"samples": facts["samples"] + 8000}))
    assert list(failed(judge(read_session(folder), EXPECTED, MadeUpCall().heard))) == ["tracks are equal in length"]


def test_empty_tracks_fail(tmp_path: Path) -> None:
    call = MadeUpCall(lines=(), seconds=0.0)
    verdict = judge(read_session(call.write(tmp_path / "sess")), [], call.heard)
    assert list(failed(verdict)) == ["tracks are equal in length"]


def test_a_line_said_twice_needs_two_turns(tmp_path: Path) -> None:
    """The second saying must not be found where the first one lies."""
    call = MadeUpCall()
    verdict = judge(read_session(call.write(tmp_path / "sess")), [*EXPECTED, EXPECTED[0]], call.heard)
    assert "line 5, customer: has its turn" in failed(verdict)


def test_a_line_cut_in_two_turns_is_judged_by_the_longer(tmp_path: Path) -> None:
    call = MadeUpCall()
    call.turns.append(turn_of(5, LINES[0]) | {"end_ms": 1200.0, "text": "Guten", "play": None})
    assert verdict_of(call, tmp_path).passed


def test_find_is_blind_to_gain_and_offset() -> None:
    sound, recording = voice(0.5, 5), voice(3.0, 6, peak=300)
    put(recording, 1.25, sound, gain=0.5)
    found = find(sound, recording)
    assert found.at_sample == 10_000
    assert found.correlation > 0.95
    assert find(sound, recording[:2000]).correlation == 0.0
    assert find(np.zeros(100, np.int16), recording).correlation == 0.0
    assert find(sound, recording, first=10_400).correlation < 0.3
    assert find(sound, recording, last=9_600).correlation < 0.3


def test_a_line_whose_second_half_was_moved_by_a_frame_is_still_found() -> None:
    """What a jitter buffer does under load: the whole correlates at a half, its pieces as before."""
    sound = voice(3.0, 5)
    recording = np.zeros(40_000, np.int16)
    put(recording, 0.5, sound[:12_000])
    put(recording, 0.5 + 1.5 + 0.02, sound[12_000:])
    assert find(sound, recording).correlation < 0.8
    found = find_in_pieces(sound, recording, RATE_HZ)
    assert found.correlation > 0.99
    assert (found.at_sample, found.end_shift) == (4000, 160)


def test_another_line_is_not_found_in_pieces() -> None:
    recording = np.zeros(40_000, np.int16)
    put(recording, 0.5, voice(3.0, 6))
    assert find_in_pieces(voice(3.0, 5), recording, RATE_HZ).correlation < 0.3
    assert find_in_pieces(voice(3.0, 5), recording[:100], RATE_HZ).correlation == 0.0


def test_near_silence_of_the_same_shape_is_not_found() -> None:
    sound = voice(0.5, 5)
    recording = np.zeros(8000, np.int16)
    put(recording, 0.2, sound, gain=0.002)
    assert find(sound, recording).correlation < 0.2


def test_the_end_of_speech_is_not_the_end_of_the_file() -> None:
    padded = np.concatenate([voice(1.0, 8), np.zeros(4000, np.int16)])
    assert sound_end(padded, RATE_HZ) == pytest.approx(8000, abs=320)


def test_words_are_compared_without_case_and_commas() -> None:
    assert word_ratio("Ja, bestellen Sie bitte.", "ja bestellen sie bitte") == 1.0
    assert word_ratio("Ja, bestellen Sie bitte.", "That is perfect.") == 0.0


def test_the_demos_own_lines_load_and_alternate() -> None:
    folder = Path(__file__).parents[2] / "kallglot_media" / "phone" / "utterances"
    lines = load_lines(folder, RATE_HZ)
    assert [line.speaker for line in lines] == ["customer", "agent"] * 4
    assert all(RATE_HZ < len(line.sound) < 6 * RATE_HZ for line in lines)
