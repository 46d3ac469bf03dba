"""Hear a desk at work: demo_desk.py webshop|hotel|helpdesk [--out FOLDER]

Starts a server with the desk's configuration on free ports of this machine, a phone for the caller and, where the desk
has one, for the human; their sentences are made with the starter voices. Prints the transcript, draws the call, and
fails when what the desk promises did not happen.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kallglot_media.phone.demo_setup import free_port_range, free_ports
from kallglot_media.phone.plot import plot_session
from kallglot_media.phone.probe import answers_options
from kallglot_media.phone.sounds import save_sound
from kallglot_media.speech.models import find_models
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.settings import SpeechSettings

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
EXAMPLES = ROOT / "configs" / "examples"
READY_S, LIMIT_S = 90.0, 110.0
WARM_S = 3.0
"""On a busy machine the engines want a moment after their start before a call is taken."""
Json = dict[str, Any]


def desks() -> list[str]:
    """Every desk that can be heard."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/desk.yaml"))


def prepare(name: str, folder: Path) -> tuple[Json, Path, list[int]]:
    """The desk's files with free ports in them: (desk, server.yaml, [sip, human, service])."""
    shutil.rmtree(folder, ignore_errors=True)
    config = folder / "config"
    shutil.copytree(EXAMPLES / name, config)
    desk: Json = yaml.safe_load((config / "desk.yaml").read_text("utf-8"))
    ports = free_ports(3)
    server = yaml.safe_load((config / "server.yaml").read_text("utf-8"))
    server["data_dir"] = str(folder / "data")
    server["sip"]["listen"][0]["port"] = ports[0]
    first_rtp = free_port_range(64)
    server |= {"media": {"ports": [first_rtp, first_rtp + 63]}, "recording": {"min_free_mb": 20}, "api": {"port": 0}}
    (config / "server.yaml").write_text(yaml.safe_dump(server), encoding="utf-8")
    mode = (config / "mode.yaml").read_text("utf-8").replace(f"{HOST}:5070", f"{HOST}:{ports[1]}")
    (config / "mode.yaml").write_text(mode.replace(f"{HOST}:8099", f"{HOST}:{ports[2]}"), encoding="utf-8")
    return desk, config / "server.yaml", ports


def script_of(party: Json, folder: Path, speaker: PiperSynthesizer) -> Path:
    """What a phone does, with its sentences as WAV files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = []
    for number, step in enumerate(party["steps"]):
        if "say" in step:
            made = speaker.synthesize(step["say"], party["language"], None)
            save_sound(folder / f"{number}.wav", made.pcm, made.rate_hz)
            steps.append(f"play {folder / f'{number}.wav'}")
        elif "keys" in step:
            steps.append(f"dtmf {step['keys']}")
        else:
            steps.append("wait reply 1500ms within 25s" if "listen" in step else f"pause {step['wait']}s")
    (folder / "script").write_text("\n".join([*steps, "hangup"]) + "\n", encoding="utf-8")
    return folder / "script"


@contextlib.contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child that does not outlive the block."""
    env = {name: value for name, value in os.environ.items() if name != "KALLGLOT_MODELS"}
    with log.open("wb") as out:
        child = subprocess.Popen([sys.executable, *command], stdout=out, stderr=out, cwd=ROOT, env=env)
    try:
        yield child
    finally:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(20)
        child.kill()
        child.wait()


def play(name: str, folder: Path) -> Path:
    """The whole call; the session's folder. Raises SystemExit when it did not come to pass."""
    desk, config, (sip_port, human_port, service_port) = prepare(name, folder)
    settings = SpeechSettings()
    speaker = PiperSynthesizer(find_models(settings).voices(), settings)
    phone = ["-m", "kallglot_media.cli", "phone"]
    with contextlib.ExitStack() as stack:
        if "service" in desk:
            stack.enter_context(running([desk["service"], str(service_port)], folder / "service.log"))
        server = stack.enter_context(running(["-m", "kallglot_media.cli", "serve", str(config)], folder / "server.log"))
        deadline_s = time.monotonic() + READY_S
        while not answers_options(HOST, sip_port):
            if server.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit(f"the server did not start:\n{(folder / 'server.log').read_text('utf-8')[-3000:]}")
            time.sleep(0.1)
        time.sleep(WARM_S)
        if "human" in desk:
            script = script_of(desk["human"], folder / "human", speaker)
            where = ["--listen", f"{HOST}:{human_port}", "--record", str(folder / "human-heard.wav")]
            stack.enter_context(running([*phone, *where, "--script", str(script)], folder / "human.log"))
        script = script_of(desk["customer"], folder / "customer", speaker)
        where = [f"sip:{desk['called']}@{HOST}:{sip_port}", "--record", str(folder / "customer-heard.wav")]
        caller = stack.enter_context(running([*phone, *where, "--script", str(script)], folder / "customer.log"))
        caller.wait(LIMIT_S)
        return ended(folder / "data")


def ended(data: Path) -> Path:
    """The session's folder, once it is finished."""
    deadline_s = time.monotonic() + 20.0
    while time.monotonic() < deadline_s:
        for path in data.glob("sessions/*/session.json"):
            with contextlib.suppress(ValueError):
                if json.loads(path.read_text("utf-8")).get("status") == "ended":
                    return path.parent
        time.sleep(0.1)
    raise SystemExit("the session did not end")


def missing(desk: Json, session: Path) -> list[str]:
    """What the desk promises and the transcript does not have."""
    turns = json.loads((session / "transcript.json").read_text("utf-8"))["turns"]
    spoken = " ".join(turn["text"] for turn in turns if turn["speaker"] == "ai")
    done = [turn["action"]["type"] for turn in turns if "action" in turn]
    wanted = desk["expect"]
    lacks = [f"the AI did not say {words!r}" for words in wanted.get("ai", ()) if words not in spoken]
    if done != wanted.get("actions", []):
        lacks.append(f"was done: {done}, promised: {wanted.get('actions', [])}")
    heard = {turn["speaker"] for turn in turns if turn["translation"]}
    return lacks + [
        f"no words of the {one} were translated" for one in wanted.get("translated", ()) if one not in heard
    ]


def main() -> int:
    """Exit code 1 when something that the desk promises did not happen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("desk", choices=desks())
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    folder = (chosen.out or ROOT / "demo-output" / f"desk-{chosen.desk}").absolute()
    session = play(chosen.desk, folder)
    plot_session(session, session / "session.png", session / "session.svg")
    desk = yaml.safe_load((EXAMPLES / chosen.desk / "desk.yaml").read_text("utf-8"))
    print(f"{desk['about']}\n\n{(session / 'transcript.txt').read_text('utf-8')}")
    print(f"recordings, transcript and plot: {session}\nwhat the phones heard: {folder}\n")
    lacks = missing(desk, session)
    print("\n".join(lacks) or "everything that the desk promises happened")
    return 1 if lacks else 0


if __name__ == "__main__":
    sys.exit(main())
