"""What does a server without calls cost? As a Markdown table.

    python scripts/bench_idle.py [--seconds 30]

Starts `serve` on free loopback ports with a data folder of its own and the starter models. Ready is when it answers
OPTIONS. CPU is user and system time of all its processes; memory is their proportional set size, so that pages
which several share count once.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.processes import descendants
from tests.support.server import Server

SETTLE_S = 5.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system time of a process since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def pss_mb(pid: int) -> float:
    """Memory of a process; what it shares with others counts in parts."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss line")


def role(pid: int) -> str:
    """What a process is, by its command line."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    for mark, name in {
        "kallglot_media.media": "media process",
        '"kind": "recogniz': "recogniser",
        '"kind": "translat': "translator",
        '"kind": "synthes': "voice",
    }.items():
        if mark in command:
            return name
    return "control process" if "serve" in command else "other"


def measure(seconds: float, folder: Path) -> Sequence[str]:
    """The lines of the table."""
    began_s = time.monotonic()
    with Server(folder) as server:
        ready_s = time.monotonic() - began_s
        pids = [server.child.pid, *sorted(descendants(server.child.pid))]
        time.sleep(SETTLE_S)
        before = {pid: cpu_s(pid) for pid in pids}
        time.sleep(seconds)
        rows = [(role(pid), (cpu_s(pid) - before[pid]) / seconds, pss_mb(pid)) for pid in pids]
    lines = ["| process | CPU, % of a core | memory, MB |", "|---|---|---|"]
    lines += [f"| {name} | {share:.2%} | {mb:.0f} |" for name, share, mb in rows]
    lines.append(f"| **all** | {sum(share for _, share, _ in rows):.2%} | {sum(mb for *_, mb in rows):.0f} |")
    return [f"Ready {ready_s:.1f} s after the start of the process.", "", *lines]


def main() -> int:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=30.0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="kallglot-idle-") as folder:
        lines = measure(given.seconds, Path(folder))
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, over {given.seconds:.0f} s without a call, starter models.",
        *lines,
        sep="\n",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
