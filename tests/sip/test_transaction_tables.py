"""The four tables, looked through for holes. Because they are data, tests find them and callers do not."""

from __future__ import annotations

import pytest

from kallglot_media.sip.timers import UNRELIABLE_ONLY, ZERO_WHEN_RELIABLE, Timer, Timers
from kallglot_media.sip.transaction_client import INVITE_CLIENT, NON_INVITE_CLIENT
from kallglot_media.sip.transaction_machine import Do, On, Start, State, Table, response_event
from kallglot_media.sip.transaction_server import INVITE_SERVER, NON_INVITE_SERVER

CLIENT_RESPONSES = {On.GET_1XX, On.GET_2XX, On.GET_FAILURE}
SERVER_RESPONSES = {On.SEND_1XX, On.SEND_2XX, On.SEND_FAILURE}

TABLES = [
    pytest.param(INVITE_CLIENT, State.CALLING, {Timer.A, Timer.B}, id="invite client"),
    pytest.param(NON_INVITE_CLIENT, State.TRYING, {Timer.E, Timer.F}, id="non-invite client"),
    pytest.param(INVITE_SERVER, State.TRYING, {Timer.TRYING}, id="invite server"),
    pytest.param(NON_INVITE_SERVER, State.TRYING, set(), id="non-invite server"),
]


def states_of(table: Table) -> set[State]:
    return {state for state, _ in table} | {state for state, _ in table.values()}


def events_in(table: Table, state: State) -> set[On | Timer]:
    return {event for where, event in table if where is state}


@pytest.mark.parametrize(("table", "first", "started_first"), TABLES)
class TestTable:
    def test_every_state_is_reached_from_the_first(self, table: Table, first: State, started_first: set[Timer]) -> None:
        reached = {first}
        for _ in State:
            reached |= {after for (before, _), (after, _) in table.items() if before in reached}
        assert reached == states_of(table)

    def test_every_state_leads_to_terminated(self, table: Table, first: State, started_first: set[Timer]) -> None:
        ending = {State.TERMINATED}
        for _ in State:
            ending |= {before for (before, _), (after, _) in table.items() if after in ending}
        assert ending == states_of(table)

    def test_terminated_is_the_end(self, table: Table, first: State, started_first: set[Timer]) -> None:
        assert not events_in(table, State.TERMINATED)

    def test_timers_that_are_started_are_read_and_the_other_way_round(
        self, table: Table, first: State, started_first: set[Timer]
    ) -> None:
        started = started_first | {
            action.timer for _, actions in table.values() for action in actions if isinstance(action, Start)
        }
        assert started == {event for _, event in table if isinstance(event, Timer)}

    def test_a_running_timer_is_read_in_every_state_it_can_run_in(
        self, table: Table, first: State, started_first: set[Timer]
    ) -> None:
        """Follow each timer from where it starts to where it is stopped, fires or ends."""
        running = {(first, timer) for timer in started_first}
        for after, actions in table.values():
            running |= {(after, action.timer) for action in actions if isinstance(action, Start)}
        while True:
            carried = {
                (after, timer)
                for state, timer in running
                for (before, event), (after, actions) in table.items()
                if before is state and event is not timer and Do.STOP_TIMERS not in actions
                if after is not State.TERMINATED
            }
            if carried <= running:
                break
            running |= carried
        assert {(state, timer) for state, timer in running if (state, timer) not in table} == set()

    def test_back_off_follows_a_timer(self, table: Table, first: State, started_first: set[Timer]) -> None:
        assert all(isinstance(event, Timer) for (_, event), (_, actions) in table.items() if Do.BACK_OFF in actions)

    def test_a_state_without_a_timer_can_be_abandoned(
        self, table: Table, first: State, started_first: set[Timer]
    ) -> None:
        for state in states_of(table) - {State.TERMINATED}:
            ends = {event for (where, event), (after, _) in table.items() if where is state and after is not state}
            assert On.ABANDON in ends or any(isinstance(event, Timer) for event in ends)


@pytest.mark.parametrize("table", [INVITE_CLIENT, NON_INVITE_CLIENT])
def test_clients_take_every_response_while_they_wait(table: Table) -> None:
    for state in {State.CALLING, State.TRYING, State.PROCEEDING} & states_of(table):
        assert events_in(table, state) >= CLIENT_RESPONSES


@pytest.mark.parametrize("table", [INVITE_SERVER, NON_INVITE_SERVER])
def test_servers_take_every_response_and_every_copy_while_they_wait(table: Table) -> None:
    for state in (State.TRYING, State.PROCEEDING):
        assert events_in(table, state) >= SERVER_RESPONSES | {On.GET_REQUEST_AGAIN}


@pytest.mark.parametrize("timer", list(Timer))
def test_every_timer_has_a_length(timer: Timer) -> None:
    timers = Timers()
    assert (timers.delay_s(timer, reliable=False) or 0) > 0
    on_a_stream = timers.delay_s(timer, reliable=True)
    assert (on_a_stream is None) == (timer in UNRELIABLE_ONLY)
    assert (on_a_stream == 0) == (timer in ZERO_WHEN_RELIABLE)


TABLE_4 = ["A 0.5", "B 32", "D 32", "E 0.5", "F 32", "G 0.5", "H 32", "I 5", "J 32", "K 5", "L 32", "M 32"]


@pytest.mark.parametrize(("timer", "seconds"), [row.split() for row in TABLE_4])
def test_the_lengths_are_those_of_table_4_and_rfc_6026(timer: str, seconds: str) -> None:
    assert Timers().delay_s(Timer(timer), reliable=False) == float(seconds)


@pytest.mark.parametrize(
    ("status", "event"),
    [(100, "one"), (199, "one"), (200, "two"), (299, "two"), (300, "failure"), (302, "failure"), (699, "failure")],
)
def test_where_one_class_of_answers_ends_and_the_next_begins(status: int, event: str) -> None:
    """RFC 3261 section 7.2: 3xx is final and no success, from its first number on."""
    events = {"one": On.GET_1XX, "two": On.GET_2XX, "failure": On.GET_FAILURE}
    assert response_event(status, *events.values()) is events[event]
