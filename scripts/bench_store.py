"""How fast the store is: sessions created and ended a second, and a long call's transcript read.

.venv/bin/python scripts/bench_store.py [postgresql://…]      SQLite in a temporary folder when no URL is given
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time

from kallglot_media.random_ids import RandomIds
from kallglot_media.store import endpoints, events, sessions, turns
from kallglot_media.store.sessions import NewSession
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.store import Store, open_store
from kallglot_media.store.turns import Turn
from kallglot_media.store.tx import Tx

SESSIONS = 2000
CLIENTS = 20
TURNS = 2400
"""Two hours with a turn every three seconds."""


def create(tx: Tx) -> str:
    session = sessions.create(tx, NewSession(mode="ai_agent", metadata={"ticket": "4711"}))
    events.add(tx, "session.created", {"id": session.id}, session_id=session.id)
    return session.id


def end(tx: Tx, session_id: str) -> None:
    sessions.end(tx, session_id, "explicit_end")
    events.add(tx, "session.ended", {"id": session_id}, session_id=session_id)


async def create_and_end(store: Store) -> dict[str, float]:
    took_ms: list[float] = []

    async def client() -> None:
        for _ in range(SESSIONS // CLIENTS):
            began_s = time.perf_counter()
            await store.write(end, await store.write(create))
            took_ms.append(1000 * (time.perf_counter() - began_s))

    began_s, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    wall_s = time.perf_counter() - began_s
    took_ms.sort()
    return {
        "per_s": round(SESSIONS / wall_s),
        "cpu_us_each": round(1e6 * (time.process_time() - cpu_s) / SESSIONS),
        "median_ms": round(statistics.median(took_ms), 2),
        "p99_ms": round(took_ms[int(0.99 * len(took_ms))], 2),
    }


async def long_transcript(store: Store) -> dict[str, float]:
    said = [
        Turn("sess_long", n, "agent", "en", "word " * 12, "de", "Wort " * 12, 3000 * n, 3000 * n + 2000)
        for n in range(TURNS)
    ]
    await store.write(turns.add, *said)
    took_ms = []
    for _ in range(20):
        began_s = time.perf_counter()
        assert len(await store.read(turns.of_session, "sess_long")) == TURNS
        took_ms.append(1000 * (time.perf_counter() - began_s))
    return {"turns": TURNS, "median_ms": round(statistics.median(took_ms), 1), "worst_ms": round(max(took_ms), 1)}


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/kallglot.sqlite3"
        store = await open_store(StoreSettings(url), RandomIds())
        report: dict[str, object] = {"create_and_end": await create_and_end(store)}
        report["writes_per_commit"] = round(store.counters["writes"] / store.counters["commits"], 1)
        await store.write(endpoints.create, "https://example.com/hook")
        report["create_and_end_with_one_webhook_each"] = await create_and_end(store)
        report["two_hour_transcript"] = await long_transcript(store)
        print(json.dumps(report, indent=2))
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
