"""A short run of what scripts/fuzz_sip.py does for a million messages, and all messages that once broke something."""

from __future__ import annotations

from pathlib import Path

import pytest

from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import Peer
from tests.support.counting_ids import CountingIds
from tests.support.fuzz import OVER_S, US, Fuzz, damaged, read_found, write_found

FOUND = sorted((Path(__file__).parents[1] / "torture" / "found").glob("*.sip"))


@pytest.mark.parametrize("seed", range(5))
def test_damaged_dialogs_leave_nothing_behind(seed: int) -> None:
    fuzz = Fuzz(seed)
    for _ in range(2):
        fuzz.run(600)
        assert fuzz.end().is_nothing()
    assert fuzz.calls > 5


def test_the_same_seed_does_the_same() -> None:
    one, two = Fuzz(7), Fuzz(7)
    one.run(500)
    two.run(500)
    assert one.agent.counters == two.agent.counters


@pytest.mark.parametrize("path", FOUND, ids=[path.stem for path in FOUND])
def test_what_once_broke_something(path: Path) -> None:
    agent = SipAgent(CountingIds())
    for transport in ("udp", "tcp"):
        agent.set_address(transport, US, 5060)
    for number, (data, peer) in enumerate(read_found(path)):
        agent.receive(data, peer, number / 100)
        agent.take_datagrams()
        for event in agent.take_events():
            agent.hangup(event.call, number / 100)
    now_s = len(read_found(path)) / 100
    while (due_s := agent.next_time_s()) is not None and due_s < now_s + OVER_S:
        agent.on_time(due_s)
    assert (agent.open_calls, agent.open_dialogs, agent.open_transactions) == (0, 0, 0)


def test_found_messages_are_read_as_they_were_written(tmp_path: Path) -> None:
    messages = [(b"a\r\n\r\n\n=== udp", Peer("udp", "192.0.2.9", 5060)), (b"", Peer("tcp", "::1", 5))]
    assert read_found(write_found(tmp_path, "x", messages)) == messages


def test_damage_is_damage() -> None:
    fuzz = Fuzz(3)
    data = b"OPTIONS sip:x SIP/2.0\r\nVia: a;b;c\r\n\r\n"
    assert sum(damaged(data, data, fuzz.chance) != data for _ in range(100)) > 80
