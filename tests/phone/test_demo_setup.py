"""What the demo starts from must be what the server and the phones accept."""

from __future__ import annotations

from pathlib import Path

from kallglot_media.config.load import load_config
from kallglot_media.config.mode import Mode
from kallglot_media.phone.demo_setup import UTTERANCES, prepare, script_for
from kallglot_media.phone.script import HangUp, PlayFile, WaitHangup, WaitSilence, parse_script
from kallglot_media.phone.verdict import load_lines

LINES = load_lines(UTTERANCES, 8000)


def test_the_server_accepts_the_configuration(tmp_path: Path) -> None:
    setup = prepare(tmp_path / "demo", LINES)
    config = load_config(setup.config)
    route = config.route_for("support")
    assert route is not None
    mode = config.mode_of(route)
    assert (mode.source_language, mode.target_language) == ("de", "en")
    assert isinstance(mode, Mode)
    assert mode.agent.to == f"sip:agent@127.0.0.1:{setup.agent_port}"
    assert config.server.data_dir == setup.data_dir
    assert {listen.port for listen in config.server.sip.listen} == {setup.sip_port}


def test_the_phones_take_turns(tmp_path: Path) -> None:
    customer = parse_script(script_for("customer", LINES), tmp_path)
    agent = parse_script(script_for("agent", LINES), tmp_path)
    assert [type(step) for step in customer[1:]] == [PlayFile, WaitSilence] * 4 + [HangUp]
    assert [type(step) for step in agent] == [WaitSilence, PlayFile] * 4 + [type(agent[-2]), WaitHangup]
    assert [step.path.name for step in agent if isinstance(step, PlayFile)] == [
        line.file for line in LINES if line.speaker == "agent"
    ]


def test_a_second_run_clears_away_the_first_and_nothing_else(tmp_path: Path) -> None:
    first = prepare(tmp_path, LINES)
    (first.data_dir / "sessions").mkdir(parents=True)
    (tmp_path / "mine.txt").touch()
    second = prepare(tmp_path, LINES)
    assert not second.data_dir.exists()
    assert (tmp_path / "mine.txt").exists()
