"""What trunks are sent besides calls: here, that a way through a NAT stays open."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kallglot_media.call.trunks import Trunks
from kallglot_media.config.trunks import Trunk
from kallglot_media.net import keeper
from kallglot_media.net.keeper import TrunkKeeper
from kallglot_media.net.resolver import Resolver
from kallglot_media.net.shell import Listen, SipShell
from kallglot_media.random_ids import RandomIds
from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import SipEvent
from kallglot_media.sip.message import Request, make_response
from kallglot_media.sip.parser import parse_message

pytestmark = pytest.mark.loopback

HOST = "127.0.0.1"


class Registrar(asyncio.DatagramProtocol):
    """Says 200 to every REGISTER; notes what else comes."""

    def __init__(self) -> None:
        self.others: asyncio.Queue[bytes] = asyncio.Queue()
        self.asked = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not data.startswith(b"REGISTER"):
            self.others.put_nowait(data)
            return
        self.asked += 1
        request = parse_message(data)
        assert isinstance(request, Request)
        contact = request.headers.first("Contact") or ""
        gone = "expires=0" in contact or request.headers.first("Expires") == "0"
        headers = [] if gone else [("Contact", f"{contact.partition(';expires')[0]};expires=600")]
        self.transport.sendto(make_response(request, 200, to_tag="r", headers=headers).serialize(), addr)


async def test_a_registrar_on_udp_is_sent_line_ends_until_we_log_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "KEEP_OPEN_S", 0.02)
    monkeypatch.setenv("KALLGLOT_TEST_WORD", "word")
    loop = asyncio.get_running_loop()
    transport, registrar = await loop.create_datagram_endpoint(Registrar, local_addr=(HOST, 0))
    trunk = Trunk.model_validate(
        {
            "name": "t",
            "hosts": (f"sip:{HOST}:{transport.get_extra_info('sockname')[1]}",),
            "account": {"user": "u", "password_env": "KALLGLOT_TEST_WORD"},
            "registration": {},
            "qualify_s": None,
        }
    )
    kept: list[TrunkKeeper] = []

    def on_event(event: SipEvent) -> None:
        kept[0].on_sip(event)

    shell = SipShell(SipAgent(RandomIds()), on_event)
    await shell.start([Listen("udp", HOST, 0)])
    kept.append(TrunkKeeper(shell, Resolver(), Trunks([trunk]), RandomIds()))
    try:
        kept[0].start()
        async with asyncio.timeout(10):
            assert [await registrar.others.get() for _ in range(3)] == [b"\r\n\r\n"] * 3
        assert registrar.asked == 1
    finally:
        await kept[0].stop()
        assert registrar.asked == 2
        await shell.stop()
        transport.close()
