"""Settings of the parts, as server.yaml gives them: who may come in, and what is said of those who may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kallglot_media import wiring
from kallglot_media.call.trunks import Trunks
from kallglot_media.config.account import Account
from kallglot_media.config.sip import Sip
from kallglot_media.config.trunks import RegistrarSettings, Trunk
from kallglot_media.sip.events import Peer
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request
from kallglot_media.sip.settings import Accept, Challenge, Ignore, Reject
from kallglot_media.sip.uri import Uri

INVITE = Request("INVITE", Uri.parse("sip:echo@192.0.2.10"), Headers())


def from_host(host: str) -> Peer:
    return Peer("udp", host, 5060)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.168.7.9", "fe80::1%2"])
def test_who_is_in_the_list_needs_no_password(host: str) -> None:
    assert wiring.admission(Sip(), Trunks(()))(INVITE, from_host(host)) == Accept()


def test_a_stranger_is_turned_away_and_named_once() -> None:
    """A phone that only ever hears 403 is a riddle unless the log says what to change."""
    accept = wiring.admission(Sip(), Trunks(()))
    with capture_logs() as lines:
        decisions = [accept(INVITE, from_host(host)) for host in ("192.0.2.2", "192.0.2.2", "192.0.2.3")]
    assert decisions == [Reject(403)] * 3
    assert [line["source"] for line in lines] == ["192.0.2.2", "192.0.2.3"]
    assert all("sip.allow_from" in line["mend"] for line in lines)


def test_a_scan_of_the_internet_does_not_fill_the_log() -> None:
    accept = wiring.admission(Sip(), Trunks(()))
    with capture_logs() as lines:
        for number in range(2 * wiring.MOST_STRANGERS_NAMED):
            accept(INVITE, from_host(f"198.51.{number // 256}.{number % 256}"))
    assert len(lines) == wiring.MOST_STRANGERS_NAMED


def test_with_accounts_a_stranger_is_asked_for_a_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    sip = Sip(accounts=(Account(user="pbx", password_file=tmp_path / "password"),))
    with capture_logs() as lines:
        assert isinstance(wiring.admission(sip, Trunks(()))(INVITE, from_host("192.0.2.2")), Challenge)
    assert lines == []


def test_strangers_may_hear_nothing_at_all() -> None:
    assert wiring.admission(Sip(strangers="ignore"), Trunks(()))(INVITE, from_host("192.0.2.2")) == Ignore()


def test_a_trunk_needs_no_password_and_is_told_when_it_is_full() -> None:
    trunks = Trunks([Trunk(name="t", hosts=("sip:192.0.2.2",), max_calls=1)])
    accept = wiring.admission(Sip(), trunks)
    assert accept(INVITE, from_host("192.0.2.2")) == Accept()
    trunks.began("call", "t")
    assert accept(INVITE, from_host("192.0.2.2")) == Reject(503, "Service Unavailable (1 calls)")
    options = Request("OPTIONS", Uri.parse("sip:192.0.2.10"), Headers())
    assert accept(options, from_host("192.0.2.2")) == Accept()
    assert isinstance(accept(INVITE, from_host("192.0.2.9")), Reject)


def test_a_registrar_asks_for_passwords_itself() -> None:
    register = Request("REGISTER", Uri.parse("sip:192.0.2.10"), Headers())
    for registrar, decision in ((RegistrarSettings(enabled=True), Accept()), (RegistrarSettings(), Reject(403))):
        assert wiring.admission(Sip(registrar=registrar), Trunks(()))(register, from_host("192.0.2.9")) == decision
