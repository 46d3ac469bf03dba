"""The agent's phone sends the customer to somebody else: blind and attended, allowed and not, answered and not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kallglot_media.call.holding import HoldRules
from kallglot_media.call.leg import Leg, LegState
from kallglot_media.call.transferring import AgentTarget
from kallglot_media.call.world import EndReason
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party
from kallglot_media.sip.events import CallAnswered, CallFailed, CallProgress, TransferAsked
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.uri import Uri
from tests.call.test_bridge import RULES, Call, start
from tests.support.call_world import PHONE_SDP, TestWorld, answered, hung_up

REFER = Request("REFER", Uri.parse("sip:us@192.0.2.10"), Headers())
SECOND = "agent-call-2"


def allow(to: str) -> AgentTarget | None:
    return AgentTarget(to, "sip:us@192.0.2.10", None, 30.0) if to.startswith("sip:2") else None


async def bridged(folder: Path) -> Call:
    world = TestWorld(folder)
    world.signalling.numbered = True
    call = await start(folder, replace(RULES, allow=allow, hold=HoldRules()), world=world)
    call.agent.on_sip(answered())
    await call.settle()
    return call


async def ask(call: Call, to: str = "sip:200@192.0.2.30", replaces: str | None = None) -> Leg:
    """The agent's phone sends REFER; the leg that it came on."""
    old = call.agent
    old.on_sip(TransferAsked("agent-call", REFER, to, replaces, "<sip:agent@192.0.2.30>"))
    await call.settle()
    return old


def transfers(call: Call) -> list[tuple[str, ...]]:
    return [verb for verb in call.verbs if "transfer" in verb[0]]


async def test_the_customer_is_put_through(tmp_path: Path) -> None:
    call = await bridged(tmp_path)
    old = await ask(call)
    new = call.agent
    assert new is not old
    assert old.state is LegState.ANSWERED
    new.on_sip(CallProgress(SECOND, Response(180, "Ringing", Headers()), None))
    new.on_sip(CallAnswered(SECOND, Response(200, "OK", Headers()), PHONE_SDP))
    await call.settle()
    assert transfers(call) == [
        ("accept_transfer", "agent-call"),
        ("tell_transfer", "agent-call", "180"),
        ("tell_transfer", "agent-call", "200"),
    ]
    assert ("hangup", "agent-call") in call.verbs
    assert ("Referred-By", "<sip:agent@192.0.2.30>") in call.world.signalling.dial_headers
    assert call.world.media.of(m.Listen)[-1].leg_id == "sess_1/agent.2"
    # The new one may transfer, too, and its hanging up is the end.
    await ask_again_and_fail(call)
    new.on_sip(hung_up(SECOND))
    assert (await call.over())[0] is EndReason.AGENT_HANGUP


async def ask_again_and_fail(call: Call) -> None:
    call.agent.on_sip(TransferAsked(SECOND, REFER, "sip:900@192.0.2.30", None, None))
    assert transfers(call)[-1] == ("refuse_transfer", SECOND, "403")


async def test_a_transfer_that_fails_gives_the_customer_back(tmp_path: Path) -> None:
    call = await bridged(tmp_path)
    old = await ask(call)
    call.agent.on_sip(CallFailed(SECOND, 486, "Busy Here", None))
    await call.settle()
    assert transfers(call)[-1] == ("tell_transfer", "agent-call", "486")
    assert call.agent is old
    assert not old.ended.done()
    assert ("hangup", "agent-call") not in call.verbs
    assert call.world.media.of(m.StopTone)[-1].leg_id == "sess_1/customer"
    old.on_sip(hung_up("agent-call"))
    assert (await call.over())[0] is EndReason.AGENT_HANGUP


async def test_who_transfers_may_hang_up_at_once(tmp_path: Path) -> None:
    call = await bridged(tmp_path)
    old = await ask(call)
    old.on_sip(hung_up("agent-call"))
    await call.settle()
    assert not call.task.done()
    call.agent.on_sip(CallAnswered(SECOND, Response(200, "OK", Headers()), PHONE_SDP))
    await call.settle()
    assert transfers(call)[-1] == ("tell_transfer", "agent-call", "200")
    call.customer.on_sip(hung_up("customer-call"))
    assert (await call.over())[0] is EndReason.CUSTOMER_HANGUP


async def test_if_that_fails_nobody_is_left(tmp_path: Path) -> None:
    call = await bridged(tmp_path)
    old = await ask(call)
    old.on_sip(hung_up("agent-call"))
    call.agent.on_sip(CallFailed(SECOND, 404, "Not Found", None))
    assert (await call.over())[0] is EndReason.AGENT_HANGUP
    assert ("hangup", "customer-call") in call.verbs


async def test_the_dial_plan_decides_and_one_at_a_time(tmp_path: Path) -> None:
    call = await bridged(tmp_path)
    await ask(call, "sip:+49900666@192.0.2.30")
    assert transfers(call) == [("refuse_transfer", "agent-call", "403")]
    old = await ask(call)
    old.on_sip(TransferAsked("agent-call", REFER, "sip:201@192.0.2.30", None, None))
    assert transfers(call)[-1] == ("refuse_transfer", "agent-call", "403")
    call.customer.on_sip(hung_up("customer-call"))
    call.agent.on_sip(CallFailed(SECOND, 487, "", None))
    await call.over()


async def test_attended(tmp_path: Path) -> None:
    call = await bridged(tmp_path)
    await ask(call, replaces="a@b;to-tag=1;from-tag=2")
    assert ("Replaces", "a@b;to-tag=1;from-tag=2") in call.world.signalling.dial_headers
    call.agent.on_sip(CallAnswered(SECOND, Response(200, "OK", Headers()), PHONE_SDP))
    await call.settle()
    assert call.session.legs[Party.AGENT].leg_id == "sess_1/agent.2"
    call.customer.on_sip(hung_up("customer-call"))
    await call.over()


async def test_without_a_bridge_nobody_is_sent_away(tmp_path: Path) -> None:
    call = await start(tmp_path)
    call.customer.on_sip(TransferAsked("customer-call", REFER, "sip:200@x", None, None))
    assert transfers(call) == [("refuse_transfer", "customer-call", "403")]
    call.customer.on_sip(hung_up("customer-call"))
    await call.over()
