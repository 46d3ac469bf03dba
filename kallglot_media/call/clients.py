"""What a session asks of the clients at its stream, and what they tell it.

    outcome = await session.clients.call_tool(ToolCalled(session_id, "call_1", "lookup_order", {"order": "4711"}), 10.0)
    session.clients.on_chat = dialogue.typed

Exists from the session's creation to its end, whether anybody is connected or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kallglot_media.call.bus import Bus
from kallglot_media.call.events import SessionEnded, SessionEvent, ToolCalled

TOOL_CALL = "tool.call"
"""The event's name at the stream: only clients that subscribed to it by name are asked."""

Wants = Callable[[str], bool]


class NoClient(Exception):
    """No client at the stream takes tool calls."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What came of a tool call. output: as JSON; error: why there is none, for the model to read."""

    output: object = None
    error: str | None = None


class Clients:
    """See the module. One for each session.

    on_chat  takes what a client typed; None: this session takes no typed messages
    """

    def __init__(self, bus: Bus) -> None:
        self.on_chat: Callable[[str], None] | None = None
        self._bus = bus
        self._wants: list[Wants] = []
        self._asked: dict[str, asyncio.Future[ToolOutcome]] = {}

    @contextmanager
    def attached(self, wants: Wants) -> Iterator[None]:
        """A client is connected while the block lasts. wants(name): whether it subscribed to this event."""
        self._wants.append(wants)
        try:
            yield
        finally:
            self._wants.remove(wants)

    def wants(self, kind: str) -> bool:
        """Whether any client has subscribed to this event by name."""
        return any(wants(kind) for wants in self._wants)

    async def call_tool(self, call: ToolCalled, limit_s: float) -> ToolOutcome:
        """Ask the clients, and wait for the first answer. Raises NoClient, TimeoutError."""
        if not self.wants(TOOL_CALL):
            raise NoClient
        answer: asyncio.Future[ToolOutcome] = asyncio.get_running_loop().create_future()
        self._asked[call.tool_call_id] = answer
        try:
            self._bus.publish(call)
            async with asyncio.timeout(limit_s):
                return await answer
        finally:
            self._asked.pop(call.tool_call_id, None)

    def tool_result(self, tool_call_id: str, outcome: ToolOutcome) -> bool:
        """A client answers; False when nobody asked, or it is too late."""
        answer = self._asked.get(tool_call_id)
        if answer is None or answer.done():
            return False
        answer.set_result(outcome)
        return True

    def chat(self, text: str) -> bool:
        """A client typed something; False when this session takes no typed messages."""
        if self.on_chat is None:
            return False
        self.on_chat(text)
        return True


class ClientBook:
    """The Clients of every session; forgotten when it has ended."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._of: dict[str, Clients] = {}
        bus.listen(self._forget)

    def of(self, session_id: str) -> Clients:
        """The clients of a session that runs or waits here."""
        return self._of.setdefault(session_id, Clients(self._bus))

    def _forget(self, event: SessionEvent) -> None:
        if isinstance(event, SessionEnded):
            self._of.pop(event.session_id, None)
