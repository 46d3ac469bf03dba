"""One party's connection: offers, answers, hold, and answers that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kallglot_media.call.leg import Leg, LegState
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party
from kallglot_media.sdp.offer import make_offer
from kallglot_media.sdp.types import MediaAbility, SdpError
from kallglot_media.sip.events import (
    CallConfirmed,
    CallFailed,
    EndedBy,
    KeyPressed,
    MediaOffered,
    MessageReceived,
    OfferAnswered,
    OfferFailed,
    Peer,
    ProgressConfirmed,
)
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.uri import Uri
from tests.support.call_world import PHONE_SDP, TestWorld, answered, hung_up, progress

REINVITE = Request("INVITE", Uri.parse("sip:support@192.0.2.10"), Headers())


async def a_leg(folder: Path) -> tuple[TestWorld, Leg]:
    world = TestWorld(folder)
    leg = world.session().new_leg(Party.CUSTOMER)
    leg.take_call("customer-call", Peer("udp", "192.0.2.20", 5060))
    await leg.open()
    return world, leg


def offered(sdp: bytes | None) -> MediaOffered:
    return MediaOffered("customer-call", REINVITE, sdp)


def reoffered(sdp: bytes) -> OfferAnswered:
    return OfferAnswered("customer-call", Response(200, "OK", Headers()), sdp)


async def test_an_offer_is_answered_and_rtp_goes_where_it_says(tmp_path: Path) -> None:
    world, leg = await a_leg(tmp_path)
    assert b"m=audio 20002 RTP/AVP 0" in leg.take_offer(PHONE_SDP)
    (remote,) = world.media.of(m.SetRemote)
    assert (remote.host, remote.port, remote.codec, remote.send, remote.receive) == (
        "192.0.2.20",
        4000,
        "PCMU",
        True,
        True,
    )


async def test_what_was_on_its_way_when_we_hung_up_changes_nothing(tmp_path: Path) -> None:
    """SIP events come one loop turn late: an answer or a re-INVITE may arrive at a leg whose port is given back."""
    world, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    states: list[LegState] = []
    leg.on_change = lambda changed: states.append(changed.state)
    leg.hang_up("no answer")
    leg.close_media()
    before = len(world.media.of(m.SetRemote))
    leg.on_sip(offered(PHONE_SDP))
    leg.on_sip(offered(None))
    leg.on_sip(progress(183, PHONE_SDP))
    leg.on_sip(answered(PHONE_SDP))
    assert len(world.media.of(m.SetRemote)) == before
    assert states == [LegState.ENDED]
    outcome = leg.outcome.result()
    assert isinstance(outcome, CallFailed)
    assert outcome.status == 487, "whoever waits for an answer is told that there is none"


async def test_hold_and_resume_change_who_sends(tmp_path: Path) -> None:
    world, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.on_sip(offered(PHONE_SDP.replace(b"a=sendrecv", b"a=sendonly")))
    leg.on_sip(offered(PHONE_SDP))
    directions = [(remote.send, remote.receive) for remote in world.media.of(m.SetRemote)]
    assert directions == [(True, True), (False, True), (True, True)]
    assert world.signalling.verbs == [("answer_offer", "customer-call")] * 2


async def test_an_offer_that_cannot_be_done_leaves_the_call_as_it_was(tmp_path: Path) -> None:
    world, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    t38 = b"v=0\r\no=- 1 2 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=image 4002 udptl t38\r\n"
    leg.on_sip(offered(t38))
    leg.on_sip(offered(b"rubbish"))
    assert [verb[0::2] for verb in world.signalling.verbs] == [("refuse_offer", "488"), ("refuse_offer", "400")]
    assert all(name == "Warning" for name, _ in world.signalling.headers)
    assert len(world.media.of(m.SetRemote)) == 1
    assert not leg.ended.done()


async def test_an_invite_without_offer_gets_ours_and_its_ack_the_answer(tmp_path: Path) -> None:
    world, leg = await a_leg(tmp_path)
    assert b"m=audio 20002" in leg.take_offer(None)
    leg.answered_by_us()
    assert world.media.of(m.SetRemote) == []
    leg.on_sip(CallConfirmed("customer-call", PHONE_SDP))
    assert [remote.port for remote in world.media.of(m.SetRemote)] == [4000]


async def test_an_ack_without_the_answer_ends_the_call(tmp_path: Path) -> None:
    world, leg = await a_leg(tmp_path)
    leg.take_offer(None)
    leg.answered_by_us()
    leg.on_sip(CallConfirmed("customer-call", None))
    assert world.signalling.verbs == [("hangup", "customer-call")]
    assert leg.ended.result().by is EndedBy.LOCAL


async def test_an_empty_reinvite_gets_an_offer(tmp_path: Path) -> None:
    world, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.on_sip(offered(None))
    leg.on_sip(CallConfirmed("customer-call", make_offer(MediaAbility("192.0.2.20", 4444))))
    assert world.media.of(m.SetRemote)[-1].port == 4444


async def test_a_broken_provisional_answer_costs_early_media_only(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    leg = world.session().new_leg(Party.AGENT)
    await leg.open()
    await leg.dial("sip:agent@192.0.2.30", "sip:us@192.0.2.10")
    leg.on_sip(progress(183, b"rubbish"))
    assert not leg.has_early_media
    assert leg.state is LegState.EARLY


async def test_hanging_up_twice_says_bye_once(tmp_path: Path) -> None:
    world, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.answered_by_us()
    leg.on_sip(hung_up("customer-call"))
    leg.hang_up()
    assert world.signalling.verbs == []
    assert leg.ended.result().by is EndedBy.REMOTE


async def test_we_hold_and_resume(tmp_path: Path) -> None:
    world, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.hold()  # not before the call is answered
    leg.answered_by_us()
    leg.hold()
    leg.hold()
    assert world.signalling.verbs == [("reoffer", "customer-call", "sendonly")]
    leg.on_sip(reoffered(PHONE_SDP.replace(b"a=sendrecv", b"a=recvonly")))
    remote = world.media.of(m.SetRemote)[-1]
    assert (leg.held, remote.send, remote.receive) == (True, True, False)
    leg.resume()
    leg.on_sip(reoffered(PHONE_SDP))
    remote = world.media.of(m.SetRemote)[-1]
    assert (leg.held, remote.send, remote.receive) == (False, True, True)


async def test_a_hold_that_is_refused_is_none(tmp_path: Path) -> None:
    _, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.answered_by_us()
    leg.hold()
    leg.on_sip(OfferFailed("customer-call", 488, "no"))
    assert not leg.held
    assert not leg.ended.done()


async def test_both_hold(tmp_path: Path) -> None:
    """RFC 3264 8.4: to an offer of sendonly, one who will not listen either answers inactive."""
    world, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.answered_by_us()
    leg.hold()
    leg.on_sip(reoffered(PHONE_SDP.replace(b"a=sendrecv", b"a=recvonly")))
    leg.on_sip(offered(PHONE_SDP.replace(b"a=sendrecv", b"a=sendonly")))
    remote = world.media.of(m.SetRemote)[-1]
    assert (remote.send, remote.receive) == (False, False)
    assert leg.peer_holds


async def test_a_refresh_that_brings_another_address(tmp_path: Path) -> None:
    """What we offered again was our answer to the peer's first offer."""
    world, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.answered_by_us()
    leg.on_sip(reoffered(make_offer(MediaAbility("192.0.2.20", 4444))))
    assert world.media.of(m.SetRemote)[-1].port == 4444


async def test_our_offer_in_a_183_is_answered_by_the_prack(tmp_path: Path) -> None:
    world, leg = await a_leg(tmp_path)
    leg.take_offer(None)
    leg.on_sip(ProgressConfirmed("customer-call", PHONE_SDP))
    leg.answered_by_us()
    leg.on_sip(CallConfirmed("customer-call", None))
    assert world.media.of(m.SetRemote)[-1].port == 4000
    assert not leg.ended.done()


async def test_another_call_takes_the_place_of_ours(tmp_path: Path) -> None:
    """The end of an attended transfer (RFC 3891): same port, new peer; the old call's end is none of the leg."""
    world, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.answered_by_us()
    with pytest.raises(SdpError):
        leg.take_over("broken-call", Peer("udp", "192.0.2.21", 5060), b"rubbish", 8)
    assert leg.sip_call == "customer-call"
    new = make_offer(MediaAbility("192.0.2.77", 7000))
    assert b"m=audio 20002" in leg.take_over("new-call", Peer("udp", "192.0.2.21", 5060), new, 9)
    assert (world.calls["new-call"], leg.sip_call) == (leg, "new-call")
    leg.on_sip(hung_up("customer-call"))
    assert not leg.ended.done()
    assert world.media.of(m.SetRemote)[-1].host == "192.0.2.77"
    leg.on_sip(hung_up("new-call"))
    assert leg.ended.done()


@pytest.mark.parametrize(
    ("content_type", "body", "typed"),
    [
        ("text/plain", b"Where is my order?", ["Where is my order?"]),
        ("Text/Plain; charset=utf-8", "Größe?\r\n".encode(), ["Größe?"]),
        ("text/plain", b"  ", []),
        ("application/im-iscomposing+xml", b"<isComposing/>", []),
    ],
)
async def test_a_message_of_the_customers_phone_is_chat(
    tmp_path: Path, content_type: str, body: bytes, typed: list[str]
) -> None:
    """RFC 3428: while an AI answers."""
    _, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    came: list[str] = []
    leg.on_words = lambda leg, text: came.append(text) if text else None
    leg.on_sip(message("customer-call", content_type, body))
    assert came == typed


async def test_a_message_that_nobody_takes_is_told_without_its_words(tmp_path: Path) -> None:
    _, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.on_sip(message("customer-call", "text/plain", b"my card number"))
    lines = (tmp_path / "sess_1" / "events.jsonl").read_text()
    assert '"message.not_taken"' in lines
    assert "card" not in lines


def message(call: str, content_type: str, body: bytes) -> MessageReceived:
    request = Request("MESSAGE", Uri.parse("sip:support@192.0.2.10"), Headers(), body)
    return MessageReceived(call, request, Peer("udp", "192.0.2.20", 5060), content_type, body)


async def test_a_key_that_came_as_info_is_written_down_as_others_are(tmp_path: Path) -> None:
    _, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.on_sip(KeyPressed("customer-call", "7", 160))
    lines = (tmp_path / "sess_1" / "events.jsonl").read_text().splitlines()
    keys = [event for event in map(json.loads, lines) if event["type"] == "dtmf"]
    assert [(event["speaker"], event["digit"]) for event in keys] == [("customer", "7")]


WITHOUT_EVENTS = make_offer(MediaAbility("192.0.2.30", 5000, dtmf_payload_type=None))


@pytest.mark.parametrize(("agents_sdp", "by_info"), [(PHONE_SDP, False), (WITHOUT_EVENTS, True)])
async def test_keys_are_passed_on_to_the_other_party_as_it_takes_them(
    tmp_path: Path, agents_sdp: bytes, by_info: bool
) -> None:
    world = TestWorld(tmp_path)
    session = world.session()
    customer, _ = await world.customer(session)
    agent = session.new_leg(Party.AGENT)
    await agent.open()
    await agent.dial("sip:agent@192.0.2.30", "sip:us@192.0.2.10")
    session.key_pressed(Party.CUSTOMER, "1")  # nobody has answered yet
    agent.on_sip(answered(agents_sdp))
    customer.answered_by_us()
    session.key_pressed(Party.CUSTOMER, "2")
    sent = [(key.leg_id, key.digits) for key in world.media.of(m.SendDtmf)]
    told = [verb for verb in world.signalling.verbs if verb[0] == "press_key"]
    assert sent == ([] if by_info else [("sess_1/agent", "2")])
    assert told == ([("press_key", "agent-call", "2")] if by_info else [])


async def test_a_key_does_not_come_back_to_who_pressed_it(tmp_path: Path) -> None:
    world, leg = await a_leg(tmp_path)
    leg.take_offer(PHONE_SDP)
    leg.answered_by_us()
    leg.on_sip(KeyPressed("customer-call", "7", 160))
    assert world.media.of(m.SendDtmf) == []
