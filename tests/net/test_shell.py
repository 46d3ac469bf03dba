"""Agents on real sockets of 127.0.0.1: UDP and TCP, asyncio and uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from kallglot_media.net.shell import Listen
from kallglot_media.net.sip_tcp import TcpLimits
from kallglot_media.sip.events import CallAnswered, CallEnded, CallFailed, IncomingCall, Peer, SipEvent
from tests.support.sip_end import HOST, End

pytestmark = pytest.mark.loopback


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_from_end_to_end(transport: str, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def main() -> None:
        caller, callee = End("a"), End("b")
        await caller.start(transport)
        [target] = await callee.start(transport)
        call = caller.call(target)
        await caller.told(CallAnswered)
        caller.hangup(call)
        ended = await callee.told(CallEnded)
        assert isinstance(ended, CallEnded)
        assert ended.by == "remote"
        if transport == "tcp":
            assert caller.tcp().open_connections == 1
            assert callee.tcp().open_connections == 1

    run(main())


def test_the_callee_hangs_up_over_the_callers_connection(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def main() -> None:
        caller, callee = End("a"), End("b")
        await caller.start("udp", "tcp")
        _, target = await callee.start("udp", "tcp")
        caller.call(target)
        incoming = await callee.told(IncomingCall)
        await caller.told(CallAnswered)
        callee.hangup(incoming.call)
        await caller.told(CallEnded)
        assert callee.tcp().counters["connected"] == 0

    run(main())


def test_nobody_listens_on_tcp(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def main() -> None:
        caller = End("a")
        await caller.start("tcp")
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            caller.call(Peer("tcp", HOST, taken.getsockname()[1]))
            failed = await caller.told(CallFailed)
        assert isinstance(failed, CallFailed)
        assert failed.status == 503
        assert caller.agent.open_calls == 0

    run(main())


def test_a_transport_that_is_not_there(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def main() -> None:
        caller = End("a")
        await caller.start("udp")
        with pytest.raises(ValueError, match="no address of ours for tcp"):
            caller.call(Peer("tcp", HOST, 9))

    run(main())


async def read_until(reader: asyncio.StreamReader, what: bytes) -> bytes:
    data = b""
    while what not in data:
        more = await reader.read(4096)
        if not more:
            return data
        data += more
    return data


OPTIONS = (
    b"OPTIONS sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:us@b>\r\nCall-ID: c%d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def test_messages_in_pieces_and_in_one(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def main() -> None:
        end = End("a")
        [peer] = await end.start("tcp")
        reader, writer = await asyncio.open_connection(peer.host, peer.port)
        both = OPTIONS % (1, 1) + OPTIONS % (2, 2)
        for start in range(0, len(both), 37):
            writer.write(both[start : start + 37])
            await writer.drain()
        writer.write(b"\r\n\r\n")
        answer = await read_until(reader, b"Call-ID: c2")
        assert answer.count(b"SIP/2.0 200") == 2
        writer.close()
        await writer.wait_closed()

    run(main())


def test_what_is_not_sip_loses_its_connection(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def main() -> None:
        end = End("a")
        [peer] = await end.start("tcp")
        reader, writer = await asyncio.open_connection(peer.host, peer.port)
        writer.write(b"\x16\x03\x01\x02\x00" * 10 + b"\r\n\r\n")
        assert await reader.read() == b""
        assert end.tcp().counters["bad_framing"] == 1
        writer.close()

    run(main())


@pytest.mark.parametrize(
    ("limits", "sent", "counter"),
    [
        (TcpLimits(idle_s=0.05), b"", "idle"),
        (TcpLimits(message_s=0.05), b"OPTIONS sip:x SIP/2.0\r\nVia:", "half_message"),
        (TcpLimits(most_connections=0), b"", "too_many"),
    ],
)
def test_limits_of_a_connection(
    limits: TcpLimits, sent: bytes, counter: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    async def main() -> None:
        end = End("a", limits)
        [peer] = await end.start("tcp")
        reader, writer = await asyncio.open_connection(peer.host, peer.port)
        if sent:
            writer.write(sent)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert end.tcp().counters[counter] == 1
        assert end.tcp().open_connections == 0
        writer.close()

    run(main())


def test_a_peer_that_does_not_read_loses_its_connection(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def main() -> None:
        end = End("a", TcpLimits(most_waiting_bytes=50_000))
        [peer] = await end.start("tcp")
        loop = asyncio.get_running_loop()
        with socket.socket() as mute:
            mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            mute.setblocking(False)
            await loop.sock_connect(mute, (peer.host, peer.port))
            padding = b";x=" + b"y" * 8000 + b"\r\nFrom:"  # comes back in every response
            for number in range(5_000):
                if end.tcp().counters["slow_peer"]:
                    break
                try:
                    await loop.sock_sendall(mute, (OPTIONS % (number, number)).replace(b"\r\nFrom:", padding))
                except ConnectionError:
                    break
                await asyncio.sleep(0)
            assert end.tcp().counters["slow_peer"] == 1
        await asyncio.sleep(0)  # one turn of the loop
        assert end.agent.counters["transport_failed"] == 1

    run(main())


def test_an_address_in_use_is_named(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def main() -> None:
        first, second = End("a"), End("b")
        peers = await first.start("udp", "tcp")
        for peer in peers:
            with pytest.raises(OSError, match=f"on {peer.transport} {HOST}:{peer.port}: address already in use"):
                await second.shell.start([Listen(peer.transport, HOST, peer.port)])

    run(main())


def test_a_user_that_raises_costs_one_event(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def main() -> None:
        caller, callee = End("a"), End("b")
        await caller.start("udp")
        [target] = await callee.start("udp")
        raised: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        original = callee._on_event

        def on_event(event: SipEvent) -> None:
            original(event)
            raise RuntimeError("a mistake of ours")

        callee.shell._on_event = on_event
        caller.call(target)
        await caller.told(CallAnswered)
        assert isinstance(raised[0]["exception"], RuntimeError)

    run(main())


def test_a_mistake_of_ours_in_the_agent_is_reported_and_the_shell_goes_on(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    """Its timer above all: a shell that does not set it again sends nothing until the next message comes."""

    async def main() -> None:
        caller, callee = End("a"), End("b")
        await caller.start("udp")
        [target] = await callee.start("udp")
        raised: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        agent = callee.shell.agent
        real, first = agent.on_time, [True]

        def on_time(now_s: float) -> None:
            if first:
                first.clear()
                raise RuntimeError("a mistake of ours")
            real(now_s)

        agent.on_time = on_time  # type: ignore[method-assign]
        callee.shell._do(agent.on_time, 0.0)
        caller.call(target)
        await caller.told(CallAnswered)
        assert isinstance(raised[0]["exception"], RuntimeError)
        assert "on_time" in raised[0]["message"]

    run(main())


def test_listen_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="expected one of udp, tcp, tls, ws, wss"):
        Listen("sctp", HOST, 0)
    with pytest.raises(ValueError, match="set public_host"):
        Listen("udp", "0.0.0.0", 0)
    assert Listen("udp", "0.0.0.0", 0, "192.0.2.1").public_host == "192.0.2.1"
