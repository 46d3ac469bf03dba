"""The real server as a subprocess, on free ports of 127.0.0.1, with a configuration folder of its own.

At the end of the `with` block it must stop on SIGTERM, leave no process behind, and have
no traceback in its log: every interop test checks that by using it.
"""

from __future__ import annotations

import contextlib
import copy
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.support.processes import (
    HOST,
    Child,
    Late,
    command_line,
    descendants,
    free_port,
    free_ports,
    kill,
    running,
    until,
)

REPOSITORY = Path(__file__).resolve().parents[2]
READY_S = 30.0
"""Longer than the 5 s that are promised: the machine that tests is busy with testing."""

Json = Mapping[str, Any]


def serve_command(config: Path) -> list[str]:
    """How the server is started from a source tree."""
    return [sys.executable, "-m", "kallglot_media.cli", "serve", str(config)]


def write_config(
    folder: Path,
    *,
    sip_port: int,
    settings: Json | None = None,
    modes: Mapping[str, Json] | None = None,
    routes: Sequence[Json] = (),
) -> Path:
    """server.yaml, routes.yaml and a mode file for each of `modes`; returns the path of server.yaml.

    settings  merged over what tests need: loopback, one worker each, few ports, drain of 10 s
    modes     file name -> what differs from German to English; "agent" must be given
    routes    go before echo, interpreter and one route for each mode under its own name
    """
    rtp_ports = free_ports(800)
    server = _merged(
        {
            "data_dir": str(folder / "data"),
            "log": {"level": "debug", "format": "json"},
            "sip": {
                "listen": [
                    {"transport": "udp", "host": HOST, "port": sip_port},
                    {"transport": "tcp", "host": HOST, "port": sip_port},
                ],
                "max_calls": 100,
                "ring_s": 20,
            },
            "media": {"ports": [rtp_ports[0], rtp_ports[-1]]},
            "recording": {"min_free_mb": 1},
            # one of each, whatever the machine has: tests kill them
            "speech": {kind: {"workers": 1} for kind in ("recognizer", "translator", "synthesizer")},
            "api": {"port": 0},
            "limits": {"drain_s": 10},
            "routes": "routes.yaml",
        },
        settings or {},
    )
    lines = [*routes, {"called": "echo", "service": "echo"}]
    lines.append({"called": "interpreter", "service": "interpreter", "languages": ["de", "en"]})
    (folder / "modes").mkdir(parents=True, exist_ok=True)
    for name, mode in (modes or {}).items():
        base = {"mode": "bidirectional_translation", "source_language": "de", "target_language": "en"}
        _write_yaml(folder / "modes" / f"{name}.yaml", _merged(base, mode))
        lines.append({"called": name, "mode": f"modes/{name}.yaml"})
    _write_yaml(folder / "routes.yaml", {"routes": lines})
    return _write_yaml(folder / "server.yaml", server)


class Server:
    """A running server.

        with Server(tmp_path, modes={"support": {"agent": {"to": bob.uri}}}) as server:
            alice.dial(server.uri("support"))

    env  added to its environment; ready: wait until it answers OPTIONS with 200
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Json | None = None,
        modes: Mapping[str, Json] | None = None,
        routes: Sequence[Json] = (),
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        sip_port: int | None = None,
    ) -> None:
        self.folder, self.sip_port = folder, sip_port or free_port()
        self.config = write_config(folder, sip_port=self.sip_port, settings=settings, modes=modes, routes=routes)
        self.data = Path(yaml.safe_load(self.config.read_text())["data_dir"])
        self._env, self._prefix = env, prefix
        self._expects_death = False
        self._family: set[int] = set()
        self.ready_s = 0.0
        self.child = self._start()

    # ── life ─────────────────────────────────────────────────────────────────────

    def _start(self) -> Child:
        started_s = time.monotonic()
        command = [*self._prefix, *serve_command(self.config)]
        child = Child(command, self.folder / "server.log", cwd=REPOSITORY, env=self._env)

        def answers() -> bool:
            if not child.alive():
                raise Late(f"the server ended with {child.process.returncode} while starting:\n{child.log[-4000:]}")
            return self.options() == 200

        try:
            until("the server answers OPTIONS", answers, READY_S)
        except BaseException as error:
            self._family.update(descendants(child.pid))
            child.stop()
            self._reap()
            raise Late(f"{error}\n{child.log[-4000:]}") from None
        self.ready_s = time.monotonic() - started_s
        self._family.update(descendants(child.pid))
        return child

    def restart(self) -> None:
        """Start it again on the same folders and ports, after it ended or was killed."""
        assert not self.child.alive(), "it still runs"
        self.child = self._start()
        self._expects_death = False

    def kill(self) -> None:
        """kill -9, as a power cut or the kernel's memory killer would."""
        self._family.update(descendants(self.child.pid))
        self._expects_death = True
        kill(self.child.pid)
        self.child.wait(5.0)

    def reload(self, change: Callable[[], object]) -> None:
        """Change one file of its configuration, at once, and wait until the next call goes by it."""
        before = self.log.count('"event": "reloaded"')
        change()
        self.child.process.send_signal(signal.SIGHUP)
        until("the configuration is read again", lambda: self.log.count('"event": "reloaded"') > before, 10.0)

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        self._family.update(descendants(self.child.pid))
        self.child.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """SIGTERM, and the checks that every end deserves."""
        if self.child.alive():
            self._family.update(descendants(self.child.pid))
            code = self.child.stop(timeout_s=20.0)
            assert code == 0, f"SIGTERM ended it with {code}:\n{self.log[-4000:]}"
        left = self._wait_gone(5.0)
        self._reap()
        assert not left, f"it left processes behind: {left}"
        assert self._expects_death or "Traceback" not in self.log, self.log[-8000:]

    def _wait_gone(self, timeout_s: float) -> list[str]:
        with contextlib.suppress(Late):
            until("its processes end", lambda: not any(map(running, self._family)), timeout_s)
        return [f"{pid} {command_line(pid)}" for pid in self._family if running(pid)]

    def _reap(self) -> None:
        for pid in self._family:
            kill(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.stop()
            return
        with contextlib.suppress(AssertionError):
            self.stop()
        error.add_note(f"server log:\n{self.log[-8000:]}")

    # ── what it is asked ─────────────────────────────────────────────────────────

    @property
    def address(self) -> str:
        """host:port, as SIPp wants it."""
        return f"{HOST}:{self.sip_port}"

    def uri(self, user: str, transport: str = "udp") -> str:
        """What a phone dials."""
        return f"sip:{user}@{self.address}" + ("" if transport == "udp" else f";transport={transport}")

    def options(self, timeout_s: float = 0.5) -> int:
        """The status it answers an OPTIONS with over UDP, or 0."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.bind((HOST, 0))
            ours.settimeout(timeout_s)
            port, mark = ours.getsockname()[1], time.monotonic_ns()
            ours.sendto(options_request(self.address, port, mark), (HOST, self.sip_port))
            with contextlib.suppress(OSError, ValueError, IndexError):
                return int(ours.recv(65536).split(b" ", 2)[1])
        return 0

    @property
    def log(self) -> str:
        """Everything it wrote."""
        return self.child.log_path.read_text("utf-8", "replace")

    def workers(self, word: str) -> list[int]:
        """Its descendants whose command line has `word` in it."""
        found = descendants(self.child.pid)
        self._family.update(found)
        return [pid for pid in found if word in command_line(pid)]

    # ── what it leaves ───────────────────────────────────────────────────────────

    def sessions(self) -> list[Path]:
        """The folders of its sessions, oldest first."""
        return sorted(path.parent for path in self.data.glob("sessions/**/session.json"))

    def session(
        self, index: int = -1, *, count: int | None = None, ended: bool = True, timeout_s: float = 10.0
    ) -> Path:
        """One session's folder, once there are `count` of them and this one is over."""

        def there() -> bool:
            folders = self.sessions()
            if not folders or (count is not None and len(folders) < count):
                return False
            return not ended or read_json(folders[index] / "session.json").get("status") == "ended"

        until(f"session {index} is {'over' if ended else 'there'}", there, timeout_s)
        return self.sessions()[index]

    def wait_event(
        self, folder: Path, kind: str, timeout_s: float = 10.0, *, where: Callable[[Json], bool] = lambda event: True
    ) -> Json:
        """The first event of this type in the session's events.jsonl for which `where` holds."""
        found: list[Json] = []

        def there() -> bool:
            found[:] = [event for event in events(folder) if event["type"] == kind and where(event)]
            return bool(found)

        try:
            until(f"event {kind}", there, timeout_s)
        except Late as late:
            raise Late(f"{late}; saw {[event['type'] for event in events(folder)]}") from None
        return found[0]


def options_request(address: str, our_port: int, mark: int) -> bytes:
    """A plain OPTIONS from 127.0.0.1:our_port. mark: makes branch and Call-ID unique."""
    lines = (
        f"OPTIONS sip:ping@{address} SIP/2.0",
        f"Via: SIP/2.0/UDP {HOST}:{our_port};branch=z9hG4bK-ping-{mark};rport",
        f"From: <sip:ping@{HOST}:{our_port}>;tag={mark}",
        f"To: <sip:ping@{address}>",
        f"Call-ID: ping-{mark}",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def events(folder: Path) -> list[Json]:
    """The whole lines of a session's events.jsonl."""
    return read_lines(folder / "events.jsonl")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one while it is being written."""
    with contextlib.suppress(OSError, ValueError):
        value = json.loads(path.read_text("utf-8"))
        if isinstance(value, dict):
            return value
    return {}


def read_lines(path: Path) -> list[Json]:
    """The whole lines of a JSON Lines file; [] while there is none."""
    with contextlib.suppress(OSError):
        text = path.read_text("utf-8", "replace")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line]
    return []


def _merged(base: Json, over: Json) -> dict[str, Any]:
    """`over` laid on `base`, dicts into dicts."""
    result = copy.deepcopy(dict(base))
    for name, value in over.items():
        old = result.get(name)
        result[name] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _write_yaml(path: Path, value: Json) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True))
    return path
