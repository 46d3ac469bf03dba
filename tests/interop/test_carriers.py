"""What carriers and gateways ask of a trunk: reliable ringing, session timers, T.38 in mid-call, redirections, IPv6."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.interop.conftest import Place
from tests.support import sipp
from tests.support.processes import HOST, free_port
from tests.support.server import Server
from tests.support.sipp import Sipp

pytestmark = [pytest.mark.interop, pytest.mark.loopback]


@pytest.mark.feature("SIPp", "100rel required: RSeq, PRACK")
def test_ringing_is_reliable_where_it_is_required(place: Place, tmp_path: Path) -> None:
    with Sipp(tmp_path, "uas_answers", port=place.new_agent_port(), RING_MS="700") as agent:
        sipp.run(tmp_path, "uac_prack", remote=place.server.address, service="support", RINGS="180").check()
        agent.wait().check()


@pytest.mark.feature("SIPp", "T.38 in mid-call: 488 with Warning, and the call goes on")
def test_a_fax_machine_is_refused_and_the_call_goes_on(server: Server, tmp_path: Path) -> None:
    sipp.run(tmp_path, "uac_t38", remote=server.address, service="echo", hold_ms=700).check()


@pytest.mark.more_peers
@pytest.mark.feature("SIPp", "session timers: 422 with Min-SE, refreshed by us with UPDATE after half the time")
def test_a_session_is_refreshed_in_time(tmp_path: Path) -> None:
    """Without any sound, which SIPp has none of: only the session timer keeps this call."""
    settings = {"media": {"rtp_timeout_s": 120}}
    with Server(tmp_path / "server", settings=settings) as server:
        timer = sipp.run(
            tmp_path, "uac_session_timer", remote=server.address, service="echo", hold_ms=300, timeout_s=80
        )
        timer.check()


@pytest.mark.more_peers
@pytest.mark.feature("SIPp", "302 followed, to whom the mode file allows it")
def test_a_redirection_is_followed_where_the_dial_plan_lets_it(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    mode = {"agent": {"to": f"sip:agent@{HOST}:{first}"}, "transfer": {"allow": [f"*@{HOST}"]}}
    with (
        Server(tmp_path / "server", modes={"support": mode}) as server,
        Sipp(tmp_path / "1", "uas_redirects", port=first, CONTACT=f"sip:other@{HOST}:{second}") as away,
        Sipp(tmp_path / "2", "uas_answers", port=second, RING_MS="100") as there,
    ):
        sipp.run(tmp_path, "uac_answered", remote=server.address, service="support").check()
        away.wait().check()
        there.wait().check()


def _has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


@pytest.mark.more_peers
@pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 on this machine: sysctl net.ipv6.conf.lo.disable_ipv6=0")
@pytest.mark.feature("SIPp", "IPv6, signalling and sound")
def test_a_call_over_ipv6(tmp_path: Path) -> None:
    port = free_port()
    listen = [{"transport": one, "host": host, "port": port} for one in ("udp", "tcp") for host in (HOST, "::1")]
    settings = {"sip": {"listen": listen, "allow_from": ["127.0.0.0/8", "::1/128"]}, "media": {"host": "::1"}}
    with Server(tmp_path / "server", settings=settings, sip_port=port):
        sipp.run(tmp_path, "uac_answered_ipv6", remote=f"[::1]:{port}", service="echo", calls=3, host="::1").check()
