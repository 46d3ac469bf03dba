"""Coroutines on both event loops, in debug mode, that must leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from tests.support.sip_end import started

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

_REFUSED = "Error on transport creation for incoming connection"
"""What asyncio says, in debug mode, of a client that gave up its handshake."""


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine on either loop, in debug mode, with a deadline; its loop must end clean."""

    def on_loop(main: Coroutine[Any, Any, None]) -> None:
        wrongs: list[dict[str, Any]] = []

        async def guarded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: wrongs.append(context))
            try:
                async with asyncio.timeout(10):
                    await main
            finally:
                while started:
                    await started.pop().stop()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if left:  # asyncio's own, on its way to hear that a handshake failed
                _, left = await asyncio.wait(left, timeout=5.0)
            assert not left, left

        with asyncio.Runner(loop_factory=LOOPS[request.param], debug=True) as runner:
            runner.run(guarded())
        assert [wrong for wrong in wrongs if wrong["message"] != _REFUSED] == []

    return on_loop
