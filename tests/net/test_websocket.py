"""SIP over WebSocket, RFC 7118, with the client of the websockets package as the browser."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from kallglot_media.net.shell import Listen
from kallglot_media.net.sip_tcp import TcpLimits
from kallglot_media.net.tls import TlsFiles
from kallglot_media.net.websocket import WebSocketCutter
from kallglot_media.sip.events import CallConfirmed, CallEnded, CallFailed, IncomingCall, Peer
from tests.support.call_ladder import SDP
from tests.support.certificates import Authority
from tests.support.sip_end import HOST, End

pytestmark = pytest.mark.loopback
Run = Callable[[Coroutine[Any, Any, None]], None]
SIP = [Subprotocol("sip")]


def browser(peer: Peer, **more: Any) -> connect:
    more.setdefault("subprotocols", SIP)
    return connect(f"ws://{peer.host}:{peer.port}/", **more)


def request(method: str, *, to: str = "", number: int = 1, body: bytes = b"", length: bool = True) -> str:
    """As JsSIP and SIP.js write it: a Via and a Contact that nobody can resolve."""
    lines = [
        f"{method} sip:echo@example.com SIP/2.0",
        f"Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK{method}{number}",
        "From: <sip:alice@example.com>;tag=1928301774",
        f"To: <sip:echo@example.com>{to}",
        "Call-ID: a84b4c76e66710",
        f"CSeq: {number} {method}",
        "Max-Forwards: 70",
        "Contact: <sip:alice@df7jal23ls0d.invalid;transport=ws;ob>",
    ]
    if body:
        lines.append("Content-Type: application/sdp")
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines) + "\r\n\r\n" + body.decode()


async def heard(web: ClientConnection) -> str:
    message = await web.recv()
    return message if isinstance(message, str) else message.decode()


def test_a_browser_calls_and_we_hang_up_over_its_connection(run: Run) -> None:
    async def main() -> None:
        end = End("a")
        [peer] = await end.start("ws")
        async with browser(peer) as web:
            assert web.subprotocol == "sip"
            await web.send(request("INVITE", body=SDP))
            assert (await heard(web)).startswith("SIP/2.0 100")
            ok = await heard(web)
            assert ok.startswith("SIP/2.0 200")
            assert "Contact: <sip:kallglot@" in ok
            assert "transport=ws" in ok
            incoming = await end.told(IncomingCall)
            await web.send(request("ACK", to=";tag=" + ok.partition("\r\nTo: ")[2].partition("tag=")[2].split("\r")[0]))
            await end.told(CallConfirmed)
            end.hangup(incoming.call)
            bye = await heard(web)
            assert bye.startswith("BYE sip:alice@df7jal23ls0d.invalid;transport=ws;ob SIP/2.0\r\nVia: SIP/2.0/WS ")
            await end.told(CallEnded)

    run(main())


def test_content_length_may_be_left_out_and_frames_may_be_many(run: Run) -> None:
    """RFC 7118 section 5.3: the frame says where a message ends."""

    async def main() -> None:
        end = End("a")
        [peer] = await end.start("ws")
        async with browser(peer) as web:
            text = request("OPTIONS", length=False)
            await web.send([text[:40], text[40:90], text[90:]])
            assert (await heard(web)).startswith("SIP/2.0 200")
            await web.send(request("OPTIONS", number=2).encode())  # binary
            assert (await heard(web)).startswith("SIP/2.0 200")

    run(main())


def test_keep_alives_are_answered(run: Run) -> None:
    async def main() -> None:
        end = End("a")
        [peer] = await end.start("ws")
        async with browser(peer) as web:
            await web.send("\r\n\r\n")
            assert await heard(web) == "\r\n"
            await (await web.ping())

    run(main())


def test_only_sip_is_spoken(run: Run) -> None:
    async def main() -> None:
        end = End("a")
        [peer] = await end.start("ws")
        for offered in (None, [Subprotocol("chat")]):
            with pytest.raises(InvalidStatus, match="400"):
                await browser(peer, subprotocols=offered)
        assert end.tcp().open_connections == 0

    run(main())


def test_pages_of_other_sites_may_not_connect(run: Run) -> None:
    """They would call with the address of whoever looks at them."""

    async def main() -> None:
        end = End("a")
        [peer] = await end.start(Listen("ws", HOST, 0, origins=("https://phone.example.com",)))
        with pytest.raises(InvalidStatus, match="403"):
            await browser(peer, origin=Origin("https://evil.example.net"))
        for origin in ("https://phone.example.com", f"http://{HOST}"):
            async with browser(peer, origin=Origin(origin)):
                pass

    run(main())


def test_a_call_to_a_browser_that_left_fails_at_once(run: Run) -> None:
    async def main() -> None:
        end = End("a")
        await end.start("ws")
        end.call(Peer("ws", HOST, 9))
        failed = await end.told(CallFailed)
        assert isinstance(failed, CallFailed)
        assert failed.status == 503
        assert end.shell.counters()["ws_no_connection"] == 1

    run(main())


def test_secure_websockets(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    pair = authority.sign("localhost", HOST)

    async def main() -> None:
        end = End("a")
        [peer] = await end.start(Listen("wss", HOST, 0, tls=TlsFiles(pair.certificate, pair.key)))
        trust = ssl.create_default_context(cafile=str(authority.ca))
        async with connect(f"wss://{HOST}:{peer.port}/", subprotocols=SIP, ssl=trust) as web:
            await web.send(request("OPTIONS").replace("/WS ", "/WSS "))
            assert (await heard(web)).startswith("SIP/2.0 200")

    run(main())


@pytest.mark.parametrize(
    "sent", [b"OPTIONS sip:x SIP/2.0\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1", b"GET / HTTP/9\r\n\r\n"]
)
def test_what_is_no_websocket_loses_its_connection(run: Run, sent: bytes) -> None:
    async def main() -> None:
        end = End("a", TcpLimits(message_s=0.1))
        [peer] = await end.start("ws")
        reader, writer = await asyncio.open_connection(peer.host, peer.port)
        writer.write(sent)
        assert b"101" not in await reader.read()
        writer.close()
        assert end.tcp().open_connections == 0

    run(main())


def test_a_message_of_many_frames_has_an_end() -> None:
    cutter = WebSocketCutter()
    cutter.feed(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    )
    assert b"".join(cutter.take_replies()).startswith(b"HTTP/1.1 101")
    first, more = b"\x01\xfe\xff\xff\0\0\0\0" + b"x" * 65535, b"\x00\xfe\xff\xff\0\0\0\0" + b"x" * 65535
    assert cutter.feed(first) == []
    assert cutter.has_partial
    while not cutter.wants_close:
        assert cutter.feed(more) == []
    assert b"".join(cutter.take_replies())[2:4] == (1009).to_bytes(2)  # RFC 6455 7.4.1: too big
