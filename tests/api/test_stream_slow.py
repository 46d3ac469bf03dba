"""Clients of the stream that read slowly: what they lose, in which order, and that they are told."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from kallglot_media.call import events as e
from kallglot_media.call.turn import Turn
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party
from tests.support.api_world import ApiWorld
from tests.support.rest import eventually
from tests.support.stream_client import StreamClient

PIECES, PARTIALS, FINALS = 600, 200, 300


def slow_client(api: ApiWorld, session: dict[str, Any], **more: Any) -> StreamClient:
    """One whose side of the connection takes little before it reads."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = api.url.removeprefix("http://").partition(":")
    raw.connect((host, int(port)))
    stream = session["stream"]
    return StreamClient(stream["url"], stream["token"], sock=raw, max_queue=1, **more)


def turn(sequence: int) -> Turn:
    return Turn(sequence, "customer", "de", "Das sind einige Worte.", None, 0, 100, 0.9)


async def test_sound_is_lost_first_then_partials_and_finals_never(api: ApiWorld) -> None:
    session = await api.session()
    this = session["id"]
    async with slow_client(api, session) as client:
        await client.until("session.ready")
        for number in range(PIECES):
            api.registry.on_media(m.StreamAudioOut(f"{this}/agent", 800 * number, b"\x55" * 800))
            if number % 3 == 0:
                api.parts.bus.publish(e.PartialTranscript(this, Party.CUSTOMER, "Das sind einige", "de"))
            if number % 2 == 0:
                api.parts.bus.publish(e.FinalTranscript(this, turn(number // 2)))
            await api.settle()
        api.parts.bus.publish(e.AgentMessage(this, "the end"))
        await client.until("agent.message")
    told = [message["type"] for message in client.heard]
    lost = [message["dropped"] for message in client.heard if message.get("code") == "reading_too_slowly"]
    finals = [message["sequence"] for message in client.heard if message["type"] == "transcript.final"]
    assert finals == list(range(FINALS)), "every one, in order"
    assert told.count("audio.output") + sum(each["audio.output"] for each in lost) == PIECES
    assert told.count("transcript.partial") + sum(each["transcript.partial"] for each in lost) == PARTIALS
    assert told.count("audio.output") < PIECES / 4, "what is old is not sent late"


async def test_a_client_that_lets_even_finals_pile_up_is_closed_and_can_fetch_them(
    api: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kallglot_media.api.stream.endpoint.LOOK_S", 0.05)
    session = await api.session()
    async with slow_client(api, session) as client:
        await client.until("session.ready")
        running = api.parts.lobby.session(session["id"])
        assert running is not None
        for sequence in range(1, 3001):
            running.turn_done(turn(sequence))
        await api.settle()
        assert await client.until_closed() == 1013
    last = max(message["sequence"] for message in client.heard if message["type"] == "transcript.final")
    assert last < 3000
    stream = session["stream"]
    async with StreamClient(stream["url"], stream["token"], query=f"after={last}") as client:
        await client.until("transcript.final", lambda final: final["sequence"] == 3000)
    assert len(client.heard) == 1 + 3000 - last


async def test_a_client_that_reads_nothing_any_more_is_cut_off(api: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kallglot_media.api.stream.endpoint.LOOK_S", 0.05)
    monkeypatch.setattr("kallglot_media.api.stream.endpoint.CLOSE_S", 0.05)
    monkeypatch.setattr("kallglot_media.api.stream.protocol.LINGER_S", 0.05)
    session = await api.session()
    async with slow_client(api, session) as client:
        await client.until("session.ready")
        others = api.server.connections - 1
        for sequence in range(1, 4001):
            api.parts.bus.publish(e.FinalTranscript(session["id"], turn(sequence)))
        await eventually(lambda: api.server.connections == others, 5.0)
        client.socket.transport.abort()


async def test_one_slow_listener_holds_up_nobody_else(api: ApiWorld) -> None:
    session = await api.session()
    stream = session["stream"]
    async with (
        StreamClient(stream["url"], stream["token"]) as carrier,
        slow_client(api, session, query="listen=true") as slow,
    ):
        await carrier.until("session.ready")
        await slow.until("session.ready")
        for sequence in range(1, 1001):
            api.parts.bus.publish(e.FinalTranscript(session["id"], turn(sequence)))
        await carrier.until("transcript.final", lambda final: final["sequence"] == 1000)
        await carrier.send("ping")
        await carrier.until("pong")
        slow.socket.transport.abort()  # a close would wait for what it does not read
