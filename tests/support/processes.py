"""Peers and servers as child processes: free ports, logs, descendants, and an orderly end."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

HOST = "127.0.0.1"

FIRST_PORT, PORTS_EACH, PORT_RANGES = 12_000, 5_000, 4
_SINGLE_PORTS = 2_000
"""So many of each range are given out one by one."""


class Late(AssertionError):
    """Something did not happen before its deadline; the message ends with the tail of the log."""


def need(program: str, package: str) -> str:
    """Path of a peer's program; skips the test, saying how to install it, when it is missing."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: run scripts/install_peers.sh (Debian package {package})")
    return found


def free_port(*, kinds: Sequence[int] = (socket.SOCK_DGRAM, socket.SOCK_STREAM), and_at: Sequence[int] = ()) -> int:
    """A port of 127.0.0.1 that is free for UDP and TCP, and below the range the kernel lends out by itself.

    Each of the workers that tests run on looks in a range of its own, and nobody is given a port that another asked
    for shortly before: who asks for two gets two, also when it has bound neither.

    and_at  what is as free at these distances above it
    """
    for _ in range(_SINGLE_PORTS):
        port = next(_singles)
        if all(_can_bind(kind, port + distance) for kind in kinds for distance in (0, *and_at)):
            return port
    raise OSError(f"no free port from {_first_port()} on")


def free_ports(count: int) -> range:
    """So many UDP ports in a row for the media of one process; none of them is ever given out by `free_port`.

    Single ones among them may be taken by the media of another process: who is given a range tries the next.
    """
    begin, end = _first_port() + _SINGLE_PORTS, _first_port() + PORTS_EACH
    first = random.randrange(begin, end - count + 1, 2)
    return range(first, first + count)


def _first_port() -> int:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PORT_RANGES
    return FIRST_PORT + worker * PORTS_EACH


def _in_turn() -> Iterator[int]:
    """Every second single port of this worker over and over, in an order of its own: runs that follow each other
    begin elsewhere."""
    ports = list(range(_first_port(), _first_port() + _SINGLE_PORTS, 2))
    random.shuffle(ports)
    yield from itertools.cycle(ports)


_singles = _in_turn()


def _can_bind(kind: int, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return True
    return False


def bound(port: int, *, by: int | None = None) -> bool:
    """Whether some process, or that with the pid `by`, has this UDP port or listens on this TCP port, by /proc."""
    mark = f":{port:04X}"
    udp = [line.split() for name in ("udp", "udp6") for line in _table(name)]
    tcp = [line.split() for name in ("tcp", "tcp6") for line in _table(name) if " 0A " in line]
    inodes = {line[9] for line in [*udp, *tcp] if line[1].endswith(mark)}
    return bool(inodes if by is None else inodes & _sockets(by))


def _sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets; none when it is over."""
    try:
        links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    except FileNotFoundError:  # it, or one of its files, went meanwhile: who asks, asks again
        return set()
    return {link[8:-1] for link in links if link.startswith("socket:[")}


def _table(name: str) -> list[str]:
    path = Path("/proc/net") / name
    return path.read_text().splitlines()[1:] if path.exists() else []


def until(what: str, ready: Callable[[], object], timeout_s: float, *, every_s: float = 0.05) -> None:
    """Wait until `ready()` is true; raises Late with `what` otherwise."""
    deadline_s = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline_s:
            raise Late(f"not within {timeout_s} s: {what}")
        time.sleep(every_s)


def pass_time(seconds: float) -> None:
    """Let a call go on. The only plain wait in these tests, for calls that must last."""
    time.sleep(seconds)


class Child:
    """A subprocess with its output in a file. Use as a context manager: it never outlives its test.

    typed  it reads commands from its standard input: see `enter`
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        typed: bool = False,
    ) -> None:
        self.log_path = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if typed else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything it wrote so far."""
        return self.log_path.read_text("utf-8", "replace")

    def enter(self, line: str) -> None:
        """Give it a line on its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def wait_log(self, text: str, timeout_s: float) -> None:
        """Wait until `text` is in the log; fails at once when the process ends without it."""

        def seen() -> bool:
            if text in self.log:
                return True
            if not self.alive():
                raise Late(f"ended with {self.process.returncode} before writing {text!r}:\n{self.log[-3000:]}")
            return False

        try:
            until(f"{text!r} in {self.log_path.name}", seen, timeout_s)
        except Late as late:
            raise Late(f"{late}\n{self.log[-3000:]}") from None

    def wait(self, timeout_s: float) -> int:
        """Exit code, once it ended by itself."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Late(f"still runs after {timeout_s} s:\n{self.log[-3000:]}") from None

    def stop(self, timeout_s: float = 5.0) -> int:
        """SIGTERM, then SIGKILL after `timeout_s`; the exit code."""
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
        code = self.process.wait()
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def descendants(pid: int) -> list[int]:
    """Living children of `pid`, their children and so on, from /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    parents.setdefault(int(parent), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        for child in parents.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return found


def command_line(pid: int) -> str:
    """Its arguments, or "" when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return ""


def running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process in its tracks (SIGSTOP) for the time of the `with` block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def kill(pid: int) -> None:
    """SIGKILL to one process; no matter when it is already gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
