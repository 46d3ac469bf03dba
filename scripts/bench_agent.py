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
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo_desk import HOST, ROOT, running

from kallglot_media.agent.extract import answer
from kallglot_media.phone.demo_setup import free_port_range, free_ports
from kallglot_media.phone.probe import answers_options
from kallglot_media.phone.sounds import load_sound, save_sound
from kallglot_media.speech.models import find_models
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.settings import SpeechSettings
from tests.agent.bases import base, questions

QUESTIONS = ("Ich habe mein Passwort vergessen.", "Wann kommt mein Telefon an?")
LONG = "Ihr Telefon ist unterwegs. Ich schaue gleich nach. Bitte bleiben Sie am Apparat. Das tut mir leid. " * 18
ROUNDS = 4
INTERRUPTIONS = 10
RATE_HZ = 8000
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
            "routes.yaml": {"routes": [{"called": name, "mode": f"{name}.yaml"} for name in ("desk", "long")]},
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
        """One call: the phone's report, and the session's folder."""
        self.calls += 1
        here = self.folder / f"call{self.calls}"
        here.mkdir(exist_ok=True)
        (here / "script").write_text("\n".join([*steps, "hangup"]) + "\n", encoding="utf-8")
        where = [f"sip:{number}@{HOST}:{self._port}", "--record", str(here / "heard.wav")]
        more = ["--report", str(here / "report.json"), "--script", str(here / "script")]
        with running(["-m", "kallglot_media.cli", "phone", *where, *more], here / "phone.log") as phone:
            phone.wait(240)
        return json.loads((here / "report.json").read_text("utf-8")), self._session(self.calls)

    def _session(self, count: int) -> Path:
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s:
            over = []
            for path in sorted(self.folder.glob("data/sessions/*/session.json")):
                with contextlib.suppress(ValueError):
                    over += [path.parent] if json.loads(path.read_text("utf-8")).get("status") == "ended" else []
            if len(over) >= count:
                return over[-1]
            time.sleep(0.1)
        raise SystemExit("a session did not end")

    def wait_ready(self) -> None:
        """Until it answers."""
        deadline_s = time.monotonic() + 90
        while not answers_options(HOST, self._port):
            if time.monotonic() > deadline_s:
                raise SystemExit((self.folder / "server.log").read_text("utf-8")[-3000:])
            time.sleep(0.1)


def kinds(session: Path) -> list[str]:
    """The events of a session, in order."""
    return [json.loads(line)["type"] for line in (session / "events.jsonl").read_text("utf-8").splitlines()]


def answering(bench: Bench) -> str:
    """Questions one after the other."""
    steps = ["wait reply 1s within 10s"]
    for question in QUESTIONS * ROUNDS:
        steps += [f"play {bench.say(question)}", "wait reply 1s within 15s"]
    _, session = bench.call("desk", steps)
    turns = json.loads((session / "transcript.json").read_text("utf-8"))["turns"]
    found = [turn["timings"] for turn in turns if turn["speaker"] == "ai" and turn["timings"]]
    whole = [one["speech_end_to_first_sample_ms"] for one in found]
    over = [one["speech_end_to_first_sample_ms"] - one["engine_ms"] for one in found]
    return (
        f"| end of speech → first sample of the answer, ms | {len(found)} | {median(whole):.0f} | {_p95(whole):.0f} |\n"
        f"| the same less what the engines took, ms | {len(found)} | {median(over):.0f} | {_p95(over):.0f} |"
    )


def interrupting(bench: Bench) -> str:
    """Speech into a long announcement, each time in a call of its own."""
    question = bench.say("Wann kommt mein Telefon an?")
    onset = int(np.flatnonzero(np.abs(load_sound(question, RATE_HZ)) > QUIET)[0])
    took_ms = []
    for number in range(INTERRUPTIONS):
        report, _ = bench.call("long", [f"pause {1500 + 137 * number}ms", f"play {question}", "pause 300ms"])
        heard = load_sound(bench.folder / f"call{bench.calls}" / "heard.wav", RATE_HZ)
        start = int(report["played"][0]["start_sample"]) + onset
        loud = np.flatnonzero(np.abs(heard[start : start + RATE_HZ]) > QUIET)
        took_ms.append(1000 * (int(loud[-1]) if len(loud) else 0) / RATE_HZ)
    name = "barge-in: first sample said → last sample heard, ms"
    return f"| {name} | {len(took_ms)} | {median(took_ms):.0f} | {_p95(took_ms):.0f} |"


def undisturbed(bench: Bench, minutes: float) -> str:
    """Noise, music and backchannels, none of which is a question."""
    rng = np.random.default_rng(5)
    at = np.arange(60 * RATE_HZ) / RATE_HZ
    noise = bench.sound("noise", (rng.standard_normal(len(at)) * 500).astype(np.int16))
    chord = sum(np.sin(2 * np.pi * hz * at) * (1 + np.sin(2 * np.pi * 2 * at)) for hz in (262, 330, 392))
    music = bench.sound("music", (np.asarray(chord) * 1500).astype(np.int16))
    yes, mhm = bench.say("Ja, genau."), bench.say("Mhm.")
    counted = {"paused and went on": 0, "stopped for good": 0}
    seconds = 0.0
    for number in range(max(1, round(minutes))):
        sounds = [noise] if number % 3 == 0 else [music] if number % 3 == 1 else [yes, mhm] * 9
        steps = ["pause 2s"] + [step for one in sounds for step in (f"play {one}", "pause 2s")]
        _, session = bench.call("long", steps)
        seen = kinds(session)
        counted["paused and went on"] += seen.count("interruption.false")
        counted["stopped for good"] += seen.count("interruption")
        seconds += json.loads((session / "transcript.json").read_text("utf-8"))["metadata"]["duration_seconds"]
    told = ", ".join(f"{count} times {what}" for what, count in counted.items())
    return f"| noise, music, backchannels: {seconds / 60:.1f} min | {told} | | |"


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


def _p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="of noise, music and backchannels")
    parser.add_argument("--out", type=Path, default=Path("demo-output/bench-agent"))
    chosen = parser.parse_args()
    os.environ.pop("KALLGLOT_MODELS", None)
    bench = Bench((chosen.out / f"{int(time.time())}").absolute())
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, starter models.\n")
    print("| on real calls | n | p50 | p95 |\n|---|---|---|---|")
    with running(["-m", "kallglot_media.cli", "serve", str(bench.config)], bench.folder / "server.log"):
        bench.wait_ready()
        time.sleep(3)  # engines that just started are busy with themselves
        print(answering(bench), flush=True)
        print(interrupting(bench), flush=True)
        if chosen.minutes:
            print(undisturbed(bench, chosen.minutes), flush=True)
    print("\n| answers without a model | |\n|---|---|")
    print("\n".join(extracting()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
