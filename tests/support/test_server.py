"""The configuration that tests give the server has no mistakes by the server's own reader."""

from __future__ import annotations

from pathlib import Path

from kallglot_media.config import check_file, load_config
from tests.support.server import read_json, read_lines, write_config


def test_the_configuration_is_what_the_server_reads(tmp_path: Path) -> None:
    agent = {"to": "sip:agent@127.0.0.1:5070"}
    path = write_config(
        tmp_path,
        sip_port=5060,
        settings={"media": {"rtp_timeout_s": 2}},
        modes={"support": {"agent": agent, "gains": {"original_level_db": "off"}}},
    )
    assert check_file(path) == ()
    config = load_config(path)
    assert config.server.media.rtp_timeout_s == 2
    assert [listen.transport for listen in config.server.sip.listen] == ["udp", "tcp"]
    assert config.server.data_dir == tmp_path / "data"


def test_files_that_are_being_written_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read_lines(path) == []
    path.write_text('{"type": "a"}\n{"type": "b"')
    assert read_lines(path) == [{"type": "a"}]
    assert read_json(path) == {}
