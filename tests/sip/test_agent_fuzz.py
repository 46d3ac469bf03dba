"""Valid dialogs with their messages damaged, doubled, delayed and mixed: nothing is raised, nothing stays open."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from kallglot_media.sip.events import CallAnswered, CallEnded, CallFailed, IncomingCall
from kallglot_media.sip.settings import AgentSettings
from tests.support.call_ladder import FAR, Ladder

STEPS = [
    "<- INVITE",
    "<- re-INVITE",
    "<- re-INVITE nosdp",
    "<- ACK",
    "<- ACK sdp",
    "<- ACK failure",
    "<- BYE",
    "<- CANCEL",
    "<- UPDATE",
    "<- INFO",
    "<- OPTIONS",
    "<- PRACK",
    "<- PRACK RAck:2_1_INVITE",
    "<- PRACK sdp RAck:2_1_INVITE",
    "<- UPDATE nosdp Supported:timer Session-Expires:90",
    "<- 200/UPDATE",
    "<- 200",
    "<- 491",
    "<- BYE cseq=0",
    "<- ACK to=other",
    "-- ring",
    "-- ring 183",
    "-- ring 183 sdp",
    "<- REFER Refer-To:<sip:c@d>",
    "<- NOTIFY Event:refer body=SIP/2.0_100_Trying",
    "<- 202/REFER",
    "<- 481/NOTIFY",
    "<- MESSAGE body=x",
    "-- refer",
    "-- accept_transfer",
    "-- refuse_transfer 603",
    "-- tell_transfer 200",
    "-- message",
    "-- reoffer",
    "-- answer",
    "-- reject 486",
    "-- hangup",
    "-- answer_offer",
    "-- refuse_offer 488",
    "-- transport_failed",
]
CALLER_STEPS = [
    "<- 100",
    "<- 180",
    "<- 180 tag=x",
    "<- 183 sdp tag=y",
    "<- 200",
    "<- 200 tag=x",
    "<- 200 nosdp",
    "<- 302",
    "<- 486",
    "<- 487",
    '<- 401 WWW-Authenticate:Digest_realm="r",nonce="n"',
    '<- 407 Proxy-Authenticate:Digest_realm="r",nonce="n",qop="auth"',
    "<- 408",
    "<- 200 Record-Route:<sip:p;lr>,<",
    "<- 180 Record-Route:nonsense",
    "<- BYE",
    "<- BYE tag=x",
    "<- 180 Require:100rel RSeq:1 Allow:UPDATE",
    "<- 183 sdp Require:100rel RSeq:2",
    "<- 200/PRACK",
    "<- 481/PRACK",
    "<- 422 Min-SE:900",
    "<- 491",
    "<- 200 Session-Expires:90;refresher=uac Allow:UPDATE",
    "<- 200 Session-Expires:90;refresher=uas",
    "<- 200/UPDATE sdp",
    "-- reoffer",
    "<- REFER Refer-To:<sip:c@d>",
    "<- NOTIFY Event:refer body=SIP/2.0_200_OK",
    "<- 202/REFER",
    "<- 200/NOTIFY",
    "-- refer",
    "-- accept_transfer",
    "-- tell_transfer 180",
    "-- tell_transfer 200",
    "-- press_key 5",
    "<- re-INVITE",
    "<- re-INVITE nosdp",
    "<- UPDATE",
    "<- ACK",
    "-- hangup",
    "-- answer_offer",
    "-- transport_failed",
]
DAMAGE = some.tuples(some.integers(0, 700), some.integers(0, 12), some.binary(max_size=6))
GAPS = some.sampled_from([0.0, 0.0, 0.1, 0.7, 3.0, 40.0])


def act(ladder: Ladder, step: str, now_s: float, damage: tuple[int, int, bytes] | None) -> None:
    arrow, *words = step.split()
    if arrow == "--":
        ladder.act(words, now_s)
    else:
        try:
            data = ladder.far.make(words)
        except KeyError:
            return  # an answer to something that we have not sent
        if damage is not None:
            at, cut, junk = damage
            data = data[:at] + junk + data[at + cut :]
        ladder.agent.receive(data, FAR, now_s)
    ladder.collect(now_s)


def play_all(first: str, steps: list[tuple[str, float, tuple[int, int, bytes] | None]]) -> None:
    ladder = Ladder(AgentSettings(longest_ring_s=100))
    now_s = 0.0
    for step, gap_s, damage in [(first, 0.0, None), *steps]:
        now_s += gap_s
        ladder.advance(now_s)
        act(ladder, step, now_s, damage)
    for call in {event.call for event in ladder.events} | {ladder.call}:
        ladder.agent.hangup(call, now_s)
        ladder.collect(now_s)
    ladder.advance(now_s + 300)
    every_call_ends_once(ladder)
    agent = ladder.agent
    assert (agent.open_calls, agent.open_dialogs, agent.open_transactions) == (0, 0, 0)
    assert agent._calls == {}
    assert agent.next_time_s() is None


def every_call_ends_once(ladder: Ladder) -> None:
    """The promise of sip/events.py."""
    started = {event.call for event in ladder.events if isinstance(event, IncomingCall | CallAnswered)}
    ended = [event.call for event in ladder.events if isinstance(event, CallEnded)]
    failed = [event.call for event in ladder.events if isinstance(event, CallFailed)]
    assert sorted(ended) == sorted(started)
    assert len(failed) == len(set(failed))
    assert not set(failed) & started
    over: set[str] = set()
    for event in ladder.events:
        assert event.call not in over
        if isinstance(event, CallEnded | CallFailed):
            over.add(event.call)


COMMON = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@COMMON
@given(some.lists(some.tuples(some.sampled_from(STEPS), GAPS, some.none() | DAMAGE), max_size=14))
def test_calls_to_us(steps: list[tuple[str, float, tuple[int, int, bytes] | None]]) -> None:
    play_all("<- INVITE", steps)


@COMMON
@given(some.lists(some.tuples(some.sampled_from(STEPS), GAPS, some.none() | DAMAGE), max_size=14))
def test_calls_to_us_with_everything_asked_for(steps: list[tuple[str, float, tuple[int, int, bytes] | None]]) -> None:
    play_all("<- INVITE Require:100rel Supported:timer Session-Expires:90 Allow:UPDATE", steps)


@COMMON
@given(some.lists(some.tuples(some.sampled_from(CALLER_STEPS), GAPS, some.none() | DAMAGE), max_size=14))
def test_calls_of_ours(steps: list[tuple[str, float, tuple[int, int, bytes] | None]]) -> None:
    play_all("-- invite credentials", steps)
