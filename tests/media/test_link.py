"""A real media process on loopback, held by a MediaLink."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import pytest_asyncio

from kallglot_media.audio import g711
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.media import link as link_module
from kallglot_media.media.link import MediaError, MediaLink, MediaSettings
from kallglot_media.media.messages import (
    CloseLeg,
    CloseSession,
    FromMedia,
    LegClosed,
    LegOpened,
    Listen,
    OpenLeg,
    OpenSession,
    OpenStreamLeg,
    Play,
    PlayoutFinished,
    PlayTone,
    SessionClosed,
    SetPlan,
    SetRemote,
    StreamAudioIn,
    Utterance,
)
from kallglot_media.media.recorder import MARKER, repair
from kallglot_media.modes.plan import BRIDGED, ECHO, Party
from kallglot_media.rtp.packet import RtpPacket

pytestmark = [pytest.mark.loopback, pytest.mark.real_time]
HOST = "127.0.0.1"
DEADLINE_S = 10.0
Event = TypeVar("Event")


class Desk:
    """A link with everything that came over it."""

    def __init__(self, settings: MediaSettings | None = None) -> None:
        self.events: list[FromMedia] = []
        self.deaths: list[str] = []
        self._news = asyncio.Event()
        self.link = MediaLink(
            settings or MediaSettings(raise_priority=False), on_event=self._on_event, on_dead=self._on_dead
        )

    def _on_event(self, event: FromMedia) -> None:
        self.events.append(event)
        self._news.set()

    def _on_dead(self, why: str) -> None:
        self.deaths.append(why)
        self._news.set()

    async def wait(self, kind: type[Event]) -> Event:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                await self._changed()

    async def wait_dead(self) -> str:
        async with asyncio.timeout(DEADLINE_S):
            while not self.deaths:
                await self._changed()
        return self.deaths[0]

    async def _changed(self) -> None:
        self._news.clear()
        await self._news.wait()


class Phone(asyncio.DatagramProtocol):
    """Sends a sound in 20 ms packets and keeps what comes back."""

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.enough = asyncio.Event()
        self.want = 0

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.packets.append(RtpPacket.parse(data))
        if len(self.packets) >= self.want:
            self.enough.set()

    async def start(self) -> int:
        self.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(HOST, 0)
        )
        port: int = self.transport.get_extra_info("sockname")[1]
        return port

    async def hear(self, packets: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        self.want = packets
        async with asyncio.timeout(DEADLINE_S):
            while len(self.packets) < packets:
                self.enough.clear()
                await self.enough.wait()
        payloads = b"".join(packet.payload for packet in self.packets)
        return g711.ulaw_decode(np.frombuffer(payloads, np.uint8))


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.link.start()
    yield desk
    await desk.link.stop()


async def open_phone(desk: Desk, leg_id: str = "c", party: Party = Party.CUSTOMER) -> tuple[Phone, LegOpened]:
    phone = Phone()
    port = await phone.start()
    opened = await desk.link.open_leg(OpenLeg("s", leg_id, party, HOST))
    desk.link.send(SetRemote(leg_id, HOST, port, "PCMU", 0, 0))
    return phone, opened


async def test_a_tone_is_heard_and_the_recording_is_finished(desk: Desk, tmp_path: Path) -> None:
    desk.link.send(OpenSession("s", str(tmp_path)))
    phone, opened = await open_phone(desk)
    assert opened.port % 2 == 0
    desk.link.send(PlayTone("c", "ringback"))
    desk.link.send(Play("c", "p", np.full(800, 1000, "<i2").tobytes(), 8000))
    heard = await phone.hear(10)
    assert np.abs(heard).max() > 500
    assert await desk.wait(PlayoutFinished)
    desk.link.send(CloseSession("s"))
    closed = await desk.wait(SessionClosed)
    assert [Path(file.path).name for file in closed.files] == ["customer.wav", "agent.wav"]
    for file in closed.files:
        with wave.open(file.path) as sound:
            assert sound.getnframes() == file.samples == closed.samples
    stats = (await desk.wait(LegClosed)).stats
    assert stats.counters.get("send_failed", 0) == 0
    phone.transport.close()


async def test_what_is_said_comes_back_and_is_cut() -> None:
    """Without the guard: a buzz that is echoed cannot be told from its echo, and by chance is taken for it."""
    desk = Desk(MediaSettings(raise_priority=False, own_voice_guard=False))
    await desk.link.start()
    desk.link.send(OpenSession("s"))
    desk.link.send(SetPlan("s", ECHO))
    phone, opened = await open_phone(desk)
    desk.link.send(Listen("c", SegmentRules(stop_ms=200)))
    at = np.arange(8000)
    buzz = sum(np.sin(2 * np.pi * 120 * k * at / 8000) / (1 + abs(k - 5)) for k in range(1, 28)) * 3000
    sound = g711.ulaw_encode(np.asarray(buzz).astype(np.int16)).tobytes()
    for n in range(10, 90):
        await phone.hear(n)  # in step with what comes back: no clock of our own
        payload = sound[160 * (n - 10) : 160 * (n - 9)] or b"\xff" * 160
        phone.transport.sendto(RtpPacket(0, n, 160 * n, 7, payload).serialize(), (HOST, opened.port))
    said = await desk.wait(Utterance)
    assert len(said.pcm) > 8000
    assert np.abs(await phone.hear(90)).max() > 1000
    phone.transport.close()
    await desk.link.stop()


async def test_refusals_name_the_mend() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        desk = Desk(MediaSettings(first_port=port - port % 2, last_port=port - port % 2 + 1, raise_priority=False))
        await desk.link.start()
        desk.link.send(OpenSession("s"))
        with pytest.raises(MediaError, match=r"widen media\.ports"):
            await desk.link.open_leg(OpenLeg("s", "c", Party.CUSTOMER, HOST))
        with pytest.raises(MediaError, match=r"set media\.host"):
            await desk.link.open_leg(OpenLeg("s", "c", Party.CUSTOMER, "192.0.2.1"))
        await desk.link.stop()
    assert desk.deaths == []


async def test_ports_come_back_when_legs_close(desk: Desk) -> None:
    desk.link.send(OpenSession("s"))
    with pytest.raises(MediaError, match="session t is not open"):
        await desk.link.open_leg(OpenLeg("t", "c", Party.CUSTOMER, HOST))
    counts = set()
    for _ in range(3):
        phone, _ = await open_phone(desk)
        counts.add(len(os.listdir(f"/proc/{desk.link.pid}/fd")))  # noqa: PTH208
        desk.link.send(CloseLeg("c"))
        await desk.wait(LegClosed)
        desk.events.clear()
        phone.transport.close()
    assert len(counts) == 1


async def test_a_killed_process_is_told_once_its_recording_is_repaired_and_it_starts_anew(
    desk: Desk, tmp_path: Path
) -> None:
    desk.link.send(OpenSession("s", str(tmp_path)))
    desk.link.send(SetPlan("s", BRIDGED))
    phone, _ = await open_phone(desk)
    heard = await phone.hear(80)  # 1.6 s of session time
    assert len(heard) >= 80 * 160
    assert desk.link.pid is not None
    os.kill(desk.link.pid, signal.SIGKILL)
    assert await desk.wait_dead() == "the media process closed its socket and ended with code -9"
    assert not desk.link.alive
    with pytest.raises(MediaError, match="there is no media process"):
        await desk.link.open_leg(OpenLeg("s", "x", Party.AGENT, HOST))
    desk.link.send(CloseSession("s"))
    assert desk.link.unsent == 1
    assert (tmp_path / MARKER).exists()
    closed = repair(tmp_path)
    assert closed is not None
    assert closed.samples >= 80 * 160 - 8000, "at most a second is missing"
    assert {file.samples for file in closed.files} == {closed.samples}
    await desk.link.restart()
    assert desk.link.alive
    desk.link.send(OpenSession("s"))
    assert (await desk.link.open_leg(OpenLeg("s", "c", Party.CUSTOMER, HOST))).leg_id == "c"
    assert len(desk.deaths) == 1
    phone.transport.close()


async def test_signals_are_controls_business_and_stop_finishes_recordings(tmp_path: Path) -> None:
    desk = Desk()
    await desk.link.start()
    desk.link.send(OpenSession("s", str(tmp_path)))
    phone, _ = await open_phone(desk)
    assert desk.link.pid is not None
    os.kill(desk.link.pid, signal.SIGTERM)
    os.kill(desk.link.pid, signal.SIGINT)
    await phone.hear(20)
    await desk.link.stop()
    closed = await desk.wait(SessionClosed)
    assert len(closed.files) == 2
    assert not (tmp_path / MARKER).exists()
    assert desk.deaths == []
    assert desk.link.pid is None
    phone.transport.close()


async def test_a_hanging_process_is_ended_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    await desk.link.start()
    monkeypatch.setattr(link_module, "SILENCE_DEADLINE_S", 2.5)
    assert desk.link.pid is not None
    await asyncio.sleep(0)
    desk.link.send(OpenSession("s"))
    await desk.link.open_leg(OpenLeg("s", "c", Party.CUSTOMER, HOST))
    pid = desk.link.pid
    os.kill(pid, signal.SIGSTOP)
    assert "says nothing" in await desk.wait_dead()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await desk.link.stop()


async def test_a_process_that_cannot_start_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MediaError, match="does not start"):
        await desk.link.start()
    assert not desk.link.alive
    assert desk.deaths == [], "whoever started it knows"


async def test_an_error_in_a_callback_does_not_cut_the_link() -> None:
    problems: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: problems.append(context))

    def fail(event: FromMedia) -> None:
        raise RuntimeError("ours")

    link = MediaLink(MediaSettings(raise_priority=False), on_event=fail, on_dead=lambda why: None)
    await link.start()
    link.send(OpenSession("s"))
    await link.open_leg(OpenLeg("s", "c", Party.CUSTOMER, HOST))
    await link.stop()
    loop.set_exception_handler(None)
    assert problems
    assert problems[0]["message"] == "handling PlaneStats failed"


async def test_sound_of_streams_is_gathered_and_comes_before_what_follows_it(desk: Desk) -> None:
    desk.link.send(OpenSession("s"))
    desk.link.send(SetPlan("s", BRIDGED))
    desk.link.send(OpenStreamLeg("s", "c", Party.CUSTOMER))
    desk.link.send(OpenStreamLeg("s", "a", Party.AGENT))
    for _ in range(10):
        desk.link.send(StreamAudioIn("c", b"\x55" * 160))
    desk.link.send(CloseLeg("c"))
    closed = await desk.wait(LegClosed)
    assert closed.stats.counters["stream_in"] == 10, "nothing was overtaken"
    desk.link.send(StreamAudioIn("a", b"\x55" * 160))
    await asyncio.sleep(2 * link_module.GATHER_S)
    desk.events.clear()
    desk.link.send(CloseLeg("a"))
    assert (await desk.wait(LegClosed)).stats.counters["stream_in"] == 1
