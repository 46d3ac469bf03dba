"""How fast does an AI answer, and how well is it interrupted? bench_agent.py [--minutes 10] [--out FOLDER]

Real calls over SIP and RTP on this machine, starter models, no language model:
- questions: from the end of the caller's speech to the first sample of the answer, beside what the engines took;
- barge-in: the phone's own clock, from its first sample of speech to the last sample that it heard of the AI;
- noise, music and backchannels under a long announcement: how often the AI stopped, and how often for good;
- answers without a model on the question set of tests/agent.
As Markdown tables.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo_desk import HOST, ROOT, running

from kallglot_media.agent.extract import answer
from kallglot_media.audio.resample import resample
from kallglot_media.phone.demo_setup import free_port_range, free_ports
from kallglot_media.phone.probe import answers_options
from kallglot_media.phone.sounds import load_sound, save_sound
from kallglot_media.speech.models import find_models
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.settings import SpeechSettings
from tests.agent.bases import base, questions
from tests.speech.test_guards import NOBODY

QUESTIONS = ("Ich habe mein Passwort vergessen.", "Wann kommt mein Telefon an?")
LONG = "Ihr Telefon ist unterwegs. Ich schaue gleich nach. Bitte bleiben Sie am Apparat. Das tut mir leid. " * 18
BACKCHANNELS = ("Ja.", "Mhm.", "Genau.", "Okay.", "Ah.", "Ja, gut.")
ROUNDS = 12
INTERRUPTIONS = 24
AT_ONCE = 5
"""So many calls with noise at the same time: what counts in them is not by the clock."""
RATE_HZ = 8000
PARTS = ("answering", "interrupting", "noise", "questions")
QUIET = 300
"""Of 32,768: softer than this is silence in what a phone heard."""
Json = dict[str, Any]


class Bench:
    """One server with a help desk, and a phone to call it with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        settings = SpeechSettings()
        self._speaker = PiperSynthesizer(find_models(settings).voices(), settings)
        self._port = free_ports(1)[0]
        self.calls = 0
        self._lock = threading.Lock()
        self.config = self._write()

    def _write(self) -> Path:
        first_rtp = free_port_range(64)
        desk = {"mode": "help_chat_voice", "source_language": "de", "help_chat": {}}
        knowledge = {"documents": [str(ROOT / "tests" / "interop" / "knowledge")]}
        files = {
            "server.yaml": {
                "data_dir": str(self.folder / "data"),
                "sip": {"listen": [{"transport": "udp", "host": HOST, "port": self._port}], "max_calls": 8},
                "media": {"ports": [first_rtp, first_rtp + 63]},
                "api": {"port": 0},
                "recording": {"min_free_mb": 20},
                "routes": "routes.yaml",
            },
            "routes.yaml": {
                "routes": [{"called": "desk", "mode": "desk.yaml"}, {"called": "long*", "mode": "long.yaml"}]
            },
            "desk.yaml": {**desk, "knowledge": knowledge},
            "long.yaml": {**desk, "phrases": {"greeting": {"de": LONG[:990]}}, "turn_taking": {"silence_s": 60}},
        }
        for name, value in files.items():
            (self.folder / name).write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
        return self.folder / "server.yaml"

    def say(self, text: str) -> Path:
        """A sentence as a WAV file."""
        path = self.folder / f"{abs(hash(text))}.wav"
        made = self._speaker.synthesize(text, "de", None)
        save_sound(path, made.pcm, made.rate_hz)
        return path

    def sound(self, name: str, pcm: Any) -> Path:
        """A sound as a WAV file."""
        save_sound(path := self.folder / f"{name}.wav", pcm, RATE_HZ)
        return path

    def call(self, number: str, steps: list[str]) -> tuple[Json, Path]:
        """One call: the phone's report, and the folder with what it heard. May be called from several threads."""
        with self._lock:
            self.calls += 1
            here = self.folder / f"call{self.calls}"
        here.mkdir()
        (here / "script").write_text("\n".join([*steps, "hangup"]) + "\n", encoding="utf-8")
        where = [f"sip:{number}@{HOST}:{self._port}", "--record", str(here / "heard.wav")]
        more = ["--report", str(here / "report.json"), "--script", str(here / "script")]
        with running(["-m", "kallglot_media.cli", "phone", *where, *more], here / "phone.log") as phone:
            phone.wait(240)
        return json.loads((here / "report.json").read_text("utf-8")), here

    def sessions(self, called: str) -> list[Path]:
        """The sessions of a number, once all calls so far are over."""
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s:
            over: dict[Path, str] = {}
            for path in sorted(self.folder.glob("data/sessions/*/session.json")):
                with contextlib.suppress(ValueError):
                    facts = json.loads(path.read_text("utf-8"))
                    over |= {path.parent: facts["called"]} if facts.get("status") == "ended" else {}
            if len(over) >= self.calls:
                return [path for path, number in over.items() if number == called]
            time.sleep(0.1)
        raise SystemExit("a session did not end")

    def wait_ready(self) -> None:
        """Until it answers."""
        deadline_s = time.monotonic() + 90
        while not answers_options(HOST, self._port):
            if time.monotonic() > deadline_s:
                raise SystemExit((self.folder / "server.log").read_text("utf-8")[-3000:])
            time.sleep(0.1)


def answering(bench: Bench) -> str:
    """Questions one after the other."""
    steps = ["wait reply 1s within 10s"]
    for question in QUESTIONS * ROUNDS:
        steps += [f"play {bench.say(question)}", "wait reply 1s within 15s"]
    bench.call("desk", steps)
    turns = json.loads((bench.sessions("desk")[-1] / "transcript.json").read_text("utf-8"))["turns"]
    found = [turn["timings"] for turn in turns if turn["speaker"] == "ai" and turn["timings"]]
    rows = {
        "end of speech → first sample of the answer": [one["speech_end_to_first_sample_ms"] for one in found],
        "of it the engines": [one["engine_ms"] for one in found],
        "of it the pause that ends a turn": [one["endpoint_ms"] for one in found],
        "the whole less the engines": [one["speech_end_to_first_sample_ms"] - one["engine_ms"] for one in found],
    }
    return "\n".join(f"| {name}, ms | {_numbers(values)} |" for name, values in rows.items())


def interrupting(bench: Bench) -> str:
    """Speech into a long announcement, each time in a call of its own; not counted where it falls into its pause."""
    question = bench.say("Wann kommt mein Telefon an?")
    onset = int(np.flatnonzero(np.abs(load_sound(question, RATE_HZ)) > QUIET)[0])
    took_ms = []
    for number in range(INTERRUPTIONS):
        report, folder = bench.call(
            "long", [f"pause {1200 + 137 * (number % 12)}ms", f"play {question}", "pause 300ms"]
        )
        heard = load_sound(folder / "heard.wav", RATE_HZ)
        start = int(report["played"][0]["start_sample"]) + onset
        before, after = (np.abs(heard[start - RATE_HZ // 10 : start]), np.abs(heard[start : start + RATE_HZ]))
        if before.max() > QUIET:
            took_ms.append(1000 * int(np.flatnonzero(after > QUIET)[-1:].sum()) / RATE_HZ)
    return f"| barge-in: first sample said → last sample heard, ms | {_numbers(took_ms)} |"


def undisturbed(bench: Bench, minutes: float) -> list[str]:
    """Noise, music and backchannels, none of which is a question, AT_ONCE calls of a minute at a time."""
    kinds = disturbances(bench)
    names = [list(kinds)[number % len(kinds)] for number in range(max(1, round(minutes)))]

    def one(number: int) -> str:
        sounds = kinds[names[number]]
        repeat = max(1, round(58 / sum(len(load_sound(sound, RATE_HZ)) / RATE_HZ + 2 for sound in sounds)))
        steps = [step for sound in sounds * repeat for step in (f"play {sound}", "pause 2s")]
        bench.call(f"long{number}", ["pause 2s", *steps])
        return names[number]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(len(names))))
    rows: dict[str, list[float]] = {}
    for number, name in enumerate(names):
        (session,) = bench.sessions(f"long{number}")
        seen = [json.loads(line)["type"] for line in (session / "events.jsonl").read_text("utf-8").splitlines()]
        facts = json.loads((session / "transcript.json").read_text("utf-8"))["metadata"]
        row = rows.setdefault(name, [0, 0, 0])
        row[0] += facts["duration_seconds"] / 60
        row[1] += seen.count("speech.started")
        row[2] += seen.count("interruption")
    table = ["\n| the AI speaks, the caller's side has | minutes | fell silent | for good |\n|---|---|---|---|"]
    total = [sum(row[column] for row in rows.values()) for column in range(3)]
    return table + [f"| {n} | {r[0]:.1f} | {r[1]:.0f} | {r[2]:.0f} |" for n, r in (rows | {"**all**": total}).items()]


def disturbances(bench: Bench) -> dict[str, list[Path]]:
    """What is no question, by name."""
    made = {
        name: [bench.sound(name, resample(NOBODY[name], 16_000, RATE_HZ))]
        for name in ("white noise", "white noise in gusts", "pink noise in gusts", "music")
    }
    return made | {"backchannels": [bench.say(text) for text in BACKCHANNELS]}


def extracting() -> list[str]:
    """The question set."""
    bases = {name: base(name) for name in ("webshop", "hotel", "helpdesk")}
    rows = []
    asked = questions()
    sure = wrong = right = 0
    for question in asked:
        given = answer(bases[question.base], question.text, question.language)
        confident = given is not None and given.confidence >= 0.5
        fits = given is not None and question.wanted is not None and question.wanted.lower() in given.text.lower()
        sure, wrong, right = sure + confident, wrong + (confident and not fits), right + (confident and fits)
    answerable = sum(one.wanted is not None for one in asked)
    rows.append(f"| questions | {len(asked)}, {answerable} of them answerable |")
    rows.append(f"| answered rightly | {right} ({100 * right / answerable:.1f} % of the answerable) |")
    rows.append(f"| wrong with confidence | {wrong} ({100 * wrong / sure:.1f} % of {sure} confident answers) |")
    return rows


def _numbers(values: list[float]) -> str:
    """n, median, p95, longest."""
    if not values:
        return "0 | – | – | –"
    return f"{len(values)} | {median(values):.0f} | {np.percentile(values, 95):.0f} | {max(values):.0f}"


def calls(out: Path, parts: Sequence[str], minutes: float) -> None:
    """What is measured on a server of our own."""
    bench = Bench((out / f"{int(time.time())}").absolute())
    with running(["-m", "kallglot_media.cli", "serve", str(bench.config)], bench.folder / "server.log"):
        bench.wait_ready()
        time.sleep(3)  # engines that just started are busy with themselves
        if {"answering", "interrupting"} & set(parts):
            print("| on real calls | n | p50 | p95 | longest |\n|---|---|---|---|---|")
        for name, measure in (("answering", answering), ("interrupting", interrupting)):
            if name in parts:
                print(measure(bench), flush=True)
        if "noise" in parts and minutes:
            print("\n".join(undisturbed(bench, minutes)), flush=True)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="of noise, music and backchannels")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path, default=Path("demo-output/bench-agent"))
    chosen = parser.parse_args()
    os.environ.pop("KALLGLOT_MODELS", None)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, starter models.\n")
    if set(chosen.parts) - {"questions"}:
        calls(chosen.out, chosen.parts, chosen.minutes)
    if "questions" in chosen.parts:
        print("\n| answers without a model | |\n|---|---|")
        print("\n".join(extracting()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
