"""The call tables as data: no holes, nothing unreachable, nothing that nobody does. And what both roles share."""

from __future__ import annotations

import pytest

from kallglot_media.sip.call import CALLEE, CALLER, Do, On, State, Table, reason_header

TABLES = {"caller": (CALLER, State.CALLING), "callee": (CALLEE, State.ALERTING)}


@pytest.mark.parametrize("name", TABLES)
def test_every_state_is_reached_and_can_be_left(name: str) -> None:
    table, first = TABLES[name]
    reached, todo = {first}, [first]
    while todo:
        state = todo.pop()
        for (before, _), (after, _) in table.items():
            if before is state and after not in reached:
                reached.add(after)
                todo.append(after)
    assert reached == {state for state, _ in table} | {State.ENDED}
    for state in reached - {State.ENDED}:
        assert any(before is state and after is not state for (before, _), (after, _) in table.items())


@pytest.mark.parametrize("name", TABLES)
def test_the_end_is_final(name: str) -> None:
    table, _ = TABLES[name]
    assert all(after is State.ENDED for (before, _), (after, _) in table.items() if before is State.ENDED)


@pytest.mark.parametrize("name", TABLES)
def test_from_every_state_a_hangup_leads_to_the_end(name: str) -> None:
    """Following what is bound to come after a hangup (timers, the end of the BYE) no state is a trap."""
    table, _ = TABLES[name]
    later = (On.NO_RESPONSE, On.CANCEL_LOST, On.NO_ACK, On.BYE_DONE)
    for start in {state for state, _ in table} - {State.ENDED}:
        state = table.get((start, On.HANGUP), (start, ()))[0]
        for _ in range(4):
            for event in later:
                state = table.get((state, event), (state, ()))[0]
        assert state is State.ENDED, start


@pytest.mark.parametrize("name", TABLES)
def test_whoever_was_told_of_a_call_is_told_of_its_end(name: str) -> None:
    """Every step from a state in which the user counts on the call to one in which it does not says so, once."""
    table, _ = TABLES[name]
    silent = {State.ENDING, State.BYE_WAITING, State.ENDED}
    told = {Do.TELL_ENDED, Do.TELL_FAILED}
    for (before, event), (after, actions) in table.items():
        says = [action for action in actions if action in told]
        assert len(says) == (before not in silent and after in silent), (before, event)


def test_every_event_and_action_is_used() -> None:
    def events(table: Table) -> set[On]:
        return {event for _, event in table}

    def actions(table: Table) -> set[Do]:
        return {action for _, row in table.values() for action in row}

    assert events(CALLER) | events(CALLEE) == set(On)
    assert actions(CALLER) | actions(CALLEE) == set(Do)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("BYE", 'Q.850;cause=16;text="Normal call clearing"'),
        ("agent left", 'Q.850;cause=31;text="agent left"'),
        ('said "no"', 'Q.850;cause=31;text="said \\"no\\""'),
        ("Q.850;cause=16", "Q.850;cause=16"),
        ('SIP ;cause=486; text="a; b \\"c\\""', 'SIP ;cause=486; text="a; b \\"c\\""'),
        ("two\r\nlines", 'Q.850;cause=31;text="two lines"'),
        ("it has opus; we speak PCMU", 'Q.850;cause=31;text="it has opus; we speak PCMU"'),
        ('SIP;text="open', 'Q.850;cause=31;text="SIP;text=\\"open"'),
        ("SIP;cause=1\r\nRoute: <sip:x>", 'Q.850;cause=31;text="SIP;cause=1 Route: <sip:x>"'),
        ("red \x1b[31m\0", 'Q.850;cause=31;text="red [31m"'),
    ],
)
def test_reason_headers(text: str, value: str) -> None:
    assert reason_header(text) == (("Reason", value),)


def test_no_reason_no_header() -> None:
    assert reason_header(None) == reason_header("") == ()
