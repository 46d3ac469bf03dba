"""A customer, an agent, and everything that can come between them. No sockets, no sleeping."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.bridge import Bridge, BridgeRules
from kallglot_media.call.leg import Leg
from kallglot_media.call.session import Session
from kallglot_media.call.transferring import AgentTarget
from kallglot_media.call.world import EndReason
from kallglot_media.config.announcements import BUSY, Announcements
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, Party, Words
from kallglot_media.sip.events import CallAnswered, CallFailed
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Response
from tests.support.call_world import PHONE_SDP, TestWorld, answered, failed, hung_up, progress, utterance

RULES = BridgeRules(
    agent_to="sip:agent@192.0.2.30",
    agent_from="sip:interpreter@192.0.2.10",
    credentials=None,
    max_forwards=69,
    ring_s=30.0,
    answer_at_once=False,
    max_call_s=3600.0,
    plan=BIDIRECTIONAL_TRANSLATION,
    gains=m.Gains(),
    segment=SegmentRules(),
    languages={Party.CUSTOMER: "de", Party.AGENT: "en"},
    voices={},
    announcements=Announcements(),
)


class Call:
    """A bridge under way, moved on by what the agent's and the customer's phones do."""

    def __init__(self, world: TestWorld, session: Session, customer: Leg, bridge: Bridge) -> None:
        self.world = world
        self.session = session
        self.customer = customer
        self.task = asyncio.create_task(bridge.run())

    @property
    def agent(self) -> Leg:
        leg = self.session.legs[Party.AGENT]
        assert isinstance(leg, Leg)
        return leg

    @property
    def verbs(self) -> list[tuple[str, ...]]:
        return self.world.signalling.verbs

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def over(self) -> tuple[EndReason, str]:
        outcome = await asyncio.wait_for(self.task, 5)
        await self.session.close(*outcome)
        return outcome


async def start(folder: Path, rules: BridgeRules = RULES, *, world: TestWorld | None = None) -> Call:
    world = world or TestWorld(folder)
    session = world.session()
    customer, sdp = await world.customer(session)
    call = Call(world, session, customer, Bridge(session, customer, sdp, rules))
    await call.settle()
    return call


async def test_the_customer_rings_until_the_agent_answers(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.agent.on_sip(progress(180))
    assert ("answer", "customer-call") not in call.verbs
    call.agent.on_sip(answered())
    await call.settle()
    assert call.verbs == [
        ("dial", "sip:agent@192.0.2.30", "sip:interpreter@192.0.2.10"),
        ("ring", "customer-call", "180"),
        ("answer", "customer-call"),
    ]
    assert call.world.media.of(m.SetPlan)[-1].plan == BIDIRECTIONAL_TRANSLATION
    assert {listen.leg_id for listen in call.world.media.of(m.Listen)} == {"sess_1/customer", "sess_1/agent"}
    call.customer.on_sip(hung_up("customer-call"))
    assert (await call.over())[0] is EndReason.CUSTOMER_HANGUP
    assert ("hangup", "agent-call") in call.verbs


async def test_each_hears_the_other_made_over(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.world.engines.heard = {4000: ("Guten Tag.", "de"), 4160: ("Good morning.", "en")}
    call.agent.on_sip(answered())
    await call.settle()
    call.session.on_media(utterance(Party.CUSTOMER, 4000))
    await call.settle()
    call.session.on_media(utterance(Party.AGENT, 4160, speech_end_sample=30_000))
    await call.settle()
    plays = call.world.media.of(m.Play)
    assert [play.leg_id for play in plays] == ["sess_1/agent", "sess_1/customer"]
    translations = [asked for asked in call.world.engines.asked if asked[0] == "translate"]
    assert translations == [("translate", "Guten Tag.", "de", "en"), ("translate", "Good morning.", "en", "de")]
    call.agent.on_sip(hung_up("agent-call"))
    assert (await call.over())[0] is EndReason.AGENT_HANGUP
    assert ("hangup", "customer-call") in call.verbs
    assert (tmp_path / "sess_1" / "transcript.txt").read_text().count("→") == 2


async def test_what_was_said_before_hanging_up_is_still_heard(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.world.engines.heard = {4000: ("Auf Wiederhören.", "en")}
    call.agent.on_sip(answered())
    await call.settle()
    call.world.engines.gate = asyncio.Event()
    call.session.on_media(utterance(Party.AGENT, 4000))
    call.agent.on_sip(hung_up("agent-call"))
    await call.settle()
    assert ("hangup", "customer-call") not in call.verbs, "the customer has not heard the goodbye yet"
    call.world.engines.gate.set()
    await call.over()
    assert [play.leg_id for play in call.world.media.of(m.Play)] == ["sess_1/customer"]


async def test_early_media_of_the_agents_side_reaches_the_customer(tmp_path: Path) -> None:
    call = await start(tmp_path)
    early = answered().sdp
    call.agent.on_sip(progress(183, early))
    await call.settle()
    assert call.verbs[-1] == ("ring", "customer-call", "183+sdp")
    plan = call.world.media.of(m.SetPlan)[-1].plan
    assert (plan.words, plan.live) == (Words.NONE, {Party.CUSTOMER: (Party.AGENT,)})
    call.customer.on_sip(hung_up("customer-call"))
    assert (await call.over())[0] is EndReason.CUSTOMER_HANGUP


async def test_answered_at_once_the_customer_hears_it_ring(tmp_path: Path) -> None:
    call = await start(tmp_path, replace(RULES, answer_at_once=True))
    assert call.verbs[0] == ("answer", "customer-call")
    assert call.world.media.of(m.PlayTone) == [m.PlayTone("sess_1/customer", "ringback")]
    call.agent.on_sip(progress(180))
    call.agent.on_sip(answered())
    await call.settle()
    assert call.world.media.of(m.StopTone)
    assert call.verbs.count(("answer", "customer-call")) == 1
    call.customer.on_sip(hung_up("customer-call"))
    await call.over()


@pytest.mark.parametrize("by_customer", [True, False])
async def test_who_is_gone_before_the_welcome_is_over_calls_nobody(tmp_path: Path, by_customer: bool) -> None:
    welcome = Announcements.model_validate({"welcome": {"de": "Willkommen."}})
    world = TestWorld(tmp_path)
    world.media.deaf = True  # the welcome is still being said
    call = await start(tmp_path, replace(RULES, answer_at_once=True, announcements=welcome), world=world)
    assert call.verbs == [("answer", "customer-call")]
    if by_customer:
        call.customer.on_sip(hung_up("customer-call"))
    else:
        call.session.end(EndReason.EXPLICIT_END, "the server stops")
    assert (await call.over())[0] is (EndReason.CUSTOMER_HANGUP if by_customer else EndReason.EXPLICIT_END)
    assert not [verb for verb in call.verbs if verb[0] == "dial"]


@pytest.mark.parametrize(
    ("status", "final", "announcement"),
    [
        (486, 486, "busy"),
        (600, 600, "busy"),
        (480, 480, "no_answer"),
        (603, 603, "unavailable"),
        (503, 480, "unavailable"),
    ],
)
async def test_an_agent_who_cannot_be_had_is_announced(
    tmp_path: Path, status: int, final: int, announcement: str
) -> None:
    call = await start(tmp_path)
    call.agent.on_sip(failed(status))
    reason, detail = await call.over()
    assert reason is EndReason.COMPLETED
    assert call.verbs[-2:] == [("ring", "customer-call", "183+sdp"), ("reject", "customer-call", str(final))]
    assert call.world.signalling.headers == [("Reason", f'SIP;cause={status};text="reason"')]
    said = [asked[1] for asked in call.world.engines.asked if asked[0] == "synthesize"]
    assert said == [Announcements().text(announcement, "de")]
    assert detail.startswith("agent " + announcement.replace("_", " "))


async def test_after_an_answer_the_announcement_is_followed_by_bye(tmp_path: Path) -> None:
    call = await start(tmp_path, replace(RULES, answer_at_once=True))
    call.agent.on_sip(failed(486))
    await call.over()
    assert call.verbs[-1] == ("hangup", "customer-call")
    assert ("synthesize", BUSY["de"], "de", "") in call.world.engines.asked


async def test_an_agent_who_does_not_answer_is_cancelled(tmp_path: Path) -> None:
    call = await start(tmp_path, replace(RULES, ring_s=0.01))
    await call.over()
    assert ("hangup", "agent-call") in call.verbs
    assert call.verbs[-1] == ("reject", "customer-call", "480")


async def test_a_customer_who_gives_up_cancels_the_agent(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.agent.on_sip(progress(180))
    call.customer.on_sip(hung_up("customer-call"))
    assert (await call.over())[0] is EndReason.CUSTOMER_HANGUP
    assert call.verbs[-1] == ("hangup", "agent-call")


async def test_a_destination_without_an_address_is_announced(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    world.signalling.unresolvable = True
    call = await start(tmp_path, world=world)
    await call.over()
    assert call.verbs[-1] == ("reject", "customer-call", "480")


async def test_an_answer_that_cannot_be_used_ends_the_agents_leg(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.agent.on_sip(answered(b"v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"))
    await call.over()
    assert ("hangup", "agent-call") in call.verbs
    assert call.verbs[-1] == ("reject", "customer-call", "480")


async def test_silence_on_the_line_ends_the_call_with_its_reason(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.agent.on_sip(answered())
    await call.settle()
    call.session.on_media(m.RtpLost("sess_1/customer", 30_000))
    assert await call.over() == (EndReason.TIMEOUT, "no RTP from the customer for 30 s")
    assert {("hangup", "customer-call"), ("hangup", "agent-call")} <= set(call.verbs)


async def test_silence_of_a_party_that_was_dropped_ends_nothing(tmp_path: Path) -> None:
    """The media plane's word may be on its way while the leg is dropped or replaced."""
    call = await start(tmp_path)
    call.agent.on_sip(answered())
    await call.settle()
    call.session.parties.drop(Party.AGENT, "dropped")
    call.session.on_media(m.RtpLost("sess_1/agent", 30_000))
    await call.settle()
    assert not call.session.stop.done()
    call.customer.on_sip(hung_up("customer-call"))
    await call.over()


async def test_a_phone_that_rings_need_not_send(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.session.on_media(m.RtpLost("sess_1/customer", 30_000))
    await call.settle()
    assert not call.task.done()
    call.agent.on_sip(answered())
    await call.settle()
    to_customer = [remote for remote in call.world.media.of(m.SetRemote) if remote.leg_id == "sess_1/customer"]
    assert len(to_customer) == 2, "with the answer, waiting for RTP starts anew"
    call.customer.on_sip(hung_up("customer-call"))
    await call.over()


async def test_a_dead_media_process_ends_the_call_at_once(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.agent.on_sip(answered())
    await call.settle()
    call.session.media_died()
    assert (await call.over())[0] is EndReason.ERROR
    assert {("hangup", "customer-call"), ("hangup", "agent-call")} <= set(call.verbs)


async def test_an_interpreter_bug_ends_this_call_only(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.agent.on_sip(answered())
    await call.settle()
    call.session.on_media(utterance(Party.CUSTOMER, 5000))  # no script for it: KeyError
    reason, detail = await call.over()
    assert reason is EndReason.ERROR
    assert "KeyError" in detail
    assert ("hangup", "customer-call") in call.verbs


async def test_the_listener_is_told_when_an_engine_is_lost_and_back(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.world.engines.heard = {4000: ("Guten Tag.", "de")}
    call.agent.on_sip(answered())
    await call.settle()
    call.world.engines.broken = {"translate"}
    call.session.on_media(utterance(Party.CUSTOMER, 4000))
    await call.settle()
    assert call.world.media.of(m.SetPlan)[-1].through == (Party.CUSTOMER,)
    call.world.engines.broken = set()
    call.session.on_media(utterance(Party.CUSTOMER, 4000))
    await call.settle()
    assert call.world.media.of(m.SetPlan)[-1].through == ()
    said = [asked[1] for asked in call.world.engines.asked if asked[0] == "synthesize"]
    assert Announcements().text("engine_lost", "en") in said
    assert Announcements().text("engine_back", "en") in said
    call.customer.on_sip(hung_up("customer-call"))
    await call.over()


async def test_the_longest_call_is_announced_and_ended(tmp_path: Path) -> None:
    call = await start(tmp_path, replace(RULES, max_call_s=0.01))
    call.agent.on_sip(answered())
    reason, _ = await call.over()
    assert reason is EndReason.TIMEOUT
    assert {("hangup", "customer-call"), ("hangup", "agent-call")} <= set(call.verbs)


def numbered(folder: Path) -> TestWorld:
    world = TestWorld(folder)
    world.signalling.numbered = True
    return world


def elsewhere(*contacts: str) -> CallFailed:
    response = Response(302, "Moved Temporarily", Headers([("Contact", one) for one in contacts]))
    return CallFailed("agent-call", 302, "Moved Temporarily", response)


async def test_the_next_one_is_called_when_the_agent_cannot_be_had(tmp_path: Path) -> None:
    night = AgentTarget("sip:night@192.0.2.31", "sip:us@192.0.2.10", None, 20.0)
    call = await start(tmp_path, replace(RULES, then=(night,)), world=numbered(tmp_path))
    call.agent.on_sip(failed(486))
    await call.settle()
    assert [verb for verb in call.verbs if verb[0] == "dial"][1][1] == "sip:night@192.0.2.31"
    call.agent.on_sip(CallAnswered("agent-call-2", Response(200, "OK", Headers()), PHONE_SDP))
    await call.settle()
    assert call.verbs[-1] == ("answer", "customer-call")
    assert "sess_1/agent" in {close.leg_id for close in call.world.media.of(m.CloseLeg)}
    call.customer.on_sip(hung_up("customer-call"))
    assert (await call.over())[0] is EndReason.CUSTOMER_HANGUP


async def test_when_nobody_can_be_had_the_customer_hears_what_says_most(tmp_path: Path) -> None:
    nights = tuple(AgentTarget(f"sip:night{n}@192.0.2.31", "sip:us@192.0.2.10", None, 20.0) for n in range(2))
    call = await start(tmp_path, replace(RULES, then=nights), world=numbered(tmp_path))
    call.agent.on_sip(failed(503))
    await call.settle()
    call.agent.on_sip(CallFailed("agent-call-2", 486, "Busy", None))
    await call.settle()
    call.agent.on_sip(CallFailed("agent-call-3", 404, "Not Found", None))
    await call.over()
    assert call.verbs[-1] == ("reject", "customer-call", "486")


async def test_the_customer_hangs_up_while_the_next_one_rings(tmp_path: Path) -> None:
    night = AgentTarget("sip:night@192.0.2.31", "sip:us@192.0.2.10", None, 20.0)
    call = await start(tmp_path, replace(RULES, then=(night,)), world=numbered(tmp_path))
    call.agent.on_sip(failed(480))
    await call.settle()
    call.customer.on_sip(hung_up("customer-call"))
    assert (await call.over())[0] is EndReason.CUSTOMER_HANGUP
    assert ("hangup", "agent-call-2") in call.verbs


async def test_a_redirection_is_followed_where_the_dial_plan_allows_it(tmp_path: Path) -> None:
    def allow(to: str) -> AgentTarget | None:
        return AgentTarget(to, "sip:us@192.0.2.10", None, 20.0) if "@192.0.2." in to else None

    call = await start(tmp_path, replace(RULES, allow=allow), world=numbered(tmp_path))
    call.agent.on_sip(elsewhere("<sip:mobile@203.0.113.9>", "<sip:desk@192.0.2.33>;q=0.1", "<sip:home@192.0.2.34>"))
    await call.settle()
    assert [verb[1] for verb in call.verbs if verb[0] == "dial"][1:] == ["sip:home@192.0.2.34"]
    # Sent on and on, in a circle: each is called once, and not more than a few.
    for number in range(2, 9):
        hops = ("<sip:agent@192.0.2.30>", "<sip:home@192.0.2.34>", f"<sip:hop{number}@192.0.2.35>")
        call.agent.on_sip(replace(elsewhere(*hops), call=f"agent-call-{number}"))
        await call.settle()
    await call.over()
    dialled = [verb[1] for verb in call.verbs if verb[0] == "dial"]
    assert len(dialled) == len(set(dialled)) <= 7
    assert call.verbs[-1][0] == "reject"
