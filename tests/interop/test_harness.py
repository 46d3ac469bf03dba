"""The peers against each other, so that a failure elsewhere is the server's and not the harness's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import sipp
from tests.support.baresip import Baresip
from tests.support.correlate import match
from tests.support.processes import HOST, Late, free_port, pass_time
from tests.support.sipp import Sipp
from tests.support.waves import babble, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback]

SENT = babble(2.5)


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baresip]:
    with Baresip(tmp_path_factory.mktemp("phone") / "b", "bob", microphone=script(0.5, SENT, 30.0)) as running:
        yield running


@pytest.mark.parametrize("codec", ["PCMU/8000/1", "PCMA/8000/1"])
def test_what_one_baresip_says_the_other_hears(tmp_path: Path, phone: Baresip, codec: str) -> None:
    said = script(0.5, babble(2.5, seed=11), 30.0)
    with Baresip(tmp_path / "a", "alice", microphone=said, codecs=codec) as alice:
        alice.dial(phone.uri)
        alice.wait_for("CALL_ESTABLISHED")
        pass_time(3.5)
        alice.hang_up()
        phone.wait_for("CALL_CLOSED")
        assert match(babble(2.5, seed=11), phone.heard().pcm).window_median > 0.99
        assert match(SENT, alice.heard().pcm).window_median > 0.99


def test_sipp_calls_baresip_and_hangs_up(tmp_path: Path, phone: Baresip) -> None:
    result = sipp.run(
        tmp_path, "uac_answered", remote=f"127.0.0.1:{phone.sip_port}", service="bob", hold_ms=300
    ).check()
    assert result.calls == 1
    assert result.failed == 0


def test_sipp_says_so_when_the_far_end_answers_something_else(tmp_path: Path, phone: Baresip) -> None:
    result = sipp.run(tmp_path, "uac_refused", remote=f"127.0.0.1:{phone.sip_port}", service="nobody", STATUS="486")
    assert result.code == 1
    assert result.failed == 1
    assert "404" in result.errors


def test_baresip_is_told_that_sipp_is_busy(tmp_path: Path, phone: Baresip) -> None:
    with Sipp(tmp_path, "uas_refuses", STATUS="486 Busy Here", RING_MS="100") as busy:
        phone.dial(f"sip:busy@{busy.address}")
        assert "486" in phone.wait_closed()
        busy.wait().check()


def test_baresip_cancels_what_sipp_lets_ring(tmp_path: Path, phone: Baresip) -> None:
    with Sipp(tmp_path, "uas_rings") as ringing:
        phone.dial(f"sip:nobody@{ringing.address}")
        phone.wait_for("CALL_RINGING")
        phone.hang_up()
        ringing.wait().check()


def test_sipp_starts_again_when_somebody_took_its_second_media_port(
    tmp_path: Path, phone: Baresip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at once where it cannot bind its video port; whom it was to answer would ring for nothing."""
    taken = free_port(and_at=(2,))
    ports = iter([free_port(), taken])
    monkeypatch.setattr("tests.support.sipp.free_port", lambda **how: next(ports, None) or free_port(**how))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, taken + 2))
        with Sipp(tmp_path, "uas_answers", RING_MS="100") as far:
            phone.dial(f"sip:far@{far.address}")
            phone.wait_for("CALL_ESTABLISHED")
            phone.hang_up()
            far.wait().check()
            assert far.media_port != taken


def test_a_sipp_that_cannot_listen_says_so(tmp_path: Path) -> None:
    with Sipp(tmp_path / "1", "uas_rings") as first, pytest.raises(Late, match=r"(?i)bind"):
        Sipp(tmp_path / "2", "uas_rings", port=first.port)


@pytest.mark.parametrize("scenario", ["uas_answers", "uas_hangs_up"])
def test_either_end_hangs_up(tmp_path: Path, phone: Baresip, scenario: str) -> None:
    with Sipp(tmp_path, scenario, RING_MS="100", hold_ms=500) as far:
        phone.dial(f"sip:far@{far.address}")
        phone.wait_for("CALL_ESTABLISHED")
        if scenario == "uas_answers":
            phone.hang_up()
        else:
            phone.wait_closed()
        far.wait().check()
        assert phone.command("listcalls").count("sip:far") == 0
