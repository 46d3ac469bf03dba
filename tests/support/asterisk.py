"""Asterisk from Debian unstable, in the folder that scripts/interop_asterisk.sh makes: a PBX with a trunk to us."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

import pytest

from tests.support.processes import HOST, Child, Late, bound, free_port, free_ports, until

ROOT = Path(os.environ.get("ASTERISK_ROOT", "/srv/chroots/sid"))
CONFIGS = Path(__file__).resolve().parents[1] / "interop" / "asterisk"

MAIN = """\
[directories]
astetcdir => {folder}
astmoddir => /usr/lib/x86_64-linux-gnu/asterisk/modules
astvarlibdir => /usr/share/asterisk
astdatadir => /usr/share/asterisk
astdbdir => {folder}
astkeydir => {folder}
astagidir => {folder}
astspooldir => {folder}
astrundir => {folder}
astlogdir => {folder}
[options]
transmit_silence = no
"""
"""asterisk.conf, everything that is written in one folder: to be formatted with it."""


def asterisk_version() -> list[tuple[str, str]]:
    """("Asterisk", "1:22.10.1…") when it is there, for the interop matrix."""
    if not (ROOT / "usr/sbin/asterisk").exists():
        return []
    command = ["chroot", str(ROOT), "dpkg-query", "-W", "-f", "${Version}", "asterisk"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return [("Asterisk", asked.stdout)] if asked.returncode == 0 else []


class Asterisk:
    """A running PBX whose trunk `kallglot` leads to this server ("127.0.0.1:5060").

    Phones: alice and bob, with the passwords alices-word and bobs-word; they are called by their names.
    8 and a name or number calls that over the trunk; what comes from the trunk calls a phone, or `echo`.
    """

    def __init__(self, folder: Path, server: str) -> None:
        if not (ROOT / "usr/sbin/asterisk").exists() or os.geteuid() != 0:
            pytest.skip("no Asterisk: run scripts/interop_asterisk.sh as root")
        folder.mkdir(parents=True)
        self.port = free_port()
        rtp = free_ports(100)
        (folder / "asterisk.conf").write_text(MAIN.format(folder=folder))
        for name in ("pjsip.conf", "extensions.conf", "modules.conf", "logger.conf", "rtp.conf"):
            text = (CONFIGS / name).read_text()
            for mark, value in {"@PORT@": self.port, "@SERVER@": server, "@RTP@": rtp[0], "@RTPEND@": rtp[-1]}.items():
                text = text.replace(mark, str(value))
            (folder / name).write_text(text)
        command = ["chroot", str(ROOT), "/usr/sbin/asterisk", "-C", str(folder / "asterisk.conf"), "-f", "-n", "-vvv"]
        self._folder = folder
        self.child = Child(command, folder / "log")
        try:
            until("Asterisk listens", lambda: bound(self.port) or not self.child.alive(), 30.0)
        except Late as late:
            self.child.stop()
            raise Late(f"{late}\n{self.child.log[-3000:]}") from None

    @property
    def address(self) -> str:
        """host:port."""
        return f"{HOST}:{self.port}"

    def uri(self, user: str) -> str:
        """What a phone dials."""
        return f"sip:{user}@{self.address}"

    def ask(self, command: str) -> str:
        """What its console says to a command."""
        words = ["chroot", str(ROOT), "/usr/sbin/asterisk", "-C", str(self._folder / "asterisk.conf"), "-rx", command]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=20).stdout

    def stop(self) -> None:
        """End it."""
        self.child.stop(timeout_s=10.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
