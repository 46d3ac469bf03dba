"""From a called number to the rules of a scenario, with the configuration that is shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kallglot_media.call.bridge import BridgeRules
from kallglot_media.call.routing import Router, announcements_of
from kallglot_media.call.services import ServiceRules
from kallglot_media.config.load import Config, load_config
from kallglot_media.config.mode import Mode, Target, Transfer
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, Party
from kallglot_media.sip.events import IncomingCall, Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.parser import parse_message

SHIPPED = Path(__file__).parents[2] / "configs" / "server.yaml"


@pytest.fixture(name="config")
def _config() -> Config:
    return load_config(SHIPPED)


def invite(*, caller: str = '"Anna" <sip:+4930555@pbx.example>', max_forwards: str = "70") -> IncomingCall:
    raw = (
        "INVITE sip:support@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK1\r\n"
        f"From: {caller};tag=1\r\nTo: <sip:support@192.0.2.10>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
        f"Max-Forwards: {max_forwards}\r\nContent-Length: 0\r\n\r\n"
    )
    request = parse_message(raw.encode())
    assert isinstance(request, Request)
    return IncomingCall("call", request, Peer("udp", "192.0.2.20", 5060), None)


def router(config: Config) -> Router:
    return Router(config, only_starter=True, our_host="192.0.2.10")


def test_support_is_a_bridge_in_two_languages(config: Config) -> None:
    destination = router(config)("support", invite())
    assert destination is not None
    rules = destination.rules
    assert isinstance(rules, BridgeRules)
    assert rules.plan is BIDIRECTIONAL_TRANSLATION
    assert rules.languages == {Party.CUSTOMER: "de", Party.AGENT: "en"}
    assert rules.agent_from == "Anna <sip:+4930555@192.0.2.10>", "the agent sees who calls, at our address"
    assert (destination.facts.mode, destination.facts.keep) == ("bidirectional_translation", True)


@pytest.mark.parametrize(("had", "sent"), [("70", 69), ("1", 0), ("0", 0), ("255", 254)])
def test_a_loop_through_us_ends(config: Config, had: str, sent: int) -> None:
    destination = router(config)("support", invite(max_forwards=had))
    assert destination is not None
    assert isinstance(destination.rules, BridgeRules)
    assert destination.rules.max_forwards == sent


def test_a_caller_without_a_number_is_anonymous(config: Config) -> None:
    destination = router(config)("support", invite(caller="<sip:pbx.example>"))
    assert destination is not None
    assert isinstance(destination.rules, BridgeRules)
    assert destination.rules.agent_from == "<sip:anonymous@192.0.2.10>"


def test_services_need_nobody_else(config: Config) -> None:
    for called, languages in (("echo", None), ("interpreter", ("de", "en"))):
        destination = router(config)(called, invite())
        assert destination is not None
        assert isinstance(destination.rules, ServiceRules)
        assert destination.rules.languages == languages


def test_an_unknown_number_leads_nowhere(config: Config) -> None:
    assert router(config)("nobody", invite()) is None


def test_everything_that_may_be_announced_is_made_before(config: Config) -> None:
    wanted = announcements_of(config)
    assert {language for _, language, _ in wanted} == {"de", "en"}
    assert len(wanted) == len(set(wanted))
    assert any("besetzt" in text for text, _, _ in wanted)
    assert any("starter models" in text for text, _, _ in wanted)


@pytest.mark.parametrize(
    ("to", "called"),
    [
        ("sip:200@127.0.0.1:5070", "sip:200@127.0.0.1:5070"),
        ("sip:200@192.0.2.10", "sip:200@127.0.0.1:5070"),  # our own address: the agent's host has the number
        ("tel:200", "sip:200@127.0.0.1:5070"),
        ("sip:201@192.0.2.99;transport=tcp", "sip:201@192.0.2.99;transport=tcp"),
        ("sip:200@203.0.113.1", None),
        ("sip:2000@127.0.0.1:5070", None),
        ("sip:127.0.0.1:5070", None),
        ("sip:900@192.0.2.99", None),
        ("nonsense", None),
    ],
)
def test_whom_the_agent_may_send_the_customer_to(config: Config, to: str, called: str | None) -> None:
    path, mode = next(iter(config.modes.items()))
    transfer = Transfer(allow=("20?", "201@*"))
    changed = replace(config, modes={path: mode.model_copy(update={"transfer": transfer})})
    destination = router(changed)("support", invite())
    assert destination is not None
    assert isinstance(destination.rules, BridgeRules)
    target = destination.rules.allow(to)
    assert (target.to if target else None) == called


def test_nobody_may_be_sent_anywhere_unless_it_is_listed(config: Config) -> None:
    destination = router(config)("support", invite())
    assert destination is not None
    assert isinstance(destination.rules, BridgeRules)
    assert destination.rules.allow("sip:200@127.0.0.1:5070") is None


def test_who_is_called_next(config: Config) -> None:
    path, mode = next(iter(config.modes.items()))
    assert isinstance(mode, Mode)
    then = (Target.model_validate({"to": "sip:night@192.0.2.31", "ring_s": 12}),)
    agent = mode.agent.model_copy(update={"then": then})
    changed = replace(config, modes={path: mode.model_copy(update={"agent": agent})})
    destination = router(changed)("support", invite())
    assert destination is not None
    assert isinstance(destination.rules, BridgeRules)
    assert [(target.to, target.ring_s) for target in destination.rules.targets] == [
        ("sip:agent@127.0.0.1:5070", 30.0),
        ("sip:night@192.0.2.31", 12.0),
    ]
    assert changed.longest_ring_s(changed.modes[path]) == 42.0
