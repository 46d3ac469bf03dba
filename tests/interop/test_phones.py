"""Phones with everything that they can be set to: codecs, transports, keys for the sound; and agents who transfer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.interop.conftest import Sentence
from tests.support.baresip import Baresip
from tests.support.certificates import Authority
from tests.support.correlate import match
from tests.support.linphone import Linphone
from tests.support.processes import HOST, free_port, pass_time
from tests.support.server import Server, events
from tests.support.waves import RATE_HZ, Pcm16, babble, read_wav, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback]

SAID_S = 4.0


@dataclass(frozen=True, slots=True)
class Kind:
    """How one phone is set. line: what its offer and our answer must have in common, or the call was another one."""

    name: str
    feature: str
    codecs: str = "PCMU/8000/1"
    transport: Literal["udp", "tcp", "tls"] = "udp"
    mediaenc: str = ""
    rate_hz: int = RATE_HZ
    line: str = "a=rtpmap:0 PCMU/8000"


KINDS = (
    Kind("g722", "G.722", "G722/16000/1", rate_hz=16_000, line="a=rtpmap:9 G722/8000"),
    Kind("opus", "Opus", "opus/48000/2", rate_hz=48_000, line="opus/48000/2"),
    Kind("sdes", "TLS, and SRTP with keys in SDP", transport="tls", mediaenc="srtp-mand", line="a=crypto:"),
    Kind("dtls", "DTLS-SRTP", mediaenc="dtls_srtp", line="a=fingerprint:"),
)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a phone said, what came back, and its trace of all messages."""

    said: Pcm16
    heard: Pcm16
    trace: str


@pytest.fixture(scope="module")
def echoes(tmp_path_factory: pytest.TempPathFactory, sentences: list[Sentence]) -> Iterator[dict[str, Heard]]:
    """All of them call echo at the same time, each saying something of its own."""
    folder = tmp_path_factory.mktemp("echoes")
    authority = Authority(folder / "ca")
    ours, theirs = authority.sign(HOST, "localhost"), authority.sign("phone.example.com")
    sip_port, tls_port = free_port(), free_port()
    listen = [
        {"transport": "udp", "host": HOST, "port": sip_port},
        {"transport": "tcp", "host": HOST, "port": sip_port},
        {"transport": "tls", "host": HOST, "port": tls_port}
        | {"certificate": str(ours.certificate), "key": str(ours.key)},
    ]
    said = {kind.name: babble(SAID_S, seed=40 + index) for index, kind in enumerate(KINDS)}
    said["opus"] = sentences[0].pcm  # noise is what Opus is worst at; it is made for speech
    with Server(folder / "server", settings={"sip": {"listen": listen}}, sip_port=sip_port), ExitStack() as s:
        phones = {
            kind.name: s.enter_context(
                Baresip(
                    folder / kind.name,
                    kind.name,
                    microphone=script(1.0, said[kind.name], 60.0),
                    codecs=kind.codecs,
                    transport=kind.transport,
                    mediaenc=kind.mediaenc,
                    rate_hz=kind.rate_hz,
                    tls=(theirs, authority.ca),
                )
            )
            for kind in KINDS
        }
        for kind in KINDS:
            port = tls_port if kind.transport == "tls" else sip_port
            way = "" if kind.transport == "udp" else f";transport={kind.transport}"
            phones[kind.name].dial(f"sip:echo@{HOST}:{port}{way}")
        for phone in phones.values():
            phone.wait_for("CALL_ESTABLISHED", 15.0)
        pass_time(max(len(pcm) for pcm in said.values()) / RATE_HZ + 2.5)
        for phone in phones.values():
            phone.hang_up()
        yield {name: Heard(said[name], phone.heard().pcm, phone.trace) for name, phone in phones.items()}


@pytest.mark.parametrize(
    "kind", [pytest.param(one, marks=pytest.mark.feature("baresip", one.feature), id=one.name) for one in KINDS]
)
def test_each_kind_of_phone_hears_itself(echoes: dict[str, Heard], kind: Kind) -> None:
    found = echoes[kind.name]
    answer = found.trace[found.trace.rindex("SIP/2.0 200") :] if "SIP/2.0 200" in found.trace else ""
    assert found.trace.count(kind.line) >= 2, answer
    same = match(found.said, found.heard, search_ms=200)
    assert same.window_median >= (0.85 if kind.name == "opus" else 0.95), same
    assert same.gain_db == pytest.approx(0, abs=1.5 if kind.name == "opus" else 0.5), same


@pytest.mark.more_peers
@pytest.mark.feature("Linphone", "PCMU, and keys by RFC 4733")
def test_linphone_hears_itself_and_its_keys_arrive(server: Server, tmp_path: Path) -> None:
    said, before = babble(SAID_S, seed=5), len(server.sessions())
    with Linphone(tmp_path / "l", "lin", microphone=script(1.0, said, 60.0), codec="PCMU") as phone:
        phone.dial(server.uri("echo"))
        pass_time(6.0)
        phone.enter("5")
        pass_time(1.0)
        phone.hang_up()
    assert match(said, phone.heard(), search_ms=200).window_median >= 0.95
    folder = server.session(count=before + 1)
    assert [event["digit"] for event in events(folder) if event["type"] == "dtmf"] == ["5"]


@pytest.mark.more_peers
@pytest.mark.feature("Linphone", "Opus")
def test_linphone_hears_itself_in_opus(server: Server, tmp_path: Path, sentences: list[Sentence]) -> None:
    """Judged for each of the two codings: Linphone's by what our recording has of it, ours by what Linphone's has."""
    said, before = sentences[0].pcm, len(server.sessions())
    with Linphone(tmp_path / "l", "lin", microphone=script(1.0, said, 60.0), codec="opus") as phone:
        phone.dial(server.uri("echo"))
        pass_time(len(said) / RATE_HZ + 2.5)
        phone.hang_up()
    recorded = read_wav(server.session(count=before + 1) / "customer.wav")[0][:, 0]
    came = match(said, recorded, search_ms=200)
    went = match(recorded[max(0, came.lag_samples) :][: len(said)], phone.heard(), search_ms=200)
    assert came.window_median >= 0.9, came
    assert went.window_median >= 0.9, went


@pytest.mark.feature("baresip", "blind transfer by an agent: REFER, NOTIFY, BYE")
def test_an_agent_transfers_the_customer(tmp_path: Path) -> None:
    agent_port, carol_port = free_port(), free_port()
    mode = {"agent": {"to": f"sip:bob@{HOST}:{agent_port}"}, "transfer": {"allow": [f"*@{HOST}"]}}
    with (
        Server(tmp_path / "server", modes={"desk": mode}) as server,
        Baresip(tmp_path / "bob", "bob", port=agent_port) as bob,
        Baresip(tmp_path / "carol", "carol", port=carol_port) as carol,
        Baresip(tmp_path / "alice", "alice") as alice,
    ):
        alice.dial(server.uri("desk"))
        alice.wait_for("CALL_ESTABLISHED", 15.0)
        bob.wait_for("CALL_ESTABLISHED")
        bob.command("transfer", f"sip:carol@{HOST}:{carol_port}")
        carol.wait_for("CALL_ESTABLISHED", 15.0)
        bob.wait_for("CALL_CLOSED", 15.0)
        pass_time(1.0)
        alice.hang_up()
        carol.wait_for("CALL_CLOSED")
        kinds = [event["type"] for event in events(server.session())]
        assert "transfer.asked" in kinds
        assert "transfer.failed" not in kinds


@pytest.mark.more_peers
@pytest.mark.feature("baresip", "a transfer that may not be: refused with 403")
def test_a_transfer_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    agent_port = free_port()
    with (
        Server(tmp_path / "server", modes={"desk": {"agent": {"to": f"sip:bob@{HOST}:{agent_port}"}}}) as server,
        Baresip(tmp_path / "bob", "bob", port=agent_port) as bob,
        Baresip(tmp_path / "alice", "alice") as alice,
    ):
        alice.dial(server.uri("desk"))
        alice.wait_for("CALL_ESTABLISHED", 15.0)
        bob.wait_for("CALL_ESTABLISHED")
        bob.command("transfer", "sip:+900123@premium.example.com")
        bob.child.wait_log("transfer failed: 403", 10.0)
