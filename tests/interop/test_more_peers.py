"""Peers that `make interop` adds: another softphone with other habits, and a prober."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.baresip import Baresip
from tests.support.correlate import match
from tests.support.kamailio import Kamailio
from tests.support.linphone import Linphone
from tests.support.processes import HOST, free_port, need, pass_time
from tests.support.server import Server, events
from tests.support.waves import babble, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.more_peers]


def test_linphone_hears_itself_and_its_keys_arrive(server: Server, tmp_path: Path) -> None:
    said = babble(4.0, seed=5)
    with Linphone(tmp_path / "l", "lin", microphone=script(1.0, said, 60.0)) as phone:
        phone.dial(server.uri("echo"))
        pass_time(6.0)
        phone.enter("5")
        pass_time(1.0)
        phone.hang_up()
    assert match(said, phone.heard(), search_ms=200).window_median >= 0.95
    assert [event["digit"] for event in events(server.session()) if event["type"] == "dtmf"] == ["5"]


def test_sipsak_gets_its_answer(server: Server) -> None:
    asked = subprocess.run(
        [need("sipsak", "sipsak"), "-s", server.uri("ping")], capture_output=True, timeout=20, check=False
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr


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
