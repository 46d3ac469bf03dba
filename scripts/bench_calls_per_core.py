"""Translated calls on one core: our pool beside a process for each call. bench_calls_per_core.py [--calls 5,10,20]

The engines, their lines and their workers, without SIP and RTP (make bench-media has those). Each simulated call says
one of the recordings every PERIOD_S without a pause between them, and each is recognised, translated and spoken. All
processes with models are held to one core. Lag: from the end of an utterance to its made speech. Markdown and a plot.

    pool      one worker of each kind for all calls (speech/pool.py)
    per call  a process for each call with a recogniser, a translator and a voice of its own, the same code and models
    30 s      the same, with Whisper's own window of 30 s

Without --calls, each way begins with FIRST_CALLS; from what they cost it is foreseen how many a core carries, and half,
four fifths and all of those are tried, until a way does not serve them, its memory is short, or its time is over.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import asyncio
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_idle import cpu_s, pss_mb

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.speech.argos import ArgosTranslator
from kallglot_media.speech.evaluate import padded, read_set, through_telephone
from kallglot_media.speech.models import find_models
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.pool import SpeechPool
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.types import SpeechError
from kallglot_media.speech.whisper import WhisperRecognizer
from tests.support.processes import descendants

SHIPPED = Path(__file__).parents[1] / "tests" / "data" / "speech"
OTHER = {"de": "en", "en": "de"}
PERIOD_S = 3.0
LIMIT_MS = 600.0
"""At the 95th percentile: more than this on top of end-pointing, and a call is not served."""

FIRST_CALLS = 6
SHARES = (0.5, 0.8, 1.0)
"""Of the calls that are foreseen."""

OF_THE_TIME = {"pool": 0.2, "auto": 0.5, "full": 0.3}
"""Of --limit, by way: processes with models of their own take long to load."""

MOST_MEMORY = 0.6
"""Of what is free, for processes with models of their own."""

STAGES = ("recognise", "translate", "speak", "wait in line")
DEADLINE_S = 5.0


@dataclass(slots=True)
class Lags:
    """Of one run: ms of each utterance, by stage; lost: those that got no speech in time."""

    total: list[float] = field(default_factory=list)
    stages: list[tuple[float, ...]] = field(default_factory=list)
    lost: int = 0

    def add(self, total_ms: float, *engines_ms: float) -> None:
        self.total.append(total_ms)
        self.stages.append((*engines_ms, max(0.0, total_ms - sum(engines_ms))))

    @property
    def p95_ms(self) -> float:
        return float(np.percentile(self.total, 95)) if self.total else float("inf")


@dataclass(frozen=True, slots=True)
class Row:
    """What a way does with so many calls."""

    way: str
    calls: int
    lags: Lags
    cpu_ms: float
    memory_mb: float

    @property
    def served(self) -> bool:
        """Whether every utterance was made over in time."""
        return not self.lags.lost and self.lags.p95_ms <= LIMIT_MS


def sounds() -> list[tuple[Pcm16, str]]:
    """What is said: telephone sound and its language."""
    return [(through_telephone(padded(one.pcm)), one.language) for one in read_set(SHIPPED) if one.language in OTHER]


def due_s(call: int, calls: int, number: int) -> float:
    """When an utterance ends: calls are spread evenly over the period."""
    return PERIOD_S * (number + call / calls)


# ── our pool ─────────────────────────────────────────────────────────────────────


async def run_pool(calls: int, seconds: float, core: int) -> Row:
    """One worker of each kind, all on `core`. Nothing is taken from the caches: every call says something new."""
    os.sched_setaffinity(0, {core})  # the workers inherit it
    pool = SpeechPool(replace(SpeechSettings(), cache_bytes=0, when_busy="degrade", longest_line=1000))
    await pool.start()
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        pids = sorted(descendants(os.getpid()))
        before_s = sum(cpu_s(pid) for pid in pids)
        lags, said = Lags(), sounds()
        began_s = time.monotonic() + 0.5
        await asyncio.gather(*(_pool_call(pool, lags, said, call, calls, began_s, seconds) for call in range(calls)))
        spent_s = sum(cpu_s(pid) for pid in pids) - before_s
        turns = max(1, len(lags.total) + lags.lost)
        return Row("pool", calls, lags, 1000 * spent_s / turns, sum(pss_mb(pid) for pid in pids))
    finally:
        await pool.stop()


async def _pool_call(
    pool: SpeechPool,
    lags: Lags,
    said: Sequence[tuple[Pcm16, str]],
    call: int,
    calls: int,
    began_s: float,
    seconds: float,
) -> None:
    for number in range(int(seconds / PERIOD_S)):
        ends_s = began_s + due_s(call, calls, number)
        await asyncio.sleep(max(0.0, ends_s - time.monotonic()))
        pcm, language = said[(7 * call + number) % len(said)]
        try:
            heard = await pool.transcribe(pcm, language, deadline_s=DEADLINE_S)
            made = await pool.translate(heard.text or "Ja.", language, OTHER[language], deadline_s=DEADLINE_S)
            speech = await pool.synthesize(made.text, OTHER[language], None, deadline_s=DEADLINE_S)
        except SpeechError:
            lags.lost += 1
            continue
        lags.add(1000 * (time.monotonic() - ends_s), heard.engine_ms, made.engine_ms, speech.engine_ms)


# ── a process for each call ──────────────────────────────────────────────────────


def run_per_call(calls: int, seconds: float, core: int, window: str) -> Row:
    """So many processes, each with models of its own, all on `core`."""
    command = [sys.executable, str(Path(__file__)), "--one-call", window]
    children = [
        subprocess.Popen(
            [*command, str(call), str(calls), str(seconds), str(core)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for call in range(calls)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline().strip() == "ready"
        before_s = sum(cpu_s(child.pid) for child in children)
        memory_mb = sum(pss_mb(child.pid) for child in children)
        began_s = time.monotonic() + 0.5
        for child in children:
            assert child.stdin is not None
            child.stdin.write(f"{began_s}\n")
            child.stdin.flush()
        lags = Lags()
        for child in children:
            assert child.stdout is not None
            for total_ms, *engines_ms in json.loads(child.stdout.readline()):
                lags.add(total_ms, *engines_ms)
        spent_s = sum(cpu_s(child.pid) for child in children) - before_s
    finally:
        for child in children:
            child.communicate()
    name = "per call" if window == "auto" else "per call, 30 s window"
    return Row(name, calls, lags, 1000 * spent_s / max(1, len(lags.total)), memory_mb)


def one_call(window: str, call: int, calls: int, seconds: float, core: int) -> None:
    """A process with one call: load, say so, work the utterances off one after the other, tell the lags."""
    os.nice(10)
    settings = replace(SpeechSettings(), window="full" if window == "full" else "auto")
    models = find_models(settings)
    recognizer = WhisperRecognizer(models.recognizer(None), settings)
    translator, voice = ArgosTranslator(models.packages(), settings), PiperSynthesizer(models.voices(), settings)
    said = sounds()
    os.sched_setaffinity(0, {core})
    print("ready", flush=True)
    began_s = float(sys.stdin.readline())
    told = []
    for number in range(int(seconds / PERIOD_S)):
        ends_s = began_s + due_s(call, calls, number)
        time.sleep(max(0.0, ends_s - time.monotonic()))
        pcm, language = said[(7 * call + number) % len(said)]
        heard = recognizer.transcribe(pcm, language)
        made = translator.translate(heard.text or "Ja.", language, OTHER[language])
        speech = voice.synthesize(made.text, OTHER[language], None)
        told.append((1000 * (time.monotonic() - ends_s), heard.engine_ms, made.engine_ms, speech.engine_ms))
    print(json.dumps(told), flush=True)
    sys.stdin.readline()  # until its memory and time have been read


# ── what comes of it ─────────────────────────────────────────────────────────────


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| way | calls on one core | utterances | lag p50 / p95 ms | lost | CPU ms an utterance | memory MB | served |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        p50 = f"{np.percentile(row.lags.total, 50):.0f}" if row.lags.total else "–"
        lines.append(
            f"| {row.way} | {row.calls} | {len(row.lags.total)} | {p50} / {row.lags.p95_ms:.0f} | {row.lags.lost} "
            f"| {row.cpu_ms:.0f} | {row.memory_mb:.0f} | {'yes' if row.served else 'no'} |"
        )
    return "\n".join(lines)


def plot(rows: Sequence[Row], file: Path) -> None:
    """Where the time goes: mean ms of an utterance by stage, one bar for each row."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 0.42 * len(rows) + 1.4), facecolor="white", layout="constrained")
    axis = figure.subplots()
    names = [f"{row.way}: {row.calls} calls" for row in rows]
    left = np.zeros(len(rows))
    for number, (stage, colour) in enumerate(zip(STAGES, ("#1668b0", "#2e7d4f", "#b4511e", "#c9ced6"), strict=True)):
        means = np.array([np.mean([one[number] for one in row.lags.stages]) for row in rows])
        axis.barh(names, means, left=left, color=colour, label=stage)
        left = left + means
    axis.set_xlim(0, min(float(left.max()) * 1.05, 1.2 * LIMIT_MS))
    axis.axvline(LIMIT_MS, color="#c81e3c", linewidth=0.8, linestyle="--")
    axis.invert_yaxis()
    axis.set_xlabel(f"ms from the end of an utterance to its made speech, mean; dashed: {LIMIT_MS:.0f} ms")
    axis.legend(frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def rows_of(way: str, given: Sequence[int] | None, seconds: float, core: int, until_s: float) -> Iterator[Row]:
    """One row after the other, until one is not served, or the next one would not be over by until_s."""
    began_s, row = time.monotonic(), _row(way, given[0] if given else FIRST_CALLS, seconds, core)
    yield row
    for wanted in given[1:] if given else foreseen(row):
        if not row.served:
            return
        calls = wanted
        if not given:
            took_s, left_s = time.monotonic() - began_s, until_s - time.monotonic()
            # A process for each call is loaded for each call; the pool is loaded once.
            fits = int((left_s - seconds) * row.calls / max(0.1, took_s - seconds)) if way != "pool" else wanted
            calls = min(wanted, fits)
            if calls <= row.calls or left_s < took_s:
                return
        began_s, row = time.monotonic(), _row(way, calls, seconds, core)
        yield row


def _row(way: str, calls: int, seconds: float, core: int) -> Row:
    if way == "pool":
        return asyncio.run(run_pool(calls, seconds, core))
    return run_per_call(calls, seconds, core, way)


def foreseen(row: Row) -> list[int]:
    """How many calls are worth trying, from what the first ones took."""
    carried = 1000 * PERIOD_S / max(1.0, row.cpu_ms)
    if row.way != "pool":
        free_mb = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6
        carried = min(carried, MOST_MEMORY * free_mb / max(1.0, row.memory_mb / row.calls))
    return sorted({round(share * carried) for share in SHARES if round(share * carried) > row.calls})


def told(row: Row) -> dict[str, Any]:
    """As it is kept."""
    return {**asdict(row), "served": row.served}


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--calls", help="so many, one number after the other; left out: as foreseen")
    arguments.add_argument("--limit", type=float, default=300.0, help="seconds, about; each way has one row always")
    arguments.add_argument("--seconds", type=float, default=9.0)
    arguments.add_argument("--plot", type=Path)
    arguments.add_argument("--keep", type=Path, help="JSON file: rows of earlier runs are told and drawn, too")
    arguments.add_argument("--ways", default="pool,auto,full")
    arguments.add_argument("--one-call", nargs=5, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    os.environ.pop("KALLGLOT_MODELS", None)
    if chosen.one_call:
        window, call, calls, seconds, core = chosen.one_call
        one_call(window, int(call), int(calls), float(seconds), int(core))
        return
    core = (os.cpu_count() or 1) - 1
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, one of {os.cpu_count()} cores, starter models; ", end=""
    )
    print(f"an utterance every {PERIOD_S:.0f} s in each call.\n", flush=True)
    rows: list[Row] = []
    if chosen.keep is not None and chosen.keep.exists():
        kept = json.loads(chosen.keep.read_text("utf-8"))
        for one in kept:
            del one["served"]  # follows from the rest
            rows.append(Row(**{**one, "lags": Lags(**one["lags"])}))
    ways = chosen.ways.split(",")
    given = [int(part) for part in chosen.calls.split(",")] if chosen.calls else None
    for way in ways:
        until_s = time.monotonic() + chosen.limit * OF_THE_TIME.get(way, 0.3)
        for row in rows_of(way, given, chosen.seconds, core, until_s):
            rows.append(row)
            if chosen.keep is not None:  # at once: what was measured is not to be lost with the rest
                chosen.keep.write_text(json.dumps([told(one) for one in rows]), "utf-8")
    print(table(rows))
    if chosen.plot is not None:
        plot(rows, chosen.plot)


if __name__ == "__main__":
    main()
