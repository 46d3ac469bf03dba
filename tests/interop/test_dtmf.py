"""Keys arrive as events, once each, from three unlike senders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kallglot_media.audio.g711 import ulaw_encode
from tests.interop.conftest import Place
from tests.support import sipp
from tests.support.baresip import Baresip
from tests.support.processes import pass_time
from tests.support.server import Server, events
from tests.support.waves import RATE_HZ, Pcm16, babble, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback]

PCAPS = Path("/usr/share/sip-tester")


def keys_of(server: Server, count: int) -> str:
    """The digits in the events of session number `count`, once it is over."""
    return "".join(event["digit"] for event in events(server.session(count=count)) if event["type"] == "dtmf")


@pytest.mark.feature("baresip", "keys by RFC 4733")
def test_keys_that_baresip_sends_amid_speech(server: Server, tmp_path: Path) -> None:
    before = len(server.sessions())
    with Baresip(tmp_path / "a", "alice", microphone=babble(60.0)) as alice:
        alice.dial(server.uri("echo"))
        alice.wait_for("CALL_ESTABLISHED")
        pass_time(0.5)
        for key in "1590*#":
            alice.command("sndcode", key)
            pass_time(0.4)
        alice.hang_up()
        assert keys_of(server, before + 1) == "1590*#"


@pytest.mark.feature("SIPp", "keys by RFC 4733, on another SSRC")
def test_keys_on_another_ssrc_with_end_packets_a_millisecond_apart(server: Server, tmp_path: Path) -> None:
    before = len(server.sessions())
    sipp.run(tmp_path, "uac_dtmf", remote=server.address, service="echo", hold_ms=2500, KEYS="159#").check()
    assert keys_of(server, before + 1) == "159#"


@pytest.mark.feature("SIPp", "keys by RFC 4733 recorded from a phone, 30 ms packets")
def test_keys_recorded_from_a_phone_between_30_ms_voice_packets(server: Server, tmp_path: Path) -> None:
    """Duration steps of 320, a first duration of 0, and three end packets with one sequence number."""
    if not PCAPS.is_dir():
        pytest.skip(f"{PCAPS} is missing: run scripts/install_peers.sh (Debian package sip-tester)")
    before = len(server.sessions())
    sipp.run(tmp_path, "uac_dtmf_pcap", remote=server.address, service="echo", PCAPS=str(PCAPS)).check()
    assert keys_of(server, before + 1) == "1#"


@pytest.mark.feature("SIPp", "keys as tones, from a peer without telephone-event")
def test_keys_as_tones_where_nothing_else_is_agreed(server: Server, tmp_path: Path) -> None:
    before = len(server.sessions())
    sound = script(0.3, *(part for key in ((770, 1336), (941, 1477), (697, 1209)) for part in (dual(*key), 0.15)), 3.0)
    (tmp_path / "keys.ul").write_bytes(ulaw_encode(sound).tobytes())
    sipp.run(tmp_path, "uac_tones", remote=server.address, service="echo", SOUND=str(tmp_path / "keys.ul")).check()
    assert keys_of(server, before + 1) == "5#1"


def dual(low_hz: int, high_hz: int) -> Pcm16:
    """A key for 120 ms."""
    at = np.arange(960) / RATE_HZ
    return np.asarray(4000 * (np.sin(2 * np.pi * low_hz * at) + np.sin(2 * np.pi * high_hz * at)), np.int16)


@pytest.mark.feature("baresip", "keys by INFO")
def test_keys_by_info(server: Server, tmp_path: Path) -> None:
    before = len(server.sessions())
    with Baresip(tmp_path / "a", "alice", account=";dtmfmode=info") as alice:
        alice.dial(server.uri("echo"))
        alice.wait_for("CALL_ESTABLISHED")
        pass_time(0.5)
        for key in "42#":
            alice.command("sndcode", key)
            pass_time(0.4)
        alice.hang_up()
        assert keys_of(server, before + 1) == "42#"


@pytest.mark.feature("baresip", "keys of the customer reach the agent's phone")
def test_keys_are_passed_on_to_the_agent(place: Place, tmp_path: Path) -> None:
    with (
        Baresip(tmp_path / "b", "agent", port=place.new_agent_port()) as bob,
        Baresip(tmp_path / "a", "alice") as alice,
    ):
        alice.dial(place.server.uri("support"))
        alice.wait_for("CALL_ESTABLISHED", 15.0)
        bob.wait_for("CALL_ESTABLISHED")
        pass_time(0.5)
        alice.command("sndcode", "7")
        bob.wait_for("CALL_DTMF_START", 5.0)
        alice.hang_up()
        bob.wait_for("CALL_CLOSED")
