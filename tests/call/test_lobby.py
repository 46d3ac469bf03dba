"""Sessions that clients make: whoever comes, by SIP or by a WebSocket, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call import events as e
from kallglot_media.call.bridge import BridgeRules
from kallglot_media.call.dialling import DialFailed, PartyBusy
from kallglot_media.call.lobby import Dialling, Lobby, NoRoom, NoSuchSession
from kallglot_media.call.registry import Registry, RegistryRules
from kallglot_media.call.room import RoomRules, StreamTaken
from kallglot_media.call.world import EndReason, SessionFacts
from kallglot_media.config.announcements import Announcements
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import ASSISTIVE_TRANSLATION, BIDIRECTIONAL_TRANSLATION, Party
from kallglot_media.sip.events import IncomingCall, Peer, SipEvent
from kallglot_media.sip.message import Request
from kallglot_media.sip.parser import parse_message
from tests.support.call_world import PHONE_SDP, TestWorld, answered, failed, hung_up

C, A = Party.CUSTOMER, Party.AGENT
ROOM = "sess_01JZ"
RULES = RoomRules(
    plan=BIDIRECTIONAL_TRANSLATION,
    gains=m.Gains(),
    segment=SegmentRules(),
    languages={C: "de", A: "en"},
    voices={},
    agent=None,
    number=None,
    caller="sip:kallglot@192.0.2.10",
    headers=(),
    ring_s=30.0,
    max_call_s=3600.0,
    idle_s=1800.0,
    rejoin_s=30.0,
)
GOODBYE = (EndReason.COMPLETED, "the client closed its connection")
TO = Dialling("sip:bob@192.0.2.30", "sip:kallglot@192.0.2.10", None, (), 30.0)


def invite(call: str, user: str, *, uri_parameters: str = "", headers: str = "") -> IncomingCall:
    raw = (
        f"INVITE sip:{user}@192.0.2.10{uri_parameters} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK{call}\r\n"
        f"From: <sip:me@192.0.2.20>;tag=1\r\nTo: <sip:{user}@192.0.2.10>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n"
        f"Max-Forwards: 70\r\n{headers}Content-Length: 0\r\n\r\n"
    )
    request = parse_message(raw.encode())
    assert isinstance(request, Request)
    return IncomingCall(call, request, Peer("udp", "192.0.2.20", 5060), PHONE_SDP)


class House:
    """A lobby over pretend signalling, media and engines."""

    def __init__(self, folder: Path) -> None:
        self.around = TestWorld(folder)
        self.folder = folder
        self.registry = Registry(
            lambda bind: replace(self.around.world, bind=bind), RegistryRules(4, 0), lambda called, call: None
        )
        self.around.media.on_event = self.registry.on_media
        self.lobby = Lobby(self.registry)
        self.events: list[e.SessionEvent] = []
        self.around.world.bus.listen(self.events.append)

    def create(self, rules: RoomRules = RULES, session_id: str = ROOM, *, keep: bool = True) -> None:
        facts = SessionFacts("bidirectional_translation", "de", "en", called=rules.number or "", keep=keep)
        self.lobby.create(session_id, facts, rules)

    async def sip(self, event: SipEvent) -> None:
        self.registry.on_sip(event)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(100):
            await asyncio.sleep(0)

    def told(self, kind: type[e.SessionEvent]) -> list[e.SessionEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def verbs(self) -> list[tuple[str, ...]]:
        return self.around.signalling.verbs

    @property
    def ended(self) -> e.SessionEnded | None:
        return next((event for event in self.events if isinstance(event, e.SessionEnded)), None)


@pytest.fixture(name="house")
async def _house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    house.lobby.end_all("the test is over")
    await house.registry.end_all("the test is over", 1.0)


# ── made and ended ───────────────────────────────────────────────────────────────


async def test_a_session_that_nobody_comes_to_costs_no_folder_and_ends_when_it_is_told(house: House) -> None:
    house.create()
    assert house.lobby.waiting == 1
    assert house.lobby.end(ROOM, EndReason.EXPLICIT_END, "asked by the client")
    assert house.ended == e.SessionEnded(ROOM, "explicit_end", "asked by the client", started=False, duration_ms=0)
    assert not list(house.folder.iterdir())
    assert not house.lobby.end(ROOM, EndReason.EXPLICIT_END, "again")
    with pytest.raises(NoSuchSession):
        house.lobby.session(ROOM)


async def test_a_session_that_nobody_comes_to_ends_by_itself(house: House) -> None:
    house.create(replace(RULES, idle_s=0.0))
    await asyncio.sleep(0.01)
    assert house.ended is not None
    assert (house.ended.reason, house.lobby.waiting) == ("timeout", 0)


async def test_no_session_is_made_while_the_server_drains(house: House) -> None:
    house.registry.draining = True
    with pytest.raises(NoRoom, match="draining") as refused:
        house.create()
    assert refused.value.retry_after_s > 0


async def test_sessions_that_wait_hold_no_place_and_nobody_enters_one_where_there_is_none(house: House) -> None:
    for number in range(5):
        house.create(session_id=f"{ROOM}{number}")
    for number in range(4):
        house.lobby.connect_stream(f"{ROOM}{number}")
    with pytest.raises(NoRoom, match="max_calls") as refused:
        house.lobby.connect_stream(f"{ROOM}4")
    assert refused.value.retry_after_s > 0
    await house.sip(invite("one", f"{ROOM}4"))
    assert house.verbs == [("reject", "one", "503")]
    with pytest.raises(NoRoom):
        await house.lobby.dial(f"{ROOM}4", C, TO)
    house.lobby.end(f"{ROOM}0", EndReason.EXPLICIT_END, "asked by the client")
    await house.settle()
    assert house.lobby.connect_stream(f"{ROOM}4"), "it waited on"


async def test_while_the_server_drains_a_client_may_come_back_and_no_session_begins(house: House) -> None:
    house.create()
    house.create(session_id=f"{ROOM}1")
    legs = house.lobby.connect_stream(ROOM)
    house.registry.draining = True
    with pytest.raises(NoRoom, match="draining"):
        house.lobby.connect_stream(f"{ROOM}1")
    house.lobby.release_stream(ROOM, legs, over=None)
    assert house.lobby.connect_stream(ROOM) == legs


# ── by WebSocket alone ───────────────────────────────────────────────────────────


async def test_both_parties_on_one_socket_are_interpreted_at_once(house: House) -> None:
    house.create()
    legs = house.lobby.connect_stream(ROOM, (C, A))
    await house.settle()
    assert house.around.media.of(m.SetPlan)[-1].plan == BIDIRECTIONAL_TRANSLATION
    assert {listen.leg_id for listen in house.around.media.of(m.Listen)} == {f"{ROOM}/customer", f"{ROOM}/agent"}
    assert house.told(e.SessionStarted) == [e.SessionStarted(ROOM, "websocket")]
    legs[C].hear(b"\x55" * 160)
    assert house.around.media.of(m.StreamAudioIn) == [m.StreamAudioIn(f"{ROOM}/customer", b"\x55" * 160)]


async def test_what_a_party_is_to_hear_reaches_its_socket(house: House) -> None:
    house.create()
    heard: list[tuple[Party, int, bytes]] = []
    for leg in house.lobby.connect_stream(ROOM, (C, A)).values():
        leg.on_sound = lambda leg, first_sample, sound: heard.append((leg.party, first_sample, sound))
    await house.settle()
    house.registry.on_media(m.StreamAudioOut(f"{ROOM}/agent", 800, b"sound"))
    assert heard == [(A, 800, b"sound")]


async def test_a_second_client_cannot_take_the_sound_and_a_broken_one_may_come_back(house: House) -> None:
    house.create()
    first = house.lobby.connect_stream(ROOM, (C, A))
    with pytest.raises(StreamTaken):
        house.lobby.connect_stream(ROOM, (C, A))
    house.lobby.release_stream(ROOM, first, over=None)
    assert house.lobby.connect_stream(ROOM) == first
    await house.settle()
    assert house.ended is None


async def test_a_client_that_says_goodbye_ends_the_session(house: House) -> None:
    house.create()
    legs = house.lobby.connect_stream(ROOM, (C, A))
    await house.settle()
    house.lobby.release_stream(ROOM, legs, over=GOODBYE)
    await house.settle()
    assert house.ended is not None
    assert house.ended.reason == "completed"


async def test_a_client_that_does_not_come_back_ends_the_session(house: House) -> None:
    house.create(replace(RULES, rejoin_s=0.0))
    legs = house.lobby.connect_stream(ROOM, (C, A))
    await house.settle()
    house.lobby.release_stream(ROOM, legs, over=None)
    await asyncio.sleep(0.01)
    await house.settle()
    assert house.ended is not None
    assert (house.ended.reason, "did not come back" in house.ended.detail) == ("timeout", True)


async def test_each_party_may_have_a_client_of_its_own(house: House) -> None:
    house.create()
    customer = house.lobby.connect_stream(ROOM, [C])
    await house.settle()
    assert not house.told(e.SessionStarted)
    with pytest.raises(StreamTaken, match="customer"):
        house.lobby.connect_stream(ROOM, [C])
    agent = house.lobby.connect_stream(ROOM)
    assert set(agent) == {A}, "who says nothing gets what is free"
    with pytest.raises(StreamTaken):
        house.lobby.connect_stream(ROOM)
    await house.settle()
    assert house.told(e.SessionStarted)
    house.lobby.release_stream(ROOM, customer, over=GOODBYE)
    await house.settle()
    assert house.ended is not None
    assert house.ended.reason == "customer_hangup"


async def test_a_client_cannot_have_the_seat_of_a_phone_and_its_old_seat_is_no_longer_its_own(house: House) -> None:
    house.create()
    legs = house.lobby.connect_stream(ROOM)
    await house.settle()
    await house.sip(invite("one", ROOM))
    house.lobby.release_stream(ROOM, legs, over=None)
    with pytest.raises(StreamTaken, match="customer"):
        house.lobby.connect_stream(ROOM, [C])
    assert set(house.lobby.connect_stream(ROOM)) == {A}


async def test_nobody_hears_for_a_client_that_is_away(house: House) -> None:
    house.create()
    legs = house.lobby.connect_stream(ROOM)
    heard: list[bytes] = []
    legs[A].on_sound = lambda leg, first_sample, sound: heard.append(sound)
    house.lobby.release_stream(ROOM, legs, over=None)
    house.registry.on_media(m.StreamAudioOut(f"{ROOM}/agent", 800, b"sound"))
    assert not heard


# ── by SIP ───────────────────────────────────────────────────────────────────────


async def test_a_call_to_the_sessions_name_is_the_customer_and_the_next_one_the_agent(house: House) -> None:
    house.create()
    await house.sip(invite("one", ROOM))
    assert house.around.media.of(m.PlayTone) == [m.PlayTone(f"{ROOM}/customer", "ringback")]
    assert not house.told(e.SessionStarted)
    await house.sip(invite("two", ROOM.lower()))  # a PBX that writes user parts small
    assert house.verbs == [("answer", "one"), ("answer", "two")]
    assert house.told(e.SessionStarted)
    await house.sip(invite("three", ROOM))
    assert house.verbs[-1] == ("reject", "three", "486")
    await house.sip(hung_up("two"))
    assert house.ended is not None
    assert house.ended.reason == "agent_hangup"
    assert ("hangup", "one") in house.verbs


@pytest.mark.parametrize(
    ("uri_parameters", "headers"), [(";role=agent", ""), ("", "X-Kallglot-Role: agent\r\n")], ids=["uri", "header"]
)
async def test_a_call_may_say_whom_it_stands_for(house: House, uri_parameters: str, headers: str) -> None:
    house.create()
    await house.sip(invite("one", ROOM, uri_parameters=uri_parameters, headers=headers))
    assert [leg.party for leg in house.told(e.LegConnected) if isinstance(leg, e.LegConnected)] == [A]


async def test_a_call_to_no_session_gets_404_and_one_without_a_port_503(house: House) -> None:
    await house.sip(invite("one", "sess_0NOWHERE"))
    house.create()
    house.around.media.full = True
    await house.sip(invite("two", ROOM))
    assert house.verbs == [("reject", "one", "404"), ("reject", "two", "503")]
    house.around.media.full = False
    await house.sip(invite("three", ROOM))
    assert house.verbs[-1] == ("answer", "three"), "the session lives on"


async def test_the_next_call_to_a_number_is_the_sessions_that_waits_for_it(house: House) -> None:
    house.create(replace(RULES, number="+4930123"))
    await house.sip(invite("one", "+4930123"))
    await house.sip(invite("two", "+4930123"))
    assert house.verbs == [("answer", "one"), ("reject", "two", "404")]


async def test_a_customer_who_finds_nobody_is_put_through_to_the_agent_of_the_mode_file(house: House) -> None:
    bridge = BridgeRules(
        agent_to="sip:agent@192.0.2.30", agent_from="sip:me@192.0.2.10", credentials=None, max_forwards=69, ring_s=30.0,
        answer_at_once=False, max_call_s=60.0, plan=ASSISTIVE_TRANSLATION, gains=m.Gains(), segment=SegmentRules(),
        languages={C: "de", A: "en"}, voices={}, announcements=Announcements(),
    )  # fmt: skip
    house.create(replace(RULES, agent=lambda incoming: bridge))
    await house.sip(invite("one", ROOM))
    assert house.verbs == [("dial", "sip:agent@192.0.2.30", "sip:me@192.0.2.10")]
    await house.sip(answered())
    assert house.verbs[-1] == ("answer", "one")
    await house.sip(hung_up("one"))
    assert house.ended is not None
    assert house.ended.reason == "customer_hangup"


async def test_mixed_the_agent_on_a_socket_and_the_customer_by_sip(house: House) -> None:
    house.create()
    legs = house.lobby.connect_stream(ROOM, (C, A))
    await house.settle()
    legs[A].hear(b"\xff" * 160)
    await house.sip(invite("one", ROOM))
    assert house.verbs == [("answer", "one")], "the customer's place was held by a silent stream"
    assert legs[C].ended.done()
    assert not legs[A].ended.done()
    legs[C].hear(b"\x00" * 160)
    assert len(house.around.media.of(m.StreamAudioIn)) == 1
    assert {listen.leg_id for listen in house.around.media.of(m.Listen)} >= {f"{ROOM}/customer.2"}


# ── dialled, dropped, transferred ────────────────────────────────────────────────


async def dialled(house: House, party: Party, outcome: SipEvent) -> None:
    dialling = asyncio.create_task(house.lobby.dial(ROOM, party, TO))
    await house.settle()
    house.registry.on_sip(outcome)
    await dialling


async def test_a_party_is_dialled_and_a_busy_one_leaves_the_session_waiting(house: House) -> None:
    house.create()
    with pytest.raises(DialFailed) as refused:
        await dialled(house, C, failed(486))
    assert refused.value.status == 486
    assert house.ended is None
    await dialled(house, C, answered())
    with pytest.raises(PartyBusy):
        await house.lobby.dial(ROOM, C, TO)
    told = [event for event in house.events if isinstance(event, e.LegConnected | e.LegDisconnected)]
    assert [type(event) for event in told] == [e.LegDisconnected, e.LegConnected]


async def test_an_unanswered_call_is_given_up(house: House) -> None:
    house.create()
    with pytest.raises(DialFailed) as refused:
        await house.lobby.dial(ROOM, C, replace(TO, ring_s=0.0))
    assert refused.value.status == 408
    assert ("hangup", "agent-call") in house.verbs


async def test_one_party_is_dropped_and_the_session_stays(house: House) -> None:
    house.create()
    await house.sip(invite("one", ROOM))
    await house.sip(invite("two", ROOM))
    house.lobby.hang_up(ROOM, A)
    await house.settle()
    assert ("hangup", "two") in house.verbs
    assert house.ended is None
    with pytest.raises(PartyBusy):
        house.lobby.hang_up(ROOM, A)
    await house.sip(invite("three", ROOM))
    assert house.verbs[-1] == ("answer", "three")
    assert house.around.media.of(m.Listen)[-1].leg_id == f"{ROOM}/agent.2"
    assert len(house.told(e.SessionStarted)) == 1


async def test_a_transfer_drops_the_old_agent_when_the_new_one_has_answered(house: House) -> None:
    house.create()
    await house.sip(invite("one", ROOM))
    await house.sip(invite("two", ROOM))
    transfer = asyncio.create_task(house.lobby.transfer(ROOM, A, TO))
    await house.settle()
    assert ("hangup", "two") not in house.verbs
    assert house.around.media.of(m.PlayTone)[-1] == m.PlayTone(f"{ROOM}/customer", "ringback")
    await house.sip(answered())
    await transfer
    assert ("hangup", "two") in house.verbs
    assert house.ended is None
    await house.sip(hung_up("agent-call"))
    assert house.ended is not None
    assert house.ended.reason == "agent_hangup"


async def test_a_transfer_that_fails_leaves_the_old_agent(house: House) -> None:
    house.create()
    await house.sip(invite("one", ROOM))
    await house.sip(invite("two", ROOM))
    transfer = asyncio.create_task(house.lobby.transfer(ROOM, A, TO))
    await house.settle()
    await house.sip(failed(404))
    with pytest.raises(DialFailed):
        await transfer
    assert house.ended is None
    await house.sip(hung_up("two"))
    assert house.ended is not None
    assert house.ended.reason == "agent_hangup"


async def test_ending_a_session_ends_what_is_being_dialled(house: House) -> None:
    house.create()
    dialling = asyncio.create_task(house.lobby.dial(ROOM, C, TO))
    await house.settle()
    house.lobby.end(ROOM, EndReason.EXPLICIT_END, "asked by the client")
    with pytest.raises(DialFailed) as refused:
        await dialling
    await house.settle()
    assert refused.value.status == 487
    assert ("hangup", "agent-call") in house.verbs
    assert house.ended is not None
    assert house.ended.reason == "explicit_end"


# ── languages that nobody named ──────────────────────────────────────────────────


async def test_languages_left_out_are_found_out_from_what_is_said(house: House) -> None:
    house.create(replace(RULES, languages={C: None, A: None}))
    house.around.engines.heard = {4000: ("Guten Tag.", "de"), 4160: ("Good morning.", "en")}
    house.lobby.connect_stream(ROOM, (C, A))
    await house.settle()
    for party, samples in ((C, 4000), (A, 4160), (C, 4000)):
        pcm = np.zeros(samples, dtype=np.int16).tobytes()
        house.registry.on_media(m.Utterance(f"{ROOM}/{party}", pcm, 8000, 0, samples, "silence"))
        await house.settle()
    turns = [event.turn for event in house.events if isinstance(event, e.FinalTranscript)]
    assert [turn.translation.language if turn.translation else None for turn in turns] == [None, "de", "en"]


async def test_in_assistive_mode_the_agent_reads_and_the_customer_hears(house: House) -> None:
    house.create(replace(RULES, plan=ASSISTIVE_TRANSLATION))
    house.around.engines.heard = {4000: ("Guten Tag.", "de"), 4160: ("Good morning.", "en")}
    house.lobby.connect_stream(ROOM, (C, A))
    await house.settle()
    for party, samples in ((C, 4000), (A, 4160)):
        pcm = np.zeros(samples, dtype=np.int16).tobytes()
        house.registry.on_media(m.Utterance(f"{ROOM}/{party}", pcm, 8000, 0, samples, "silence"))
        await house.settle()
    turns = [event.turn for event in house.events if isinstance(event, e.FinalTranscript)]
    assert [turn.translation.language if turn.translation else None for turn in turns] == ["en", "de"]
    assert [play.leg_id for play in house.around.media.of(m.Play)] == [f"{ROOM}/customer"]
