"""What callers notice when a media process is killed (kill -9) in mid-call.

    python scripts/bench_faults.py [--calls 50] [--rounds 3]

So many calls with RTP are up, in two media processes; one of them is killed. Measured at the phones: when the BYE of
each of its calls comes, and that the calls of the other process go on; at the server: how long until the process is
back, and how much of each recording is missing (from the start of the call to the kill, against the mended file).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from bench_api_calls import Calls

from tests.support.server import Server, read_json
from tests.support.waves import RATE_HZ, read_wav

SECONDS_BEFORE_S = 4.0


async def one_round(number_of_calls: int, folder: Path) -> tuple[list[float], int, float, list[float]]:
    """Seconds until each BYE, calls that went on, seconds until the process is back, and missing of each recording."""
    with Server(folder, settings={"media": {"processes": 2}}) as server:
        async with Calls(int(server.address.rsplit(":", 1)[1]), number_of_calls, 30.0) as calls:
            await asyncio.sleep(SECONDS_BEFORE_S)
            victim = server.workers("kallglot_media.media")[0]
            killed_s, killed_at = time.monotonic(), datetime.now(UTC)
            os.kill(victim, signal.SIGKILL)
            coming_back = asyncio.create_task(back(server, victim, killed_s))
            ended = await byes(calls, killed_s)
            back_s = await coming_back
            return ended, number_of_calls - len(ended), back_s, missing_s(server, killed_at)


def missing_s(server: Server, killed_at: datetime) -> list[float]:
    """Of each recorded session that is over, how much of it is not in the file."""
    found = []
    for folder in server.sessions():
        facts = read_json(folder / "session.json")
        path = folder / "customer.wav"
        if facts.get("status") == "ended" and path.exists():
            said_s = (killed_at - datetime.fromisoformat(facts["started_at"])).total_seconds()
            found.append(said_s - len(read_wav(path)[0]) / RATE_HZ)
    return found


async def byes(calls: Calls, since_s: float) -> list[float]:
    """When they came; each is answered. Three seconds without another one are the end."""
    loop = asyncio.get_running_loop()
    found: dict[str, float] = {}
    while True:
        try:
            async with asyncio.timeout(3.0):
                data, source = await loop.sock_recvfrom(calls._socket, 65_536)
        except TimeoutError:
            return sorted(found.values())
        text = data.decode()
        if not text.startswith("BYE "):
            continue
        call_id = re.findall(r"(?im)^call-id: *(\S+)", text)[0]
        found.setdefault(call_id, time.monotonic() - since_s)
        kept = [line for line in text.split("\r\n") if re.match(r"(?i)(via|from|to|call-id|cseq):", line)]
        calls._socket.sendto("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode(), source)


async def back(server: Server, victim: int, since_s: float) -> float:
    while True:
        there = server.workers("kallglot_media.media")
        if victim not in there and len(there) == 2:
            return time.monotonic() - since_s
        await asyncio.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"load average before: {os.getloadavg()[0]:.1f}\n")
    print(
        "| calls | ended | went on | BYE median ms | last BYE ms | process back ms | recordings | missing at most s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-faults-") as folder:
            ended, went_on, back_s, missing = asyncio.run(one_round(arguments.calls, Path(folder)))
        bye_ms = [1000 * bye_s for bye_s in ended]
        print(
            f"| {arguments.calls} | {len(ended)} | {went_on} | {float(np.median(bye_ms)):.0f} | {bye_ms[-1]:.0f} "
            f"| {1000 * back_s:.0f} | {len(missing)} | {max(missing, default=0.0):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
