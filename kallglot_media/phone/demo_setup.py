"""What the demo starts from: free ports on loopback, a server configuration, and a script for each phone."""

from __future__ import annotations

import random
import shutil
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kallglot_media.errors import SetupError
from kallglot_media.phone.verdict import Line

HOST = "127.0.0.1"
UTTERANCES = Path(__file__).parent / "utterances"

_FIRST_PORT, _LAST_PORT = 12_000, 32_000
"""Below the range that Linux lends out by itself, so that nobody takes a port between our look and its use."""

NOTHING_MORE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Staging:
    """How a call is held other than the demo's.

    server      sections of server.yaml besides the demo's own
    phones      more options of both phones' commands
    scripts     speaker -> steps; left out: each says its lines in turn and waits for the replies
    own_models  models of the machine's owner are used ($KALLGLOT_MODELS), not only the starter's
    """

    server: Mapping[str, Any] = field(default_factory=dict)
    phones: tuple[str, ...] = ()
    scripts: Mapping[str, str] | None = None
    own_models: bool = False


AS_THE_DEMO = Staging()

_RTP_PORTS = 64
_CALLS = 4
_REPLY_SILENCE = "1200ms"
"""Longer than end-pointing and engines take, so that the ducked original before a translation is not taken for it."""

_OURS = ("config", "data", "phones", "server.log", "session.png", "session.svg")
"""What a run leaves in its folder, and what the next one clears away."""


@dataclass(frozen=True, slots=True)
class DemoSetup:
    """Everything that one run needs. Every path is absolute.

    scripts  speaker -> the script file of that phone
    staging  how it is held
    """

    folder: Path
    config: Path
    data_dir: Path
    sip_port: int
    agent_port: int
    scripts: dict[str, Path]
    staging: Staging = AS_THE_DEMO

    @property
    def customer_calls(self) -> str:
        """What the customer dials."""
        return f"sip:support@{HOST}:{self.sip_port}"

    def report(self, speaker: str) -> Path:
        """Where that phone writes its JSON report."""
        return self.folder / "phones" / f"{speaker}.json"

    def heard(self, speaker: str) -> Path:
        """Where that phone writes what it heard."""
        return self.folder / "phones" / f"{speaker}-heard.wav"

    def log(self, name: str) -> Path:
        """server.log, or what a phone said."""
        return self.folder / ("server.log" if name == "server" else f"phones/{name}.log")


def prepare(
    folder: Path,
    lines: Sequence[Line],
    more: Mapping[str, Any] = NOTHING_MORE,
    staging: Staging = AS_THE_DEMO,
) -> DemoSetup:
    """Clear `folder` of the last run and write this one's files. Raises SetupError when it cannot be written.

    more  settings of the mode besides the demo's own
    """
    folder = folder.absolute()
    sip_port, agent_port = free_ports(2)
    try:
        _clear(folder)
        config = write_config(folder / "config", folder / "data", sip_port, agent_port, more, staging.server)
        scripts = {speaker: folder / "phones" / f"{speaker}.script" for speaker in ("customer", "agent")}
        for speaker, path in scripts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            steps = script_for(speaker, lines) if staging.scripts is None else staging.scripts[speaker]
            path.write_text(steps, "utf-8")
    except OSError as error:
        raise SetupError(str(folder), f"cannot be written: {error.strerror}", "name another with --out") from None
    return DemoSetup(folder, config, folder / "data", sip_port, agent_port, scripts, staging)


def script_for(speaker: str, lines: Sequence[Line]) -> str:
    """Say one's own lines and wait for the reply to each; the customer hangs up, the agent waits for that."""
    steps = ["pause 600ms"] if speaker == "customer" else []
    for line in lines:
        if line.speaker == speaker:
            steps.append(f"play {UTTERANCES / line.file}")
        else:
            steps.append(f"wait reply {_REPLY_SILENCE} within 15s")
    if lines and lines[-1].speaker == speaker:
        steps.append("pause 4s")
    steps.append("hangup" if speaker == "customer" else "wait hangup within 30s")
    return "\n".join(steps) + "\n"


def write_config(
    folder: Path,
    data_dir: Path,
    sip_port: int,
    agent_port: int,
    more: Mapping[str, Any] = NOTHING_MORE,
    server_too: Mapping[str, Any] = NOTHING_MORE,
) -> Path:
    """server.yaml, routes.yaml and the mode; returns the path of server.yaml."""
    rtp_port = free_port_range(_RTP_PORTS)
    server = {
        "data_dir": str(data_dir),
        "log": {"format": "console", "level": "info"},
        "sip": {
            "listen": [{"transport": transport, "host": HOST, "port": sip_port} for transport in ("udp", "tcp")],
            "max_calls": _CALLS,
        },
        "media": {"ports": [rtp_port, rtp_port + _RTP_PORTS - 1]},
        "recording": {"min_free_mb": 20},
        "api": {"port": 0},
        "limits": {"drain_s": 5},
        "routes": "routes.yaml",
        **server_too,
    }
    mode = {
        "mode": "bidirectional_translation",
        "source_language": "de",
        "target_language": "en",
        "agent": {"to": f"sip:agent@{HOST}:{agent_port}"},
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    _write_yaml(folder / "support.yaml", mode)
    _write_yaml(folder / "routes.yaml", {"routes": [{"called": "support", "mode": "support.yaml"}]})
    return _write_yaml(folder / "server.yaml", server)


def free_ports(count: int) -> list[int]:
    """So many different ports that are free for UDP and TCP. Raises SetupError."""
    found: list[int] = []
    for port in _candidates():
        if port not in found and _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise SetupError(HOST, f"has no {count} free ports from {_FIRST_PORT} to {_LAST_PORT}", "stop some programs")


def free_port_range(count: int) -> int:
    """The first of `count` free ports in a row. Raises SetupError."""
    for port in _candidates():
        if all(_is_free(each, tcp=False) for each in range(port, port + count)):
            return port
    raise SetupError(HOST, f"has no {count} free UDP ports in a row", "stop some programs")


def _candidates() -> Iterable[int]:
    return (random.randrange(_FIRST_PORT, _LAST_PORT, 2) for _ in range(200))  # noqa: S311 - no secret


def _is_free(port: int, *, tcp: bool = True) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM) if tcp else (socket.SOCK_DGRAM,):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in _OURS:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _write_yaml(path: Path, value: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), "utf-8")
    return path
