"""Several media processes: a session's legs together, the emptiest chosen, and one that dies harms no other."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from kallglot_media.media import fleet as fleet_module
from kallglot_media.media.fleet import Died, MediaFleet, processes_of, total
from kallglot_media.media.link import MediaError
from kallglot_media.media.messages import (
    CloseLeg,
    CloseSession,
    FromMedia,
    LegClosed,
    LegOpened,
    OpenLeg,
    OpenSession,
    PlaneStats,
    SessionClosed,
    SetPlan,
    SetRemote,
)
from kallglot_media.media.recorder import MARKER, repair
from kallglot_media.media.settings import MediaSettings
from kallglot_media.modes.plan import BRIDGED, Party
from kallglot_media.rtp.packet import RtpPacket

pytestmark = [pytest.mark.loopback, pytest.mark.real_time]
T = TypeVar("T")
HOST = "127.0.0.1"
DEADLINE_S = 15.0


class Phone(asyncio.DatagramProtocol):
    """Keeps the numbers of what comes."""

    def __init__(self) -> None:
        self.sequence: list[int] = []
        self.news = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if 192 <= data[1] <= 223:
            return  # RTCP
        self.sequence.append(RtpPacket.parse(data).sequence)
        self.news.set()

    async def more(self, packets: int) -> None:
        """Wait for so many more."""
        goal = len(self.sequence) + packets
        async with asyncio.timeout(DEADLINE_S):
            while len(self.sequence) < goal:
                self.news.clear()
                await self.news.wait()


class House:
    """Two processes, and what they said."""

    def __init__(self, processes: int = 2) -> None:
        self.events: list[FromMedia] = []
        self.dead: list[Died] = []
        self.back: list[int] = []
        self.news = asyncio.Event()
        self.phones: list[asyncio.DatagramTransport] = []
        self.fleet = MediaFleet(
            MediaSettings(raise_priority=False),
            processes,
            on_event=self.note(self.events),
            on_dead=self.note(self.dead),
            on_back=self.note(self.back),
        )

    def note(self, things: list[T]) -> Callable[[T], None]:
        def took(thing: T) -> None:
            things.append(thing)
            self.news.set()

        return took

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not done():
                self.news.clear()
                await self.news.wait()

    async def call(self, session_id: str, folder: Path | None = None) -> tuple[Phone, LegOpened, LegOpened]:
        """A session of two legs; what the customer hears."""
        self.fleet.send(OpenSession(session_id, str(folder) if folder else None))
        self.fleet.send(SetPlan(session_id, BRIDGED))
        phone = Phone()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: phone, local_addr=(HOST, 0))
        self.phones.append(transport)
        customer = await self.fleet.open_leg(OpenLeg(session_id, f"{session_id}/customer", Party.CUSTOMER, HOST))
        agent = await self.fleet.open_leg(OpenLeg(session_id, f"{session_id}/agent", Party.AGENT, HOST))
        port = transport.get_extra_info("sockname")[1]
        self.fleet.send(SetRemote(f"{session_id}/customer", HOST, port, "PCMU", 0, 0))
        return phone, customer, agent

    def process_of(self, port: int) -> int:
        """Which process has the port, by the system's word."""
        return next(n for n, pid in enumerate(self.fleet.pids) if pid is not None and port in ports_of(pid))


def ports_of(pid: int) -> set[int]:
    """UDP ports that a process has open."""
    links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    inodes = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[9] in inodes}


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    await house.fleet.start()
    yield house
    await house.fleet.stop()
    for transport in house.phones:
        transport.close()


async def test_legs_stay_together_and_the_emptiest_gets_the_next_session(house: House) -> None:
    homes = []
    for n in range(4):
        _, customer, agent = await house.call(f"s{n}")
        homes.append(house.process_of(customer.port))
        assert house.process_of(agent.port) == homes[-1]
    assert Counter(homes) == {0: 2, 1: 2}
    gone = [n for n, home in enumerate(homes) if home == 1]
    for n in gone:
        house.fleet.send(CloseSession(f"s{n}"))
    await house.until(lambda: sum(isinstance(event, SessionClosed) for event in house.events) == 2)
    assert sum(isinstance(event, LegClosed) for event in house.events) == 4
    for n in (7, 8):
        _, customer, _ = await house.call(f"s{n}")
        assert house.process_of(customer.port) == 1
    await house.until(lambda: any(isinstance(event, PlaneStats) and event.legs == 8 for event in house.events))


async def test_one_dies_and_nobody_else_notices(house: House, tmp_path: Path) -> None:
    lost, kept = tmp_path / "lost", tmp_path / "kept"
    lost.mkdir()
    kept.mkdir()
    phone_of_lost, customer, _ = await house.call("lost", lost)
    phone, other, _ = await house.call("kept", kept)
    victim, survivor = house.process_of(customer.port), house.process_of(other.port)
    assert victim != survivor
    pid = house.fleet.pids[victim]
    assert pid is not None
    await phone_of_lost.more(75)
    os.kill(pid, signal.SIGKILL)
    await house.until(lambda: bool(house.dead))
    [died] = house.dead
    assert (died.number, died.sessions) == (victim, ("lost",))
    assert house.fleet.alive
    with pytest.raises(MediaError, match="session lost is in no media process"):
        await house.fleet.open_leg(OpenLeg("lost", "lost/x", Party.AGENT, HOST))
    house.fleet.send(CloseLeg("lost/customer"))
    assert house.fleet.unsent == 1
    closed = repair(lost)
    assert closed is not None
    assert closed.samples >= 75 * 160 - 8000, "at most a second is missing"
    assert (kept / MARKER).exists()
    assert repair(kept) is None, "a recording under way is none of its business"
    _, while_away, _ = await house.call("meanwhile")
    await house.until(lambda: house.back == [victim])
    assert house.process_of(while_away.port) == survivor
    await phone.more(50)
    first = phone.sequence[0]
    assert phone.sequence == [(first + n) & 0xFFFF for n in range(len(phone.sequence))], "not a packet is missing"
    _, after, _ = await house.call("after")
    assert house.process_of(after.port) == victim, "the new process is the emptiest"
    house.fleet.send(CloseSession("kept"))
    await house.until(lambda: any(isinstance(event, SessionClosed) for event in house.events))


async def test_a_fleet_that_cannot_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(MediaError, match="does not start"):
        await house.fleet.start()
    assert not house.fleet.alive
    house.fleet.send(OpenSession("s"))
    assert house.fleet.unsent == 1
    assert house.dead == []


async def test_what_never_comes_back_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "RESTART_PAUSE_S", 0.0)
    lost: list[bool] = []
    house = House(1)
    house.fleet._on_lost = lambda: house.note(lost)(True)
    await house.fleet.start()
    pid = house.fleet.pids[0]
    assert pid is not None
    monkeypatch.setattr("sys.executable", "/bin/false")
    os.kill(pid, signal.SIGKILL)
    await house.until(lambda: bool(lost))
    assert lost == [True]
    await house.fleet.stop()


def test_how_many_and_what_they_are_together() -> None:
    assert processes_of(3) == 3
    assert processes_of(None) >= 1
    one = PlaneStats(2, 1, 100, 0, {"over_1ms": 3}, 1.5, 0.5)
    two = PlaneStats(4, 2, 50, 1, {"over_1ms": 4}, 0.5, 0.25)
    assert total([one, two]) == PlaneStats(6, 3, 150, 1, {"over_1ms": 7}, 1.5, 0.75)
