"""How fast the control API is, and whether calls notice. bench_api.py [--seconds 10] [--only PART,PART]

A real server (SQLite, starter models) in processes of its own; the clients are in this one. As Markdown tables.

sessions    sessions created and ended a second, by 16 clients that wait for each answer
calls       100 calls to `echo` with RTP; then 100 sessions a second made and ended beside them: how long each request
            takes, and how late the media ticks are without and with them
transcript  the transcript of a call of two hours, read over HTTP
stream      200 sessions whose customer speaks into the stream in pieces of 20, 100 and 200 ms: how much later than with
            one session it comes out for the agent
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_api_calls import Calls
from bench_api_http import Http, percentile
from bench_api_stream import stream_delays

from kallglot_media.random_ids import RandomIds
from kallglot_media.store import sessions, turns
from kallglot_media.store.sessions import NewSession
from kallglot_media.store.settings import StoreSettings, sqlite_url
from kallglot_media.store.store import open_store
from kallglot_media.store.turns import Turn
from tests.support.rest import api_url, make_key
from tests.support.server import Server

CLIENTS = 16
SESSIONS_A_SECOND = 100
CALLS = 100
STREAMS = 200
TURNS = 2400
"""Two hours with a turn every three seconds."""

NEW = {"mode": "bidirectional_translation", "source_language": "de", "target_language": "en"}
SETTINGS = {
    "api": {"port": 0, "requests_per_minute": 0},
    "sip": {"max_calls": 400},
    "log": {"level": "info"},
    "media": {"ports": [20_000, 21_599]},
}
MODES = {
    "open": {
        "agent": {"to": "sip:nobody@127.0.0.1:9", "ring_s": 1},
        "gains": {"original_level_db": 0.0, "original_idle_db": 0.0},
        "recording": {"enabled": False},
    }
}


def table(head: Sequence[str], *rows: Sequence[object]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


async def create_and_end(http: Http, took_ms: list[float]) -> None:
    """One session."""
    loop = asyncio.get_running_loop()
    for method, path, body in (("POST", "/v1/sessions", NEW), ("POST", "/v1/sessions/{}/end", None)):
        began_s = loop.time()
        answer = await http.call(method, path.format(http.last_id), body)
        http.last_id = answer["id"]
        took_ms.append(1000 * (loop.time() - began_s))


async def bench_sessions(url: str, key: str, seconds: float) -> str:
    """As many as go."""
    loop, took_ms, done = asyncio.get_running_loop(), list[float](), 0
    until_s = loop.time() + seconds

    async def client() -> None:
        nonlocal done
        async with Http(url, key) as http:
            while loop.time() < until_s:
                await create_and_end(http, took_ms)
                done += 1

    began_s = loop.time()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    rate = done / (loop.time() - began_s)
    return table(
        ["sessions created and ended a second", "requests", "median ms", "p99 ms"],
        [round(rate), len(took_ms), round(percentile(took_ms, 50), 1), round(percentile(took_ms, 99), 1)],
    )


async def ticks(http: Http, seconds: float) -> dict[str, float]:
    """What /metrics says of the media ticks in these seconds."""
    before = await http.metrics()
    await asyncio.sleep(seconds)
    after = await http.metrics()
    names = ("kallglot_media_ticks", *(f"kallglot_media_ticks_late_over_{ms}ms" for ms in (1, 5, 20)))
    ticks = {name.removeprefix("kallglot_media_"): after[name] - before[name] for name in names}
    return ticks | {"p99_ms": 1000 * after["kallglot_media_lateness_p99_seconds"]}


def of_ticks(name: str, found: dict[str, float]) -> list[object]:
    """A row of the lateness histogram."""
    late = (f"{found[f'ticks_late_over_{ms}ms']:.0f}" for ms in (1, 5, 20))
    return [name, f"{found['ticks']:.0f}", *late, f"{found['p99_ms']:.2f}"]


async def bench_calls(server: Server, url: str, key: str, seconds: float) -> str:
    """With 100 calls up: first nothing, then 100 sessions a second."""
    loop = asyncio.get_running_loop()
    async with Calls(server.sip_port, CALLS, 2 * seconds + 20), Http(url, key) as watcher:
        await asyncio.sleep(3.0)
        without = await ticks(watcher, seconds)
        https = [Http(url, key) for _ in range(40)]
        for http in https:
            await http.open()
        idle, took_ms, tasks, late = list(https), list[float](), set[asyncio.Task[None]](), 0

        async def one() -> None:
            nonlocal late
            if not idle:
                late += 1
                return
            http = idle.pop()
            await create_and_end(http, took_ms)
            idle.append(http)

        measuring = asyncio.create_task(ticks(watcher, seconds))
        began_s = loop.time()
        for number in range(round(seconds * SESSIONS_A_SECOND)):
            await asyncio.sleep(began_s + number / SESSIONS_A_SECOND - loop.time())
            task = asyncio.create_task(one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        beside = await measuring
        await asyncio.gather(*tasks)
        for http in https:
            http.close()
    head = [
        "100 calls, each with RTP both ways",
        "ticks",
        "late > 1 ms",
        "> 5 ms",
        "> 20 ms",
        "p99 of the last 2 s, ms",
    ]
    histogram = table(head, of_ticks("alone", without), of_ticks(f"and {SESSIONS_A_SECOND} sessions/s", beside))
    asked = table(
        ["requests beside 100 calls", "median ms", "p99 ms", "longest ms", "sessions not asked for, 40 were open"],
        [len(took_ms), *(round(percentile(took_ms, share), 1) for share in (50, 99, 100)), late],
    )
    return histogram + "\n" + asked


async def add_long_call(server: Server) -> str:
    """A session with a transcript of two hours, written before the server starts; its id."""
    store = await open_store(StoreSettings(sqlite_url(server.data)), RandomIds())
    session = await store.write(sessions.create, NewSession(mode="bidirectional_translation", node="elsewhere"))
    said = [
        Turn(session.id, n, "agent", "en", "word " * 12, "de", "Wort " * 12, 3000 * n, 3000 * n + 2000)
        for n in range(TURNS)
    ]
    await store.write(turns.add, *said)
    await store.close()
    return str(session.id)


async def bench_transcript(server: Server, url: str, key: str) -> str:
    """Read 50 times."""
    session_id, loop, took_ms = await add_long_call(server), asyncio.get_running_loop(), list[float]()
    async with Http(url, key) as http:
        for _ in range(50):
            began_s = loop.time()
            answer = await http.call("GET", f"/v1/sessions/{session_id}/transcript")
            took_ms.append(1000 * (loop.time() - began_s))
            assert len(answer["turns"]) == TURNS
    return table(
        ["two-hour transcript, 2,400 turns", "kB", "median ms", "p99 ms"],
        ["", len(json.dumps(answer)) // 1024, round(percentile(took_ms, 50), 1), round(percentile(took_ms, 99), 1)],
    )


async def bench_stream(url: str, key: str, seconds: float) -> str:
    """The same with one session and with 200."""
    rows: list[list[object]] = []
    for count in (3, STREAMS):
        found = await stream_delays(url, key, NEW, count, seconds)
        rows += [
            [count, chunk_ms, len(delays), *(round(percentile(delays, share), 1) for share in (50, 99, 99.9))]
            for chunk_ms, delays in sorted(found.delays_ms.items())
        ]
        answers = (round(percentile(found.answers_ms, share), 1) for share in (50, 99, 99.9))
        rows.append([count, "ping to pong amid the sound", len(found.answers_ms), *answers])
        late = (round(percentile(found.sending_late_ms, share), 1) for share in (50, 99, 99.9))
        rows.append([count, "how late the clients sent", found.sent, *late])
    quiet = {row[1]: row[3] for row in rows[: len(rows) // 2]}
    added = [
        [row[1], round(float(str(row[4])) - float(str(quiet[row[1]])), 1)]
        for row in rows[len(rows) // 2 :]
        if row[1] in (20, 100, 200)
    ]
    delays = table(["sessions", "ms a piece", "pieces", "median ms", "p99 ms", "p99.9 ms"], *rows)
    return delays + "\n" + table(["ms a piece", "p99 with 200 sessions above the median with one each, ms"], *added)


async def run(arguments: argparse.Namespace) -> None:
    """All parts, each printed as soon as it is measured."""
    parts = arguments.only.split(",")
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), settings=SETTINGS, modes=MODES) as server:
        key, url = make_key(server), api_url(server)
        if "sessions" in parts:
            print(await bench_sessions(url, key, arguments.seconds), flush=True)
        if "calls" in parts:
            print(await bench_calls(server, url, key, arguments.seconds), flush=True)
        if "transcript" in parts:
            print(await bench_transcript(server, url, key), flush=True)
        if "stream" in parts:
            print(await bench_stream(url, key, arguments.seconds), flush=True)


def come_first() -> bool:
    """Before the other jobs of this machine, as on one that has no others; whether the kernel allows it."""
    try:
        Path("/proc/self/autogroup").write_text("-15")
    except OSError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each part is measured")
    parser.add_argument("--only", default="sessions,calls,transcript,stream", help="these parts")
    first = "before other jobs" if come_first() else "beside other jobs"
    now, load = datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), os.getloadavg()[0]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{now} UTC, {machine}, load average {load:.1f}, {first}\n")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
