"""Which call belongs to which session, who is refused with what, and that a mistake ends one call only."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.events import Noted, SessionEvent
from kallglot_media.call.registry import Destination, Registry, RegistryRules
from kallglot_media.call.services import ServiceRules
from kallglot_media.call.world import SessionFacts
from kallglot_media.config.announcements import Announcements
from kallglot_media.media import messages as m
from kallglot_media.sip.events import IncomingCall, Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.parser import parse_message
from tests.support.call_world import PHONE_SDP, TestWorld, hung_up

ECHO = Destination(
    SessionFacts("echo", None, None, called="echo", keep=False),
    ServiceRules(None, only_starter=False, max_call_s=60.0, segment=SegmentRules(), announcements=Announcements()),
)
T38 = b"v=0\r\no=- 1 2 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=image 4002 udptl t38\r\n"


def incoming(call: str, user: str = "echo", offer: bytes | None = PHONE_SDP) -> IncomingCall:
    raw = (
        f"INVITE sip:{user}@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK{call}\r\n"
        f"From: <sip:me@192.0.2.20>;tag=1\r\nTo: <sip:{user}@192.0.2.10>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n"
        "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    request = parse_message(raw.encode())
    assert isinstance(request, Request)
    return IncomingCall(call, request, Peer("udp", "192.0.2.20", 5060), offer)


class Desk:
    """A registry whose routes know `echo` and stumble over `bug`."""

    def __init__(self, folder: Path, rules: RegistryRules) -> None:
        self.around = TestWorld(folder)
        self.registry = Registry(
            lambda bind: replace(self.around.world, bind=bind), rules, lambda called, call: self.route(called)
        )
        self.around.media.on_event = self.registry.on_media

    def route(self, called: str) -> Destination | None:
        if called == "bug":
            raise KeyError("a password file that is gone")
        return ECHO if called == "echo" else None

    @property
    def verbs(self) -> list[tuple[str, ...]]:
        return self.around.signalling.verbs

    async def settle(self) -> None:
        for _ in range(100):
            await asyncio.sleep(0)


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, RegistryRules(max_calls=2, min_free_bytes=0))


async def test_a_call_lives_from_invite_to_bye(desk: Desk) -> None:
    desk.registry.on_sip(incoming("a"))
    await desk.settle()
    assert desk.verbs == [("answer", "a")]
    assert desk.registry.open_sessions == 1
    desk.registry.on_sip(hung_up("a"))
    await desk.settle()
    assert desk.registry.open_sessions == 0
    assert desk.around.media.of(m.CloseLeg)


@pytest.mark.parametrize(
    ("user", "offer", "status"),
    [("nobody", PHONE_SDP, "404"), ("echo", b"rubbish", "400"), ("echo", T38, "488"), ("bug", PHONE_SDP, "500")],
)
async def test_a_call_that_cannot_be_served_is_refused(desk: Desk, user: str, offer: bytes, status: str) -> None:
    desk.registry.on_sip(incoming("a", user, offer))
    await desk.settle()
    assert desk.verbs == [("reject", "a", status)]
    assert desk.registry.open_sessions == 0


async def test_the_call_after_the_last_one_that_fits_is_told_when_to_try_again(desk: Desk) -> None:
    for name in ("a", "b", "c"):
        desk.registry.on_sip(incoming(name))
    await desk.settle()
    assert desk.verbs[0] == ("reject", "c", "503")
    assert desk.around.signalling.headers == [("Retry-After", "30")]
    assert desk.registry.counters["refused_max_calls"] == 1
    await desk.registry.end_all("test", 5.0)
    assert desk.registry.open_sessions == 0


async def test_with_a_full_disk_no_call_is_taken(tmp_path: Path) -> None:
    desk = Desk(tmp_path, RegistryRules(max_calls=2, min_free_bytes=2**62))
    desk.registry.on_sip(incoming("a"))
    assert desk.verbs == [("reject", "a", "503")]


async def test_a_call_that_the_engines_have_no_time_for_is_told_when_to_try_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, RegistryRules(4, 0, why_no_room=lambda calls: "engines_busy" if calls else None))
    for name in ("a", "b"):
        desk.registry.on_sip(incoming(name))
    await desk.settle()
    assert desk.verbs[0] == ("reject", "b", "503")
    assert desk.around.signalling.headers == [("Retry-After", "30")]
    assert desk.registry.counters["refused_engines_busy"] == 1
    await desk.registry.end_all("test", 5.0)


async def test_every_session_is_told_what_the_engines_give_up(desk: Desk) -> None:
    told: list[tuple[str, object]] = []
    published = desk.around.world.bus.publish

    def listen(event: SessionEvent) -> None:
        if isinstance(event, Noted) and event.kind.startswith("engines."):
            told.append((event.kind, event.fields["given_up"]))
        published(event)

    desk.around.world.bus.publish = listen  # type: ignore[method-assign]
    for name in ("a", "b"):
        desk.registry.on_sip(incoming(name))
    await desk.settle()
    for given_up in ("smaller", "all"):
        desk.registry.engines_stepped(given_up)
    assert told == [("engines.busy", "smaller")] * 2 + [("engines.calm", "all")] * 2
    await desk.registry.end_all("test", 5.0)


async def test_without_a_free_port_the_call_is_refused(desk: Desk) -> None:
    desk.around.media.full = True
    desk.registry.on_sip(incoming("a"))
    await desk.settle()
    assert desk.verbs[0] == ("reject", "a", "503")
    assert desk.registry.open_sessions == 0


async def test_draining_lets_live_calls_finish_and_takes_no_new_ones(desk: Desk) -> None:
    desk.registry.on_sip(incoming("a"))
    await desk.settle()
    drained = asyncio.create_task(desk.registry.drain(5.0))
    await desk.settle()
    desk.registry.on_sip(incoming("b"))
    assert desk.verbs[-1] == ("reject", "b", "503")
    assert not drained.done()
    desk.registry.on_sip(hung_up("a"))
    assert await drained


async def test_a_mistake_of_ours_ends_its_call_and_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        desk.registry.on_sip(incoming(name))
    await desk.settle()
    first, second = (remote.leg_id for remote in desk.around.media.of(m.OpenLeg))
    desk.registry.on_media(m.Dtmf(first, "1", 100, None))  # type: ignore[arg-type]
    await desk.settle()
    assert desk.registry.open_sessions == 1
    assert ("hangup", "a") in desk.verbs
    assert ("hangup", "b") not in desk.verbs
    assert desk.registry.counters["bugs"] == 1
    assert second != first
    await desk.registry.end_all("test", 5.0)


async def test_events_about_nobody_are_counted(desk: Desk) -> None:
    desk.registry.on_sip(hung_up("ghost"))
    desk.registry.on_media(m.RtpLost("sess_ghost/customer", 30_000))
    assert desk.registry.counters["sip_event_without_leg"] == 1


async def test_a_call_that_replaces_another_goes_on_in_its_leg(desk: Desk) -> None:
    desk.registry.on_sip(incoming("old"))
    await desk.settle()
    desk.registry.on_sip(replace(incoming("new"), replaces="old"))
    desk.registry.on_sip(hung_up("old"))
    await desk.settle()
    assert desk.verbs == [("answer", "old"), ("answer", "new")]
    assert desk.registry.open_sessions == 1
    desk.registry.on_sip(hung_up("new"))
    await desk.settle()
    assert desk.registry.open_sessions == 0


async def test_what_cannot_be_replaced_is_refused(desk: Desk) -> None:
    desk.registry.on_sip(replace(incoming("new"), replaces="gone"))
    desk.registry.on_sip(incoming("old"))
    await desk.settle()
    desk.registry.on_sip(replace(incoming("two"), replaces="old", offer=b"rubbish"))
    assert [verb for verb in desk.verbs if verb[0] == "reject"] == [("reject", "new", "481"), ("reject", "two", "400")]
    desk.registry.on_sip(hung_up("old"))
    await desk.settle()


async def test_without_its_folder_the_server_says_503_and_lives(tmp_path: Path) -> None:
    """data_dir was unmounted, or removed by somebody."""
    desk = Desk(tmp_path / "data", RegistryRules(max_calls=2, min_free_bytes=0))
    shutil.rmtree(desk.around.world.sessions_dir, ignore_errors=True)
    desk.registry.on_sip(incoming("a"))
    assert desk.verbs == [("reject", "a", "503")]
    assert desk.registry.why_full() == "storage"
    assert desk.registry.counters["bugs"] == 0
