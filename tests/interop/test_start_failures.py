"""A server that cannot start says where, what and the mend on one line, and ends with 2."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.disk import small_disk
from tests.support.processes import HOST, Child, command_line, descendants, free_port, running, until
from tests.support.server import REPOSITORY, Json, serve_command, write_config

pytestmark = [pytest.mark.interop, pytest.mark.loopback]


def start(config: Path, *, prefix: Sequence[str] = (), most_lines: int = 3) -> str:
    """Run it to its end; what it wrote. Fails unless it ends with 2, briefly and without a traceback."""
    command = [*prefix, *serve_command(config)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=False)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 2, f"ended with {ended.returncode}:\n{said}"
    assert "Traceback" not in said, said
    assert 1 <= len(said_of_mistakes(said)) <= most_lines, said
    return said


def said_of_mistakes(said: str) -> list[str]:
    """What is no log line of an orderly start: a slow machine writes more of those."""
    return [
        line
        for line in said.splitlines()
        if not (line.startswith("{") and json.loads(line)["level"] in ("debug", "info"))
    ]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody else has, UDP and TCP."""
    port = free_port()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
    ):
        udp.bind((HOST, port))
        tcp.bind((HOST, port))
        tcp.listen()
        yield port


def test_a_port_in_use_is_named(tmp_path: Path, taken_port: int) -> None:
    said = start(write_config(tmp_path, sip_port=taken_port))
    assert str(taken_port) in said
    assert "in use" in said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"speech": {"recognizer": {"model": "no-such-model"}}}, ["no-such-model"]),
        ({"speech": {"recognizer": {"model": "{empty}"}}}, ["empty", "config.json"]),
        ({"speech": {"synthesizer": {"voices": {"de": "nobody"}}}}, ["nobody"]),
        ({"data_dir": "{file}/data"}, ["file/data"]),
        ({"data_dir": "/proc/nothing"}, ["/proc/nothing"]),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, settings: Json, words: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("not a folder")
    said = start(write_config(tmp_path, sip_port=free_port(), settings=filled(settings, tmp_path)))
    for word in words:
        assert word in said, said


def test_every_broken_model_is_named_and_nothing_is_left_behind(tmp_path: Path) -> None:
    models = tmp_path / "models"
    for name in ("argos/one.argosmodel", "argos/two.argosmodel", "piper/de.onnx"):
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        (models / name).write_bytes(b"broken")
    settings = {"speech": {"models_dir": str(models)}}
    said = start(write_config(tmp_path, sip_port=free_port(), settings=settings), most_lines=8)
    for name in ("one.argosmodel", "two.argosmodel", "de.onnx.json"):
        assert name in said, said
    assert not (tmp_path / "data").exists(), "a folder for a server that cannot start"


@pytest.mark.parametrize("word", ["speech.worker", "media.process"])
def test_told_to_stop_while_starting_it_ends_at_once_and_leaves_no_process(tmp_path: Path, word: str) -> None:
    """In the middle of the start: its engines, or its media process, are there and not ready."""
    with Child(serve_command(write_config(tmp_path, sip_port=free_port())), tmp_path / "log", cwd=REPOSITORY) as server:
        family: set[int] = set()

        def begun() -> bool:
            family.update(descendants(server.pid))
            return any(word in command_line(pid) for pid in family)

        until(f"{word} is started", begun, 30.0, every_s=0.01)
        server.process.terminate()
        assert server.wait(20.0) == 0, server.log
        assert "stopped while starting" in server.log
        assert "Traceback" not in server.log, server.log
        until("its processes end", lambda: not any(map(running, family)), 5.0)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    data = tmp_path / "disk"
    prefix = small_disk(data, 64, full=True)
    config = write_config(tmp_path, sip_port=free_port(), settings={"data_dir": str(data)})
    said = start(config, prefix=prefix)
    assert str(data) in said
    assert "no space" in said.lower()


def filled(value: Json, folder: Path) -> Json:
    """The settings with {empty} and {file} as paths in `folder`."""
    return {
        name: filled(inner, folder)
        if isinstance(inner, dict)
        else inner.format(empty=folder / "empty", file=folder / "file")
        if isinstance(inner, str)
        else inner
        for name, inner in value.items()
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sip:\n  lisen: []\n", ["server.yaml:2", "lisen", "listen"]),
        ("media:\n  rtp_timeout_s: soon\n", ["server.yaml:2", "soon"]),
        ("sip: [\n", ["server.yaml"]),
        ("log: {level: loud}\n", ["server.yaml:1", "loud", "debug"]),
    ],
)
def test_wrong_yaml_never_starts_half_configured(tmp_path: Path, line: str, words: list[str]) -> None:
    config = write_config(tmp_path, sip_port=free_port())
    config.write_text(line)
    said = start(config)
    for word in words:
        assert word in said, said
