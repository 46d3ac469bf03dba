"""Trunks and registrations with real peers: Kamailio as the provider, baresip as the agent's phone, SIPp's REGISTER."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.support import sipp
from tests.support.baresip import Baresip
from tests.support.correlate import match
from tests.support.kamailio import Kamailio
from tests.support.processes import HOST, free_port, pass_time, until
from tests.support.server import Server, events
from tests.support.waves import babble, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback]

WORD = {"KALLGLOT_TEST_WORD": "our-word"}
ECHO = [{"called": "kallglot", "service": "echo"}]


def provider(port: int, **more: Any) -> dict[str, Any]:
    """The settings of a trunk to Kamailio."""
    trunk = {
        "name": "provider",
        "hosts": [f"sip:{HOST}:{port}"],
        "account": {"user": "kallglot", "password_env": "KALLGLOT_TEST_WORD"},
        "registration": {"contact_user": "line1"},
        "qualify_s": 1,
        "dial": {"allow": ["bob"]},
    }
    return {"sip": {"trunks": [trunk | more]}}


@pytest.mark.more_peers
@pytest.mark.feature("Kamailio", "log on with digest, calls come in over the registration")
def test_a_call_finds_us_through_our_registration_and_keeps_its_record_route(tmp_path: Path) -> None:
    said = babble(3.0, seed=11)
    with (
        Kamailio(tmp_path / "k", config="registrar") as kamailio,
        Server(tmp_path / "s", settings=provider(kamailio.port), routes=ECHO, env=WORD) as server,
        Baresip(
            tmp_path / "a",
            "alice",
            microphone=script(1.0, said, 60.0),
            account=";auth_user=alice;auth_pass=alices-word",
        ) as alice,
    ):
        kamailio.wait_log("registered: kallglot")
        server.child.wait_log("logged on", 5.0)
        alice.dial(kamailio.uri("kallglot"))
        alice.wait_for("CALL_ESTABLISHED", 10.0)
        pass_time(4.5)
        alice.hang_up()
        server.session()
        assert "in dialog: ACK" in kamailio.child.log
        assert "in dialog: BYE" in kamailio.child.log
        assert match(said, alice.heard().pcm).window_median >= 0.95
        server.terminate()
        server.child.wait(15.0)
        kamailio.wait_log("registered: kallglot expires=0")


@pytest.mark.more_peers
@pytest.mark.feature("Kamailio", "calls out over a trunk: 407, caller id, failover")
def test_an_agent_is_called_over_the_trunk_with_digest_and_identity(tmp_path: Path) -> None:
    dead = f"sip:{HOST}:{free_port()}"
    with Kamailio(tmp_path / "k", config="registrar") as kamailio:
        caller_id = {"number": "+4930555", "tell": ["p_asserted_identity", "diversion"]}
        trunk = provider(kamailio.port, hosts=[dead, f"sip:{HOST}:{kamailio.port}"], caller_id=caller_id, domain=HOST)
        modes = {"support": {"agent": {"trunk": "provider", "number": "bob"}}}
        bob_account = f';auth_user=bob;auth_pass=bobs-word;regint=60;outbound="sip:{HOST}:{kamailio.port}"'
        with (
            Server(tmp_path / "s", settings=trunk, modes=modes, env=WORD) as server,
            Baresip(tmp_path / "b", "bob", account=bob_account, registrar=f"{HOST}:{kamailio.port}") as bob,
            Baresip(tmp_path / "c", "customer") as customer,
        ):
            kamailio.wait_log("registered: bob")
            server.child.wait_log("host down", 10.0)
            customer.dial(server.uri("support"))
            customer.wait_for("CALL_ESTABLISHED", 15.0)
            bob.wait_for("CALL_ESTABLISHED")
            customer.hang_up()
            bob.wait_for("CALL_CLOSED")
            kamailio.wait_log("call: +4930555 -> bob pai=<sip:+4930555@127.0.0.1> diversion=<sip:support@127.0.0.1>")


@pytest.mark.more_peers
@pytest.mark.feature("Kamailio", "OPTIONS qualify: down and up again")
def test_a_provider_that_goes_away_is_noticed_and_found_again(tmp_path: Path) -> None:
    port = free_port()
    trunk = provider(port)
    with Kamailio(tmp_path / "k", config="registrar", port=port) as kamailio:
        server = Server(
            tmp_path / "s", settings=trunk, modes={"m": {"agent": {"trunk": "provider", "number": "bob"}}}, env=WORD
        )
        with server:
            server.child.wait_log("host up", 10.0)
            kamailio.stop()
            server.child.wait_log("host down", 15.0)
            up = server.log.count("host up")
            with Kamailio(tmp_path / "k2", config="registrar", port=port):
                until("host up again", lambda: server.log.count("host up") > up, 15.0)


@pytest.mark.feature("baresip", "logs on to our registrar, is called as the agent")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_phone_logs_on_to_us_and_is_called_as_the_agent(tmp_path: Path, transport: Literal["udp", "tcp"]) -> None:
    settings = {
        "sip": {
            "accounts": [{"user": "agent", "password_env": "KALLGLOT_TEST_WORD"}],
            "registrar": {"enabled": True},
            "digest_algorithms": ["MD5"],  # baresip 1.0 stops at a challenge that it does not know
        }
    }
    modes = {"support": {"agent": {"to": f"sip:agent@{HOST}"}}}
    account = ";auth_user=agent;auth_pass=our-word;regint=60"
    with (
        Server(tmp_path / "s", settings=settings, modes=modes, env=WORD) as server,
        Baresip(tmp_path / "c", "customer") as customer,
    ):
        customer.dial(server.uri("support"))
        assert customer.wait_closed().startswith("480")
        with Baresip(tmp_path / "b", "agent", account=account, registrar=server.address, transport=transport) as agent:
            agent.child.wait_log("200 OK (kallglot) [1 binding]", 10.0)
            customer.dial(server.uri("support"))
            customer.wait_for("CALL_ESTABLISHED")
            agent.wait_for("CALL_ESTABLISHED")
            customer.hang_up()
            agent.wait_for("CALL_CLOSED")
        last = server.session(count=2)
        assert "session.started" in [event["type"] for event in events(last)]


@pytest.fixture(scope="module")
def registrar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that phones may log on to as `agent`."""
    settings = {
        "sip": {
            "accounts": [{"user": "agent", "password_env": "KALLGLOT_TEST_WORD"}],
            "registrar": {"enabled": True, "min_expires_s": 60},
            "digest_algorithms": ["MD5"],
        }
    }
    with Server(tmp_path_factory.mktemp("registrar"), settings=settings, env=WORD) as running:
        yield running


@pytest.mark.feature("SIPp", "REGISTER: right and wrong password, a stranger, 423, unregister")
@pytest.mark.parametrize(
    ("user", "password", "expires", "status", "header"),
    [
        ("agent", "our-word", "90", "200", "Contact: .*expires=90"),
        ("agent", "wrong", "90", "401", "WWW-Authenticate: Digest"),
        ("stranger", "our-word", "90", "401", "WWW-Authenticate: Digest"),
        ("agent", "our-word", "10", "423", "Min-Expires: 60"),
        ("agent", "our-word", "0", "200", "Supported: path"),
    ],
)
@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_register_by_the_book(
    registrar: Server,
    tmp_path: Path,
    transport: Literal["u1", "t1"],
    user: str,
    password: str,
    expires: str,
    status: str,
    header: str,
) -> None:
    fill = {"EXPIRES": expires, "STATUS": status, "HEADER": header}
    extra = ("-au", user, "-ap", password)
    sipp.run(
        tmp_path, "uac_register", remote=registrar.address, service=user, transport=transport, extra=extra, **fill
    ).check()
