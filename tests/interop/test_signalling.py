"""SIPp calls the server: set-up and tear-down, every early ending, repeats and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.conftest import Place
from tests.support import sipp
from tests.support.baresip import Baresip
from tests.support.correlate import active_s
from tests.support.processes import pass_time, until
from tests.support.server import Server, read_json
from tests.support.sipp import Sipp
from tests.support.waves import babble, read_wav

pytestmark = [pytest.mark.interop, pytest.mark.loopback]


# ── one leg ──────────────────────────────────────────────────────────────────────


@pytest.mark.feature("SIPp", "50 calls, 25 a second, UDP and TCP")
@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_fifty_calls_are_set_up_and_torn_down(place: Place, tmp_path: Path, transport: str) -> None:
    result = sipp.run(
        *(tmp_path, "uac_answered"),
        remote=place.server.address,
        service="echo",
        calls=50,
        rate=25,
        hold_ms=300,
        transport=transport,
    ).check()
    assert (result.calls, result.failed) == (50, 0)


@pytest.mark.feature("SIPp", "late offer, repeats, slow ACK, no common codec, OPTIONS")
@pytest.mark.parametrize(
    ("scenario", "fill"),
    [
        ("uac_late_offer", {}),
        ("uac_repeats", {}),
        ("uac_slow_ack", {}),
        ("uac_no_sdp_codec", {}),
        ("uac_options", {"STATUS": "200"}),
    ],
)
def test_what_peers_do_is_answered_as_the_rfc_says(
    place: Place, tmp_path: Path, scenario: str, fill: dict[str, str]
) -> None:
    sipp.run(tmp_path, scenario, remote=place.server.address, service="echo", **fill).check()


def test_an_unknown_number_is_not_found(place: Place, tmp_path: Path) -> None:
    sipp.run(tmp_path, "uac_refused", remote=place.server.address, service="nobody", STATUS="404").check()


@pytest.mark.feature("SIPp", "12 % of all messages lost")
def test_lost_messages_are_sent_again(place: Place, tmp_path: Path) -> None:
    result = sipp.run(
        *(tmp_path, "uac_answered"), remote=place.server.address, service="echo", calls=10, rate=20, lost=12
    ).check()
    assert result.retransmissions > 0


# ── two legs ─────────────────────────────────────────────────────────────────────


@pytest.mark.feature("SIPp", "two legs, hung up by either side")
def test_the_caller_hangs_up_and_both_legs_end(place: Place, tmp_path: Path) -> None:
    with Sipp(tmp_path, "uas_answers", port=place.new_agent_port(), calls=5, RING_MS="200") as agent:
        sipp.run(tmp_path, "uac_answered", remote=place.server.address, service="support", calls=5).check()
        agent.wait().check()


@pytest.mark.feature("SIPp", "two legs, hung up by either side")
def test_the_agent_hangs_up_and_both_legs_end(place: Place, tmp_path: Path) -> None:
    with Sipp(tmp_path, "uas_hangs_up", port=place.new_agent_port(), calls=5, RING_MS="200") as agent:
        sipp.run(tmp_path, "uac_ended_by_peer", remote=place.server.address, service="support", calls=5).check()
        agent.wait().check()
    assert {read_json(folder / "session.json")["end_reason"] for folder in last(place.server, 5)} == {"agent_hangup"}


@pytest.mark.feature("SIPp", "CANCEL")
def test_a_cancelled_call_stops_the_agents_ringing(place: Place, tmp_path: Path) -> None:
    with Sipp(tmp_path, "uas_rings", port=place.new_agent_port()) as agent:
        sipp.run(
            tmp_path, "uac_cancelled", remote=place.server.address, service="support", hold_ms=600, RINGS="180"
        ).check()
        agent.wait().check()


@pytest.mark.feature("baresip", "busy, no answer, nobody there: early media, then the final response")
@pytest.mark.parametrize(("service", "status"), [("support", "486"), ("impatient", "480"), ("dead", "480")])
def test_a_caller_hears_why_nobody_answers_and_gets_the_right_status(
    place: Place, tmp_path: Path, service: str, status: str
) -> None:
    """Busy, no answer, nobody there: an announcement as early media, then the final response."""
    agents = {
        "support": lambda: Sipp(
            tmp_path, "uas_refuses", port=place.new_agent_port(), STATUS="486 Busy Here", RING_MS="300"
        ),
        "impatient": lambda: Sipp(tmp_path, "uas_rings", port=place.impatient_port),
        "dead": lambda: Sipp(tmp_path, "uas_answers", RING_MS="0"),
    }
    with agents[service]() as agent, Baresip(tmp_path / "a", "alice") as alice:
        alice.dial(place.server.uri(service))
        reason = alice.wait_closed(40.0)
        assert status in reason, alice.trace[-6000:]
        assert active_s(alice.heard().pcm) > 1.0
        if service != "dead":
            agent.wait().check()


@pytest.mark.feature("baresip", "hold and resume by re-INVITE")
def test_hold_and_resume_from_the_caller(place: Place, tmp_path: Path) -> None:
    """A re-INVITE with a=sendonly gets a=recvonly (RFC 3264 section 8.4), and sound comes back after it."""
    with Baresip(tmp_path / "a", "alice", microphone=babble(60.0)) as alice:
        alice.dial(place.server.uri("echo"))
        alice.wait_for("CALL_ESTABLISHED")
        folder = place.server.session(ended=False)
        pass_time(1.0)
        alice.command("hold")
        until("the hold is answered", lambda: "a=recvonly" in alice.trace, 5.0)
        pass_time(1.5)
        alice.command("resume")
        until("the resume is answered", lambda: alice.trace.rfind("a=sendrecv") > alice.trace.rfind("a=recvonly"), 5.0)
        pass_time(1.0)
        alice.hang_up()
        until("the session is over", lambda: read_json(folder / "session.json").get("status") == "ended", 5.0)
    assert read_json(folder / "session.json")["end_reason"] == "customer_hangup"
    said = read_wav(folder / "customer.wav")[0][:, 0]
    assert active_s(said[:8000]) > 0.7
    assert active_s(said[-6400:]) > 0.6, "nothing was heard after the resume"


def last(server: Server, count: int) -> list[Path]:
    """Folders of the last sessions, each over."""
    return [server.session(index) for index in range(-count, 0)]
