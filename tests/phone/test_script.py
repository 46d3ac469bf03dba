"""The phone's script: what is read, and what the person is told when it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from kallglot_media.phone.script import (
    DEFAULT_WITHIN_MS,
    HangUp,
    Keys,
    Pause,
    PlayFile,
    ScriptError,
    WaitHangup,
    WaitSilence,
    WaitSpeech,
    parse_script,
)


def test_a_script_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "a b.wav").touch()
    steps = parse_script("pause 500ms; play a b.wav; wait reply 1.5s within 30s; dtmf 1 2#a; hangup", tmp_path)
    assert steps == (
        Pause(500),
        PlayFile(tmp_path / "a b.wav"),
        WaitSilence(1500, 30_000, after_speech=True),
        Keys("12#A"),
        HangUp(),
    )


def test_a_script_on_many_lines_with_comments(tmp_path: Path) -> None:
    text = "# the agent\nwait speech\n\n  # then; quiet\nwait silence 1s\nwait hangup within 90s\n"
    assert parse_script(text, tmp_path) == (
        WaitSpeech(DEFAULT_WITHIN_MS),
        WaitSilence(1000, DEFAULT_WITHIN_MS),
        WaitHangup(90_000),
    )


@pytest.mark.parametrize(
    ("text", "where", "wrong", "mend"),
    [
        ("", "script", "no step", "wait hangup"),
        ("# nothing", "script", "no step", "wait hangup"),
        ("pause 1s\npley a.wav", "script line 2", "'pley'", "'play'"),
        ("sing", "script line 1", "'sing'", "steps: dtmf, hangup"),
        ("play", "script line 1", "no file", "play hello.wav"),
        ("play gone.wav", "script line 1", "gone.wav", "WAV file"),
        ("pause 500", "script line 1", "'500'", "pause 500ms"),
        ("pause", "script line 1", "''", "pause 500ms"),
        ("wait", "script line 1", "''", "speech, silence, reply or hangup"),
        ("wait silence", "script line 1", "''", "wait silence 1s"),
        ("wait reply soon", "script line 1", "'soon'", "wait reply 1s"),
        ("wait speech 1s", "script line 1", "'1s'", "wait speech within 20s"),
        ("wait speech within", "script line 1", "within names no time", "within 20s"),
        ("wait speech within long", "script line 1", "'long'", "within 20s"),
        ("dtmf", "script line 1", "no key", "dtmf 12#"),
        ("dtmf 1x", "script line 1", "'X'", "0 1 2"),
        ("hangup now", "script line 1", "'now'", "write hangup"),
    ],
)
def test_mistakes_say_where_what_and_the_mend(tmp_path: Path, text: str, where: str, wrong: str, mend: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script(text, tmp_path)
    assert caught.value.where == where
    assert wrong in caught.value.wrong
    assert mend in caught.value.mend
