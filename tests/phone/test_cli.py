"""The commands phone, plot and demo as functions: scripts, summaries, exit codes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from kallglot_media.errors import SetupError
from kallglot_media.phone.cli import phone_command, plot_command, steps_of, summary
from kallglot_media.phone.performer import Missed, Played
from kallglot_media.phone.phone import PhoneSettings
from kallglot_media.phone.report import PhoneReport, RtpReport
from kallglot_media.phone.script import Pause, PlayFile, WaitHangup, WaitSilence
from tests.support.sessions import MadeUpCall


def test_a_script_may_be_text_or_a_file_beside_its_sounds(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "call.script").write_text("play a.wav\n")
    assert steps_of(str(tmp_path / "call.script"), ()) == (PlayFile(tmp_path / "a.wav"),)
    assert steps_of("pause 1s", ()) == (Pause(1000),)
    assert steps_of("pause 10ms;" * 1000, ())[0] == Pause(10)


def test_a_script_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "call.script"
    path.write_bytes(b"play \xff\xfe")
    with pytest.raises(SetupError, match="is not UTF-8 text"):
        steps_of(str(path), ())


@pytest.mark.parametrize("option", ["record", "report"])
def test_what_cannot_be_written_afterwards_is_said_before_the_call(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(SetupError) as caught:
            phone_command("sip:a@127.0.0.1:1", listen=False, settings=PhoneSettings(), **{option: path})  # type: ignore[arg-type]
        assert caught.value.where == f"--{option} {path}"


def test_a_call_that_comes_to_nothing_leaves_the_report_and_no_empty_recording(tmp_path: Path) -> None:
    out = Console(file=io.StringIO())
    heard, report = tmp_path / "new" / "heard.wav", tmp_path / "report.json"
    settings = PhoneSettings(wait_s=0.02)
    called = phone_command(
        "sip:a@127.0.0.1:9", listen=False, settings=settings, console=out, record=heard, report=report
    )
    assert called == 1
    assert not heard.exists()
    assert report.exists()


def test_files_alone_are_said_and_listened_after(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    kinds = [type(step) for step in steps_of(None, [tmp_path / "a.wav", tmp_path / "a.wav"])]
    assert kinds == [Pause, PlayFile, WaitSilence] * 2
    assert [type(step) for step in steps_of(None, ())] == [WaitHangup]


@pytest.mark.parametrize(("uri", "listen"), [(None, False), ("sip:a@127.0.0.1", True)])
def test_a_phone_either_calls_or_listens(uri: str | None, listen: bool) -> None:
    with pytest.raises(SetupError, match="one of a URI and --listen"):
        phone_command(uri, listen=listen, settings=PhoneSettings())


def test_the_summary_of_a_good_call_has_its_numbers() -> None:
    report = PhoneReport("sip:a@127.0.0.1", "answered", [180, 200], "BYE", "remote", "PCMU", seconds=2.5)
    report.rtp = RtpReport(125, 120, 5, 1.25)
    report.played, report.heard_keys = [Played("a.wav", 4000, 8000)], "12"
    text = summary(report)
    assert "answered (180 200)" in text
    assert "2.5 s, PCMU, ended by remote" in text
    assert "sent 125 packets, received 120, lost 5, jitter 1.2 ms" in text
    assert "said a.wav at 0.5 s" in text
    assert "heard the keys 12" in text


def test_the_summary_of_a_bad_call_says_why() -> None:
    refused = PhoneReport("sip:a@127.0.0.1", "refused", [486], "Busy Here")
    assert summary(refused) == "sip:a@127.0.0.1: refused Busy Here (486)"
    silent = PhoneReport("sip:a@127.0.0.1")
    assert summary(silent) == "sip:a@127.0.0.1: not answered (no response)"
    missed = PhoneReport("sip:a@127.0.0.1", "answered", [200], missed=[Missed(2, "wait speech: not within 5 ms", 1)])
    assert "missed step 2: wait speech" in summary(missed)
    assert not missed.succeeded


def test_plot_draws_into_the_session_or_elsewhere(tmp_path: Path) -> None:
    folder = MadeUpCall().write(tmp_path / "sess")
    out = Console(file=io.StringIO())
    assert plot_command(folder, None, console=out) == 0
    assert plot_command(folder, tmp_path / "new" / "place", console=out) == 0
    for place in (folder, tmp_path / "new" / "place"):
        assert (place / "session.png").stat().st_size > 10_000
        assert (place / "session.svg").exists()


def test_plot_of_nothing_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="is no folder"):
        plot_command(tmp_path / "gone", None)
    assert not (tmp_path / "gone").exists()
