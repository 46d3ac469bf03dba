"""A PBX in front of us and behind us: Asterisk 22 with chan_pjsip, which the snippets of docs/connect.md are for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.asterisk import Asterisk
from tests.support.baresip import Baresip
from tests.support.correlate import match
from tests.support.processes import HOST, free_port, pass_time
from tests.support.server import Server
from tests.support.waves import babble, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.more_peers]

WORD = {"KALLGLOT_TEST_WORD": "our-word"}


class Office:
    """A PBX, our server on its trunk, and phones that log on to the PBX."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sip_port = free_port()
        self.pbx = Asterisk(folder / "pbx", f"{HOST}:{sip_port}")
        trunk: dict[str, Any] = {
            "name": "pbx",
            "hosts": [f"sip:{self.pbx.address}"],
            "account": {"user": "kallglot", "password_env": "KALLGLOT_TEST_WORD"},
            "registration": {},
            "qualify_s": 2,
            "dial": {"allow": ["bob", "echo"]},
            "caller_id": {"tell": ["p_asserted_identity", "diversion"]},
        }
        modes = {"support": {"agent": {"trunk": "pbx", "number": "bob"}}}
        self.server = Server(
            folder / "server", settings={"sip": {"trunks": [trunk]}}, modes=modes, env=WORD, sip_port=sip_port
        )

    def phone(self, name: str, **more: Any) -> Baresip:
        """A phone of the PBX, logged on."""
        account = f";auth_user={name};auth_pass={name}s-word;regint=60"
        phone = Baresip(
            self.folder / f"phone-{name}-{free_port()}", name, account=account, registrar=self.pbx.address, **more
        )
        phone.child.wait_log("200 OK (Asterisk)", 10.0)
        return phone


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    office = Office(folder)
    try:
        with office.server:
            yield office
    finally:
        office.pbx.stop()


@pytest.mark.feature("Asterisk", "logs us on with digest, and finds us up by OPTIONS")
def test_we_log_on_and_each_finds_the_other(office: Office) -> None:
    office.server.child.wait_log("logged on", 10.0)
    office.server.child.wait_log("host up", 10.0)
    contacts = office.pbx.ask("pjsip show contacts")
    assert contacts.count("kallglot/") == 2  # the trunk's own and the registered one
    assert "Avail" in contacts


@pytest.mark.feature("Asterisk", "a phone of the PBX calls us over the trunk, sound both ways")
def test_a_phone_of_the_pbx_calls_us(office: Office) -> None:
    said = babble(3.0, seed=21)
    with office.phone("alice", microphone=script(1.0, said, 60.0)) as alice:
        alice.dial(office.pbx.uri("8echo"))
        alice.wait_for("CALL_ESTABLISHED", 15.0)
        pass_time(5.0)
        alice.hang_up()
        office.server.session()
    assert match(said, alice.heard().pcm, search_ms=200).window_median >= 0.9


@pytest.mark.feature("Asterisk", "we call an agent behind the PBX: 401, caller id in P-Asserted-Identity and Diversion")
def test_we_call_an_agent_behind_the_pbx(office: Office) -> None:
    with (
        office.phone("bob") as bob,
        Baresip(office.folder / "customer", "customer") as customer,
    ):
        customer.dial(office.server.uri("support"))
        customer.wait_for("CALL_ESTABLISHED", 20.0)
        bob.wait_for("CALL_ESTABLISHED")
        customer.hang_up()
        bob.wait_for("CALL_CLOSED")
        assert "from customer" in office.pbx.child.log
