"""Peers that `make interop` adds: a proxy in front of several servers, and a prober."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.baresip import Baresip
from tests.support.correlate import match
from tests.support.kamailio import Kamailio
from tests.support.processes import HOST, free_port, need, pass_time
from tests.support.server import Server
from tests.support.waves import babble, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.more_peers]


@pytest.mark.feature("sipsak", "OPTIONS")
def test_sipsak_gets_its_answer(server: Server) -> None:
    asked = subprocess.run(
        [need("sipsak", "sipsak"), "-s", server.uri("ping")], capture_output=True, timeout=20, check=False
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr


@pytest.mark.feature("Kamailio", "dispatcher: a dead server is passed over, Record-Route, draining seen by OPTIONS")
def test_a_proxy_finds_the_living_server_and_sees_it_drain(tmp_path: Path) -> None:
    """Kamailio's dispatcher: a dead server is passed over, calls keep their Record-Route, 503 takes a server out."""
    said = babble(3.0, seed=6)
    dead = f"{HOST}:{free_port()}"
    with (
        Server(tmp_path / "server") as server,
        Kamailio(tmp_path / "k", [dead, server.address]) as proxy,
        Baresip(tmp_path / "a", "alice", microphone=script(1.0, said, 60.0)) as alice,
    ):
        alice.dial(proxy.uri("echo"))
        alice.wait_for("CALL_ESTABLISHED", 15.0)
        pass_time(4.5)
        server.terminate()
        proxy.wait_log(f"down: sip:{server.address}")
        alice.hang_up()
        assert server.child.wait(10.0) == 0
        assert "in dialog: ACK" in proxy.child.log
        assert "in dialog: BYE" in proxy.child.log
        assert match(said, alice.heard().pcm).window_median >= 0.95
