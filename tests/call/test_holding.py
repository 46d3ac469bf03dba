"""One party puts the call on hold: what the other hears, and what is not taken for a fault."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from kallglot_media.call.holding import HoldRules
from kallglot_media.call.journal import read_lines
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party
from kallglot_media.sip.events import MediaOffered
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request
from kallglot_media.sip.uri import Uri
from tests.call.test_bridge import RULES, Call, start
from tests.support.call_world import PHONE_SDP, answered, hung_up

REINVITE = Request("INVITE", Uri.parse("sip:support@192.0.2.10"), Headers())
MUSIC = np.arange(800, dtype=np.int16)


def hold(call: Call, holds: bool = True) -> None:
    """The agent's phone."""
    sdp = PHONE_SDP.replace(b"a=sendrecv", b"a=sendonly") if holds else PHONE_SDP
    call.agent.on_sip(MediaOffered("agent-call", REINVITE, sdp))


async def bridged(folder: Path, rules: HoldRules) -> Call:
    call = await start(folder, replace(RULES, hold=rules))
    call.agent.on_sip(answered())
    await call.settle()
    return call


async def test_the_one_who_waits_hears_music(tmp_path: Path) -> None:
    call = await bridged(tmp_path, HoldRules(music=MUSIC))
    hold(call)
    assert call.world.media.of(m.PlayLoop) == [m.PlayLoop("sess_1/customer", MUSIC.tobytes(), 8000)]
    assert call.world.media.of(m.Listen)[-1] == m.Listen("sess_1/agent", None)
    hold(call, holds=False)
    assert call.world.media.of(m.StopTone)[-1] == m.StopTone("sess_1/customer")
    assert call.world.media.of(m.Listen)[-1].rules is not None
    assert not any(verb[0] == "reoffer" for verb in call.verbs)
    noted = [event for event in read_lines(tmp_path / "sess_1" / "events.jsonl") if event["type"] in ("hold", "resume")]
    assert [(event["type"], event["speaker"]) for event in noted] == [("hold", "agent"), ("resume", "agent")]
    call.customer.on_sip(hung_up("customer-call"))
    await call.over()


async def test_a_hold_is_passed_on(tmp_path: Path) -> None:
    call = await bridged(tmp_path, HoldRules(pass_on=True))
    hold(call)
    hold(call, holds=False)
    reoffers = [verb for verb in call.verbs if verb[0] == "reoffer"]
    assert reoffers == [("reoffer", "customer-call", "sendonly"), ("reoffer", "customer-call", "sendrecv")]
    assert call.world.media.of(m.PlayLoop) == []
    call.customer.on_sip(hung_up("customer-call"))
    await call.over()


async def test_whoever_holds_need_not_send(tmp_path: Path) -> None:
    """Calls must not die on hold: a phone without music of its own sends no RTP at all."""
    call = await bridged(tmp_path, HoldRules())
    hold(call)
    call.session.on_media(m.RtpLost("sess_1/agent", 20_000))
    await call.settle()
    assert not call.session.stop.done()
    hold(call, holds=False)
    call.session.on_media(m.RtpLost("sess_1/agent", 20_000))
    assert call.session.stop.done()
    await call.over()
    assert Party.AGENT in call.session.legs
