"""Media streams of carriers at the same URL, as Twilio and Telnyx write them."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from typing import Any

import numpy as np
import pytest

from kallglot_media.audio import g711
from kallglot_media.media import messages as m
from tests.support.api_world import ApiWorld
from tests.support.stream_client import StreamClient

SOUND = bytes(range(160))
ALAW = g711.alaw_encode(g711.ulaw_decode(np.frombuffer(SOUND, np.uint8))).tobytes()
Json = dict[str, Any]


class Twilio(StreamClient):
    """What its media server sends."""

    async def start(self, **parameters: str) -> None:
        start = {
            "accountSid": "AC1", "streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }  # fmt: skip
        await self.event("connected", protocol="Call", version="1.0.0")
        await self.event("start", sequenceNumber="1", start=start)

    async def event(self, name: str, **fields: Any) -> None:
        more = {} if name == "connected" else {"streamSid": "MZ1"}
        await self.socket.send(json.dumps({"event": name, **more, **fields}))

    async def media(self, sound: bytes, chunk: int | None = None, track: str = "inbound") -> None:
        number = {} if chunk is None else {"chunk": str(chunk)}
        await self.event("media", media={"track": track, **number, "timestamp": "5", "payload": text_of(sound)})


class Telnyx(StreamClient):
    """What its media server sends."""

    async def start(self, encoding: str, **parameters: str) -> None:
        await self.socket.send(json.dumps({"event": "connected", "version": "1.0.0"}))
        start = {
            "call_control_id": "v2:1", "client_state": None, "custom_parameters": parameters,
            "media_format": {"encoding": encoding, "sample_rate": 8000, "channels": 1},
        }  # fmt: skip
        await self.event("start", sequence_number="1", start=start)

    async def event(self, name: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"event": name, "stream_id": "32de", **fields}))

    async def media(self, sound: bytes, chunk: int) -> None:
        await self.event("media", media={"track": "inbound", "chunk": str(chunk), "payload": text_of(sound)})


def text_of(sound: bytes) -> str:
    return b64encode(sound).decode()


def sound_of(message: Json) -> bytes:
    return b64decode(message["media"]["payload"])


async def test_a_twilio_stream_is_the_customers_phone(api: ApiWorld) -> None:
    session = await api.session()
    stream, this = session["stream"], session["id"]
    async with (
        Twilio(stream["url"]) as phone,
        StreamClient(stream["url"], stream["token"], query="speaker=agent") as agent,
    ):
        await phone.start(token=stream["token"])
        await agent.until("session.ready")
        await api.read_until(this, "active")
        await phone.media(SOUND, 1)
        await phone.media(SOUND[::-1], 2)
        await phone.media(b"\xff" * 160, 3, track="outbound")
        await phone.event("dtmf", dtmf={"track": "inbound_track", "digit": "5"})
        await phone.event("something.new")
        for number in range(10):
            api.registry.on_media(m.StreamAudioOut(f"{this}/customer", 800 * number, SOUND * 5))
        mark = await phone.until("mark")
        assert mark == {"event": "mark", "streamSid": "MZ1", "mark": {"name": "1"}}
        assert [message["streamSid"] for message in phone.heard] == ["MZ1"] * 11
        assert b"".join(sound_of(message) for message in phone.heard[:10]) == SOUND * 50
        api.registry.on_media(m.StreamCleared(f"{this}/customer"))
        assert await phone.until("clear") == {"event": "clear", "streamSid": "MZ1"}
        await phone.event("mark", mark={"name": "1"})
        await phone.event("stop", stop={"callSid": "CA1"})
        assert await phone.until_closed() == 1000
        await agent.until("session.ended", lambda ended: ended["reason"] == "customer_hangup")
    heard = api.around.media.of(m.StreamAudioIn)
    assert heard == [m.StreamAudioIn(f"{this}/customer", sound) for sound in (SOUND, SOUND[::-1])]
    events = (api.config.server.data_dir / "sessions" / this / "events.jsonl").read_text()
    assert '"type":"dtmf","at_ms":' in events
    assert '"speaker":"customer","digit":"5"' in events


async def test_a_carriers_stream_with_a_bad_token_or_none_gets_4401(api: ApiWorld) -> None:
    session, other = await api.session(), await api.session()
    for parameters in ({}, {"token": other["stream"]["token"]}, {"token": api.token}):
        async with Twilio(session["stream"]["url"]) as phone:
            await phone.start(**parameters)
            assert await phone.until_closed() == 4401
    async with Twilio(session["stream"]["url"]) as phone:
        await phone.event("connected")
        await phone.media(SOUND)
        assert await phone.until_closed() == 4401
    async with Twilio(session["stream"]["url"], session["stream"]["token"]) as phone:
        await phone.event("connected")
        await phone.event("start", start="now")
        assert await phone.until_closed() == 1003


async def test_who_shows_no_token_in_time_is_closed(api: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kallglot_media.api.stream.opening.STRANGER_S", 0.05)
    url = (await api.session())["stream"]["url"]
    async with StreamClient(url) as silent:
        assert await silent.until_closed() == 4401
    async with Twilio(url) as phone:
        await phone.event("connected")
        assert await phone.until_closed() == 4401


async def test_a_telnyx_stream_may_have_a_law_and_its_pieces_out_of_order(api: ApiWorld) -> None:
    session = await api.session()
    stream, this = session["stream"], session["id"]
    async with Telnyx(stream["url"], stream["token"]) as phone:
        await phone.start("PCMA", speaker="agent", output_encoding="PCMA")
        for chunk in (4, 6, 5, 5, 8, 9, 10, 11, 12, 13, 7):
            await phone.media(ALAW[chunk:] + ALAW[:chunk], chunk)
        await phone.event("mark", mark={"name": "not ours"})
        async with asyncio.timeout(5):
            while len(api.around.media.of(m.StreamAudioIn)) < 9:
                await api.call("GET", f"/v1/sessions/{this}")
        api.registry.on_media(m.StreamAudioOut(f"{this}/agent", 0, SOUND))
        assert sound_of(await phone.until("media")) == ALAW
        api.registry.on_media(m.StreamCleared(f"{this}/agent"))
        assert await phone.until("clear") == {"event": "clear"}
    heard = [message.sound for message in api.around.media.of(m.StreamAudioIn)]
    as_heard = g711.ulaw_encode(g711.alaw_decode(np.frombuffer(ALAW, np.uint8))).tobytes()
    in_order = (4, 5, 6, 8, 9, 10, 11, 12, 13)
    assert heard == [as_heard[chunk:] + as_heard[:chunk] for chunk in in_order], "7 came when it was too late"


async def test_a_codec_that_is_not_spoken_here_is_refused_with_what_to_set(api: ApiWorld) -> None:
    session = await api.session()
    stream = session["stream"]
    async with Telnyx(stream["url"]) as phone:
        await phone.start("AMR-WB", token=stream["token"])
        assert await phone.until_closed() == 1003
    assert "PCMU" in phone.reason
    async with StreamClient(stream["url"], stream["token"]) as client:
        await client.until("session.ready")


async def test_a_carriers_mistake_is_no_end(api: ApiWorld) -> None:
    session = await api.session()
    stream = session["stream"]
    async with Twilio(stream["url"]) as phone:
        await phone.start(token=stream["token"])
        await phone.socket.send("{")
        await phone.event("media", media={"track": "inbound", "payload": "?"})
        await phone.event("media", media=None)
        await phone.media(SOUND, 1)
        await phone.event("stop")
        assert await phone.until_closed() == 1000
    assert len(api.around.media.of(m.StreamAudioIn)) == 1
    assert (await api.read_until(session["id"], "ended"))["end_reason"] == "customer_hangup"
