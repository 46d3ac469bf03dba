"""The interpreter's numbers, in one run: bench_interpreter.py [--out FOLDER] [--parts NAME,…] [--small]

Starter models, this machine. Calls are real ones (server, SIP, RTP, two phones, on loopback); what is said to be
simulated runs the same code faster than time. Recordings: tests/data/speech, in voices that the starter models were not
trained on. FOLDER gets report.md, results.json (every number, each target and whether it is met) and the plots.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from interpreter_calls import long_calls, loss_calls, short_calls
from interpreter_report import Report
from interpreter_said import SHIPPED, SMALL, SPEAKERS, Engines, Size
from interpreter_simulated import (
    entity_table,
    lag_table,
    loss_table,
    nobody_table,
    noise_table,
    policy_table,
    text_table,
)

from kallglot_media.speech.evaluate import Recording, read_set

Simulated = Callable[[Report, Engines, Sequence[Recording], Size], None]
Call = Callable[[Report, Sequence[Recording], Size], None]

SIMULATED: dict[str, Simulated] = {
    "entities": entity_table,
    "nobody": nobody_table,
    "lag": lag_table,
    "texts": text_table,
    "noise": noise_table,
    "loss": loss_table,
    "policies": policy_table,
}
CALLS: dict[str, Call] = {"calls": short_calls, "long-calls": long_calls, "loss-calls": loss_calls}
CORES = "cores"
PARTS = (*SIMULATED, *CALLS, CORES)


def cores(report: Report, size: Size) -> None:
    """Translated calls on one core: in a process of its own, because it holds all engines to one core."""
    file = report.folder / "calls-per-core.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, str(Path(__file__).with_name("bench_calls_per_core.py")), "--keep", str(file)]
    command += ["--plot", str(report.folder / "calls-per-core.png"), "--limit", f"{size.core_limit_s:.0f}"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    report.say("\n**Calls on one core**\n")
    report.say(told.stdout.strip())
    ways: dict[str, list[dict[str, object]]] = {}
    for row in json.loads(file.read_text("utf-8")):
        told_of = {name: row[name] for name in ("calls", "cpu_ms", "memory_mb", "served")}
        ways.setdefault(row["way"], []).append(told_of)
    report.results[CORES] = ways


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--out", type=Path, default=Path("demo-output/bench-interpreter"))
    arguments.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    arguments.add_argument("--small", action="store_true", help="see that it runs; the numbers mean nothing")
    chosen = arguments.parse_args()
    parts = chosen.parts.replace(",", " ").split()
    if not parts or not set(parts) <= set(PARTS):
        arguments.error(f"--parts: write some of {', '.join(PARTS)}")
    os.environ.pop("KALLGLOT_MODELS", None)
    size = SMALL if chosen.small else Size()
    report = Report(chosen.out)
    known = [one for one in read_set(SHIPPED) if one.language in SPEAKERS and one.translation]
    recordings = [
        one for code in SPEAKERS for one in [each for each in known if each.language == code][: size.recordings]
    ]
    load = os.getloadavg()[0]
    report.say(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M}, {platform.machine()}, {os.cpu_count()} cores, load average {load:.1f},"
        f" starter models{', small sizes' if chosen.small else ''}."
    )
    engines = Engines.load() if set(parts) & set(SIMULATED) else None
    took_s = report.results["took_s"] = {}
    for part in PARTS:
        if part not in parts:
            continue
        began_s = time.monotonic()
        if engines is not None and part in SIMULATED:
            SIMULATED[part](report, engines, recordings, size)
        elif part in CALLS:
            CALLS[part](report, recordings, size)
        else:
            cores(report, size)
        took_s[part] = round(time.monotonic() - began_s)
        print(f"  ({part}: {took_s[part]} s)", file=sys.stderr, flush=True)
        report.write()
    report.targets()
    report.say(
        f"\nThe run took {sum(took_s.values()) / 60:.0f} min: {', '.join(f'{k} {v} s' for k, v in took_s.items())}."
    )
    report.write()


if __name__ == "__main__":
    main()
