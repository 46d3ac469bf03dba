"""Several addresses of one transport, IPv6 beside IPv4, and what a connection of ours does while nobody talks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from kallglot_media.net.shell import Listen
from kallglot_media.net.sip_tcp import TcpLimits
from kallglot_media.sip.events import CallAnswered, CallEnded, CallFailed, IncomingCall, Peer
from tests.support.call_ladder import SDP
from tests.support.sip_end import HOST, End

pytestmark = pytest.mark.loopback
Run = Callable[[Coroutine[Any, Any, None]], None]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


IPV6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_each_address_answers_for_itself(transport: str, run: Run) -> None:
    """Responses and in-dialog requests leave from the listener that the call came in on."""

    async def main() -> None:
        caller, callee = End("a"), End("b")
        await caller.start(transport)
        for target in await callee.start(*(Listen(transport, f"127.0.0.{last}", 0) for last in (1, 2, 3))):
            caller.call(target)
            answered = await caller.told(CallAnswered)
            assert isinstance(answered, CallAnswered)
            contact = answered.response.contact
            assert contact is not None
            assert (contact.uri.host, contact.uri.port) == (target.host, target.port)
            incoming = await callee.told(IncomingCall)
            callee.hangup(incoming.call)
            await caller.told(CallEnded)

    run(main())


def test_calls_go_out_from_the_nearest_address(run: Run) -> None:
    async def main() -> None:
        caller, callee = End("a"), End("b")
        ours = await caller.start(*(Listen("udp", f"127.0.{third}.1", 0) for third in (0, 8, 200)))
        [target] = await callee.start(Listen("udp", "127.0.200.9", 0))
        caller.call(target)
        incoming = await callee.told(IncomingCall)
        assert isinstance(incoming, IncomingCall)
        assert incoming.source == Peer("udp", ours[2].host, ours[2].port)
        assert incoming.request.top_via.host == "127.0.200.1"
        await caller.told(CallAnswered)

    run(main())


@IPV6
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_both_ip_versions_at_once(transport: str, run: Run) -> None:
    async def main() -> None:
        caller, callee = End("a"), End("b")
        both = (Listen(transport, HOST, 0), Listen(transport, "::1", 0))
        await caller.start(*both)
        for target in await callee.start(*both):
            caller.call(target)
            incoming = await callee.told(IncomingCall)
            assert isinstance(incoming, IncomingCall)
            assert incoming.source.host == target.host
            assert (":" in incoming.request.top_via.host) == (":" in target.host)
            await caller.told(CallAnswered)
            callee.hangup(incoming.call)
            await caller.told(CallEnded)

    run(main())


def test_a_call_goes_to_the_next_address_when_the_first_refuses(run: Run) -> None:
    async def main() -> None:
        caller, callee = End("a"), End("b")
        await caller.start("tcp")
        [target] = await callee.start("tcp")
        with socket.socket() as deaf:
            deaf.bind((HOST, 0))
            caller.call(Peer("tcp", HOST, deaf.getsockname()[1]), others=(target,))
            await caller.told(CallAnswered)
        assert caller.agent.counters["next_target"] == 1

    run(main())


LARGE = SDP + b"a=x:" + b"y" * 1300 + b"\r\n"


def test_a_large_request_goes_over_tcp(run: Run) -> None:
    """RFC 3261 18.1.1: over UDP it would be cut into fragments, which many firewalls drop."""

    async def main() -> None:
        caller, callee = End("a"), End("b")
        await caller.start("udp", "tcp")
        target, stream = await callee.start(*both_on_one_port())
        assert target.port == stream.port
        call = caller.call(target, sdp=LARGE)
        incoming = await callee.told(IncomingCall)
        assert isinstance(incoming, IncomingCall)
        assert incoming.source.transport == "tcp"
        assert incoming.request.top_via.transport == "TCP"
        await caller.told(CallAnswered)
        caller.hangup(call)
        await callee.told(CallEnded)
        assert caller.agent.counters["large_over_tcp"] == 1

    run(main())


def test_a_large_request_falls_back_to_udp(run: Run) -> None:
    """18.1.1: the peer has no TCP; it is remembered, so that the next call does not wait for the same refusal."""

    async def main() -> None:
        caller, callee = End("a"), End("b")
        await caller.start("udp", "tcp")
        [target] = await callee.start("udp")
        for _ in range(2):
            call = caller.call(target, sdp=LARGE)
            incoming = await callee.told(IncomingCall)
            assert isinstance(incoming, IncomingCall)
            assert incoming.source.transport == "udp"
            assert incoming.request.top_via.transport == "UDP"
            await caller.told(CallAnswered)
            caller.hangup(call)
            await callee.told(CallEnded)
        assert caller.agent.counters["large_over_tcp"] == 1
        assert caller.agent.counters["large_back_to_udp"] == 1
        assert caller.shell.counters()["tcp_connect_failed"] == 1

    run(main())


def both_on_one_port() -> list[Listen]:
    with socket.socket() as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        one.bind((HOST, 0))
        port = one.getsockname()[1]
        other.bind((HOST, port))
    return [Listen("udp", HOST, port), Listen("tcp", HOST, port)]


def test_connections_of_ours_are_kept_open(run: Run) -> None:
    """RFC 5626 section 3.5.1: CRLF CRLF, answered with CRLF."""

    async def main() -> None:
        pinged = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\nv=0")
            await reader.readuntil(b"\r\n\r\n\r\n")
            pinged.set()
            writer.close()

        server = await asyncio.start_server(serve, HOST, 0)
        end = End("a", TcpLimits(ping_s=0.02, message_s=0.05))
        await end.start("tcp")
        end.call(Peer("tcp", HOST, server.sockets[0].getsockname()[1]))
        await pinged.wait()
        await end.told(CallFailed)
        server.close()
        await server.wait_closed()

    run(main())


def test_one_host_may_not_take_all_connections(run: Run) -> None:
    async def main() -> None:
        end = End("a", TcpLimits(most_from_one_host=2))
        [peer] = await end.start("tcp")
        writers = [(await asyncio.open_connection(peer.host, peer.port)) for _ in range(3)]
        assert await writers[2][0].read() == b""
        assert end.tcp().open_connections == 2
        assert end.tcp().counters["too_many_from_one_host"] == 1
        for _, writer in writers:
            writer.close()

    run(main())
