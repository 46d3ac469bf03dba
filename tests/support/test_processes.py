"""Child processes end, are found, and say what they wrote."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from tests.support.processes import (
    HOST,
    Child,
    Late,
    bound,
    descendants,
    free_port,
    free_ports,
    kill,
    need,
    running,
    until,
)

pytestmark = pytest.mark.loopback

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print("started", child.pid, flush=True)
child.wait()
"""


def test_a_child_and_its_children_are_found_and_ended(tmp_path: Path) -> None:
    with Child([sys.executable, "-c", PARENT], tmp_path / "log") as parent:
        parent.wait_log("started", 10.0)
        (grandchild,) = descendants(parent.pid)
        assert parent.pid in descendants(os.getpid())
        assert f"started {grandchild}" in parent.log
        kill(grandchild)
        assert parent.wait(10.0) == 0
    assert not running(grandchild)


def test_a_child_that_ends_early_is_not_waited_for(tmp_path: Path) -> None:
    with (
        Child([sys.executable, "-c", "print('no good'); raise SystemExit(3)"], tmp_path / "log") as child,
        pytest.raises(Late, match=r"(?s)ended with 3 before writing 'ready'.*no good"),
    ):
        child.wait_log("ready", 10.0)


def test_what_is_typed_reaches_the_child(tmp_path: Path) -> None:
    with Child([sys.executable, "-c", "print('got', input())"], tmp_path / "log", typed=True) as child:
        child.enter("a line")
        assert child.wait(10.0) == 0
        assert child.log == "got a line\n"


def test_a_free_port_is_free_until_it_is_bound() -> None:
    port = free_port()
    assert not bound(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind((HOST, port))
        assert bound(port)


def test_who_asks_for_ports_gets_different_ones_though_none_is_bound() -> None:
    ports = [free_port() for _ in range(200)]
    assert len(set(ports)) == 200
    for count in (1, 100, 800):
        media = free_ports(count)
        assert len(media) == count
        assert not set(media) & set(ports)


def test_a_wait_has_an_end_and_says_what_for() -> None:
    with pytest.raises(Late, match=r"not within 0\.0 s: pigs fly"):
        until("pigs fly", lambda: False, 0.0)


def test_a_missing_peer_is_skipped_with_the_mend() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"install_peers\.sh \(Debian package sip-nothing\)"):
        need("no-such-peer", "sip-nothing")
