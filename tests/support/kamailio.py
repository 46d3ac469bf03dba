"""Kamailio as the proxy in front of media servers: pings, fails over, and stays in the call's path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support.processes import HOST, Child, bound, free_port, need, until

CONFIGS = Path(__file__).resolve().parents[1] / "interop" / "kamailio"


class Kamailio:
    """A running Kamailio: a proxy for these servers ("127.0.0.1:5060", tried in this order), or with
    config="registrar" a provider that phones and servers log on to (users: see registrar.cfg).

    port  when that had to be known before, or is to be the same again
    """

    def __init__(
        self, folder: Path, servers: Sequence[str] = (), *, config: str = "kamailio", port: int | None = None
    ) -> None:
        program = need("kamailio", "kamailio")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        lines = [f"1 sip:{server} 0 {len(servers) - index}\n" for index, server in enumerate(servers)]
        (folder / "dispatcher.list").write_text("".join(lines))
        command = [program, "-DD", "-E", "-f", str(CONFIGS / f"{config}.cfg"), "-Y", str(folder), "-m", "64", "-M", "8"]
        command += ["-A", f"PORT={self.port}", "-A", f'RUNDIR="{folder}"']
        self.child = Child(command, folder / "log")
        until("Kamailio listens", lambda: bound(self.port) or not self.child.alive(), 10.0)

    def uri(self, user: str) -> str:
        """What a phone dials."""
        return f"sip:{user}@{HOST}:{self.port}"

    def wait_log(self, text: str, timeout_s: float = 10.0) -> None:
        """Until it has logged this."""
        self.child.wait_log(text, timeout_s)

    def stop(self) -> None:
        """End it."""
        self.child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
