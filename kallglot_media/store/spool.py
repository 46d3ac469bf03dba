"""Writes of live calls, which must neither wait for the database nor be lost with it.

    kept = await spool.keep(session_id, turns.add, turn)

True: it is in the database. False: it waits in memory, in order behind what waits already, and is written when the
database is back; the session's folder has it meanwhile (transcript.jsonl), so that a crash does not lose it either.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Concatenate, ParamSpec

from kallglot_media.log import logger
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.store import Store
from kallglot_media.store.tx import Tx

P = ParamSpec("P")

MOST_HELD = 20_000
MOST_AT_ONCE = 200
PATIENCE_S = 1.0
"""How long a caller waits for the database before it goes on without."""
_PAUSES_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)

Query = Callable[[Tx], object]


@dataclass(slots=True, eq=False)
class _Held:
    session_id: str
    query: Query
    now_ms: int
    done: asyncio.Future[bool]


class Spool:
    """See the module.

    counters  held: had to wait; refused: the query raised (a mistake of ours, logged); lost: pushed out by newer ones
    lost      sessions whose writes were pushed out; when the rest is written, `refill` is called for each:
              `recover.from_folder` has what was in them
    """

    def __init__(
        self,
        store: Store,
        *,
        most: int = MOST_HELD,
        patience_s: float = PATIENCE_S,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        refill: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.lost: set[str] = set()
        self._store = store
        self._most = most
        self._patience_s = patience_s
        self._pause = pause
        self._refill = refill
        self._held: deque[_Held] = deque()
        self._away = False
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._log = logger("store")

    def __len__(self) -> int:
        """How many writes wait."""
        return len(self._held)

    async def keep(
        self, session_id: str, query: Callable[Concatenate[Tx, P], object], *args: P.args, **kwargs: P.kwargs
    ) -> bool:
        """Write now if that can be done at once, else later. The query may be run again after a commit that was
        not heard of: it must bear that, as `turns.add`, `sessions.create`, `start` and `end` do.
        """
        if len(self._held) >= self._most:
            oldest = self._held.popleft()
            _settle(oldest, False)
            self.lost.add(oldest.session_id)
            self.counters["lost"] += 1
        held = _Held(
            session_id,
            partial(_call, query, args, kwargs),
            self._store.now_ms(),
            asyncio.get_running_loop().create_future(),
        )
        self._held.append(held)
        self._emptied.clear()
        self._filled.set()
        kept = False
        if not self._away:
            with suppress(TimeoutError):
                kept = await asyncio.wait_for(asyncio.shield(held.done), self._patience_s)
        self.counters["held"] += not kept
        return kept

    async def run(self) -> None:
        """Write what is held, for ever."""
        failures = 0
        while True:
            if not (self.lost and self._refill):
                await self._filled.wait()
            try:
                await self._write_some()
                await self._refill_one()
            except StoreUnavailable as error:
                if not self._away:
                    self._log.warning("database away, writes wait", why=str(error), waiting=len(self._held))
                self._away = True
                await self._pause(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
                failures += 1
                continue
            if self._away:
                self._log.warning("database back", waiting=len(self._held))
            self._away, failures = False, 0

    async def drain(self, limit_s: float) -> bool:
        """Wait until nothing is held; False when something still is after `limit_s`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._emptied.wait(), limit_s)
        return not self._held

    async def _write_some(self) -> None:
        """The oldest writes in one transaction, or, when one of them is a mistake, one by one."""
        some = list(self._held)[:MOST_AT_ONCE]
        if not some:
            return
        try:
            await self._store.write(_all, some)
        except StoreUnavailable:
            raise
        except Exception:
            for held in some:
                await self._write_alone(held)
                self._gone(held)
            return
        for held in some:
            self._gone(held)

    async def _refill_one(self) -> None:
        """Make good what was pushed out, one session at a time, when nothing else waits."""
        if self._held or not self.lost or self._refill is None:
            return
        session_id = self.lost.pop()
        try:
            await self._refill(session_id)
        except StoreUnavailable:
            self.lost.add(session_id)
            raise

    async def _write_alone(self, held: _Held) -> None:
        try:
            await self._store.write_as_of(held.now_ms, held.query)
        except StoreUnavailable:
            raise
        except Exception as error:
            self.counters["refused"] += 1
            self._log.error("bug", call=held.session_id, exc_info=error)

    def _gone(self, held: _Held) -> None:
        if self._held and self._held[0] is held:  # it may have been pushed out meanwhile
            self._held.popleft()
        _settle(held, True)
        if not self._held:
            self._filled.clear()
            self._emptied.set()


def _settle(held: _Held, kept: bool) -> None:
    if not held.done.done():
        held.done.set_result(kept)


def _all(tx: Tx, some: list[_Held]) -> None:
    for held in some:
        held.query(replace(tx, now_ms=held.now_ms))


def _call(query: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object], tx: Tx) -> object:
    return query(tx, *args, **kwargs)
