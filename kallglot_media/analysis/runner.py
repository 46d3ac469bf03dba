"""The task that makes analyses. They are rows: one that a server did not finish is made by the next."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from kallglot_media.analysis.analyse import analyse
from kallglot_media.analysis.model import Model
from kallglot_media.log import logger
from kallglot_media.store import analyses, sessions, turns
from kallglot_media.store.analyses import Analysis
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.store import Store
from kallglot_media.store.tx import Tx

LEASE_MS = 10 * 60_000
_IDLE_S = 60.0
_NO_WORDS = "no words were kept of this session: it has no transcript"

Tell = Callable[[Tx, Analysis], None]
"""Tells about an analysis that is complete or failed, in the transaction that says so: usually events.add."""


class AnalysisRunner:
    """Makes analyses one after the other, woken by the store. `model` None: what can be computed is."""

    def __init__(self, store: Store, model: Model | None = None, tell: Tell | None = None) -> None:
        self.counters: Counter[str] = Counter()
        self._store = store
        self._model = model
        self._tell = tell
        self._wake = asyncio.Event()
        self._log = logger("analysis")
        store.on_commit(analyses.TOPIC, self._wake.set)

    async def run(self) -> None:
        """Make them for ever."""
        while True:
            self._wake.clear()
            try:
                while await self.make_one():
                    pass
            except StoreUnavailable as error:
                self._log.warning("analyses wait", why=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _IDLE_S)

    async def make_one(self) -> bool:
        """Make the one that waits longest; False when none waits."""
        taken = await self._store.write(analyses.take, LEASE_MS)
        if taken is None:
            return False
        said = await self._store.read(turns.of_session, taken.session_id)
        if not said:
            await self._store.write(self._fail, taken.id, _NO_WORDS)
            return True
        session = await self._store.read(sessions.get, taken.session_id)
        duration_ms = (session.duration_ms or 0) if session else 0
        try:
            result = await analyse(said, taken.kinds, taken.options, self._model, duration_ms)
        except Exception as error:
            # A mistake of ours: it fails this analysis, and the next one is made.
            self._log.error("bug", analysis=taken.id, exc_info=error)
            await self._store.write(self._fail, taken.id, f"{type(error).__name__} in the analysis; see the log")
            return True
        await self._store.write(self._complete, taken.id, result)
        self.counters["complete"] += 1
        return True

    def _complete(self, tx: Tx, analysis_id: str, result: dict[str, object]) -> None:
        self._told(tx, analyses.complete(tx, analysis_id, result))

    def _fail(self, tx: Tx, analysis_id: str, error: str) -> None:
        self._told(tx, analyses.failed(tx, analysis_id, error))

    def _told(self, tx: Tx, done: Analysis | None) -> None:
        if done is not None and self._tell is not None:
            self._tell(tx, done)
