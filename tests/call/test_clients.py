"""What sessions ask of the clients at their stream."""

from __future__ import annotations

import asyncio

import pytest

from kallglot_media.call.bus import Bus
from kallglot_media.call.clients import TOOL_CALL, ClientBook, NoClient, ToolOutcome
from kallglot_media.call.events import SessionEnded, SessionEvent, ToolCalled

CALL = ToolCalled("s", "call_1", "lookup_order", {"order": "4711"})


async def test_a_tool_call_goes_to_a_client_that_subscribed_to_it_and_the_first_answer_counts() -> None:
    bus = Bus()
    told: list[SessionEvent] = []
    bus.listen(told.append)
    clients = ClientBook(bus).of("s")
    with clients.attached(lambda kind: False), pytest.raises(NoClient):
        await clients.call_tool(CALL, 1.0)
    with clients.attached(lambda kind: kind == TOOL_CALL):
        asked = asyncio.create_task(clients.call_tool(CALL, 1.0))
        await asyncio.sleep(0)
        assert told == [CALL]
        assert not clients.tool_result("call_2", ToolOutcome())
        assert clients.tool_result("call_1", ToolOutcome({"status": "sent"}))
        assert not clients.tool_result("call_1", ToolOutcome({"status": "again"}))
        assert await asked == ToolOutcome({"status": "sent"})
    assert not clients.wants(TOOL_CALL)


async def test_a_client_that_does_not_answer_costs_the_limit_and_no_more() -> None:
    clients = ClientBook(Bus()).of("s")
    with clients.attached(lambda kind: True):
        with pytest.raises(TimeoutError):
            await clients.call_tool(CALL, 0.0)
        assert not clients.tool_result("call_1", ToolOutcome()), "too late"


def test_typed_messages_are_for_sessions_that_take_them_and_an_ended_session_is_forgotten() -> None:
    bus = Bus()
    book = ClientBook(bus)
    typed: list[str] = []
    assert not book.of("s").chat("hello")
    book.of("s").on_chat = typed.append
    assert book.of("s").chat("hello")
    assert typed == ["hello"]
    bus.publish(SessionEnded("s", "completed", "", started=True, duration_ms=0))
    assert not book.of("s").chat("hello")
